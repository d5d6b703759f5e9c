import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SimulatedNode } from '../support/simulated-node.ts'
import { SimulatedRecord } from '../support/simulated-record.ts'

const RUNS = Number(process.env.PRESENCE_RUNS ?? 1500)

const GRACE_MS = 2000
const PATIENCE_MS = 1500
const CHANNELS = ['presence-a', 'presence-b']

/** Three gateways on one record. */
class Service {
  readonly record = new SimulatedRecord({ graceMs: GRACE_MS })
  readonly nodes: SimulatedNode[] = [0, 1, 2].map(() => this.#start())

  node(index: number): SimulatedNode {
    return this.nodes[index] as SimulatedNode
  }

  async replace(index: number): Promise<void> {
    const { incarnation } = this.node(index).store
    await this.node(index).crash()
    if (incarnation !== null) this.#dead.push(incarnation)
    this.nodes[index] = this.#start()
  }

  /** Every line works again, and all that was under way is over. */
  async settle(): Promise<void> {
    for (const node of this.nodes) node.reconnect()
    for (const name of this.#dead) this.record.kill(name)
    for (let elapsedMs = 0; elapsedMs <= 3 * GRACE_MS; elapsedMs += 250) {
      for (const node of this.nodes) node.store.verify()
      while (this.record.reapOne()) {}
      // A step, its answer, and what follows from it.
      for (let round = 0; round < 12; round += 1) {
        for (const node of this.nodes) {
          node.store.arrive(100)
          node.store.answer(100)
          node.hear(100)
        }
        await nextTurn()
      }
      await vi.advanceTimersByTimeAsync(250)
    }
  }

  check(): void {
    for (const node of this.nodes) node.forgetEmpty()
  }

  checkSettled(): void {
    this.check()
    expect(this.record.unguarded(), 'nobody would take them off').toEqual([])
    for (const channel of CHANNELS) {
      const present = [...new Set(this.nodes.flatMap((node) => node.users(channel)))].sort()
      const members = this.record.members(channel)
      expect(members.map(({ id }) => id).sort(), `the record of ${channel}`).toEqual(present)
      this.nodes.forEach((node, index) => {
        const isListening = node.users(channel).length > 0
        const { told, listed } = node.lists(channel)
        expect(node.roster(channel) !== undefined, `node ${index} has ${channel} open`).toBe(isListening)
        if (!isListening) return
        expect(told, `what pages of node ${index} have of ${channel}`).toEqual(present)
        const texts = (listed as unknown[]).map((member) => JSON.stringify(member))
        expect(texts.sort(), `the list of ${channel} at node ${index}`).toEqual(members.map(({ json }) => json).sort())
      })
    }
  }

  readonly #dead: string[] = []

  #start(): SimulatedNode {
    return new SimulatedNode({ record: this.record, graceMs: GRACE_MS, patienceMs: PATIENCE_MS })
  }
}

type Act = (service: Service) => void | Promise<void>

/** A line of the story: what happens, written so that a failure can be read. */
function act<T extends unknown[]>(
  name: string,
  weight: number,
  args: { [K in keyof T]: fc.Arbitrary<T[K]> },
  run: (service: Service, ...args: T) => void | Promise<void>,
) {
  const arbitrary = fc.tuple(...args).map((values) => {
    const one: Act = (service) => run(service, ...(values as unknown as T))
    return Object.assign(one, { [fc.toStringMethod]: () => `${name}(${values.join(', ')})` })
  })
  return { weight, arbitrary }
}

const where = fc.nat(2)
const channel = fc.constantFrom(...CHANNELS)
const socket = fc.constantFrom('1.1', '2.2')
const user = fc.constantFrom('ada', 'bob', 'cyd')
const some = fc.integer({ min: 1, max: 3 })

const life = fc.oneof(
  act<[number, string, string, string, number]>(
    'enter',
    10,
    [where, socket, channel, user, fc.nat(1)],
    ({ nodes }, index, ...rest) => nodes[index]?.enter(...rest),
  ),
  act<[number, string, string]>('leave', 9, [where, socket, channel], ({ nodes }, index, ...rest) =>
    nodes[index]?.leave(...rest),
  ),
  act<[number, number]>('arrive', 12, [where, some], (service, index, count) =>
    service.node(index).store.arrive(count),
  ),
  act<[number, number]>('answer', 12, [where, some], (service, index, count) =>
    service.node(index).store.answer(count),
  ),
  act<[number, number]>('hear', 12, [where, some], (service, index, count) => service.node(index).hear(count)),
  act<[number]>('work', 12, [where], async (service, index) => {
    const node = service.node(index)
    for (let round = 0; round < 4; round += 1) {
      node.store.arrive(10)
      node.store.answer(10)
      await nextTurn()
    }
    node.hear(10)
  }),
  act<[number]>('renew', 2, [where], (service, index) => void service.node(index).store.verify()),
  act<[number]>(
    'wait',
    3,
    [fc.constantFrom(100, 600, 2100)],
    async (_, ms) => void (await vi.advanceTimersByTimeAsync(ms)),
  ),
)

const trouble = fc.oneof(
  { weight: 40, arbitrary: life },
  act<[number]>('lose', 2, [where], (service, index) => service.node(index).store.lose()),
  act<[number]>('giveUp', 2, [where], (service, index) => service.node(index).store.giveUp()),
  act<[number]>('cut', 2, [where], (service, index) => service.node(index).cut()),
  act<[number]>('reconnect', 2, [where], (service, index) => service.node(index).reconnect()),
  act<[number]>('takeForDead', 2, [where], ({ nodes, record }, index) => {
    const name = nodes[index]?.store.incarnation ?? null
    if (name !== null) record.kill(name)
  }),
  act<[]>('reap', 3, [], ({ record }) => void record.reapOne()),
  act<[]>('flush', 1, [], ({ record }) => record.flush()),
  act<[number]>('crash', 1, [where], (service, index) => service.replace(index)),
)

async function play(acts: readonly Act[]): Promise<void> {
  const service = new Service()
  for (const one of acts) {
    await one(service)
    await nextTurn()
    service.check()
  }
  await service.settle()
  service.checkSettled()
}

describe('whatever happens to three gateways on one record', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const story = (acts: fc.Arbitrary<Act>) => fc.array(acts, { minLength: 5, maxLength: 80, size: 'max' })

  it('their lists become what is true, and pages are told what changes theirs, while nothing breaks', async () => {
    await fc.assert(fc.asyncProperty(story(life), play), { numRuns: RUNS })
  }, 600_000)

  it('their lists become what is true, and pages are told what changes theirs, when everything breaks', async () => {
    await fc.assert(fc.asyncProperty(story(trouble), play), { numRuns: RUNS })
  }, 600_000)
})
