import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { World } from '../support/world.ts'
import { WorldClient } from '../support/world-client.ts'

const PUBLIC = ['a', 'b']
const GUARDED = ['private-p', 'private-q']
const SOCKETS = ['1.1', '2.2', '3.3']

const channel = fc.constantFrom(...PUBLIC, ...GUARDED)
const client = fc.nat(2)
const node = fc.nat(1)
const socket = fc.constantFrom(null, null, null, ...SOCKETS)

type World2 = { world: World; clients: WorldClient[] }
type Act = (scene: World2) => void | Promise<void>

/** A line of the story: what happens, written so that a failure can be read. */
function act<T extends unknown[]>(
  name: string,
  weight: number,
  args: { [K in keyof T]: fc.Arbitrary<T[K]> },
  run: (scene: World2, ...args: T) => void | Promise<void>,
) {
  const arbitrary = fc.tuple(...args).map((values) => {
    const one: Act & { toString(): string } = (scene) => run(scene, ...(values as unknown as T))
    one.toString = () => `${name}(${values.join(', ')})`
    return Object.assign(one, { [fc.toStringMethod]: one.toString })
  })
  return { weight, arbitrary }
}

const at = (scene: World2, index: number) => scene.clients[index] as WorldClient

const acts = fc.oneof(
  act<[string, string | null]>('publish', 12, [channel, socket], ({ world }, name, from) => world.publish(name, from)),
  act<[string, number]>('burst', 4, [channel, node], async ({ world, clients }, name, index) => {
    for (let count = 0; count < 4; count += 1) world.publish(name, null)
    world.node(index).hear(Number.POSITIVE_INFINITY)
    await world.flush()
    for (const one of clients) one.read()
  }),
  act<[number]>('marker', 3, [node], ({ world }, sender) => world.marker(sender)),
  act<[number, number]>('hear', 8, [node, fc.integer({ min: 1, max: 6 })], (scene, index, count) => {
    scene.world.node(index).hear(count)
    for (const one of scene.clients) one.read()
  }),
  act<[]>('flush', 6, [], async ({ world, clients }) => {
    await world.flush()
    for (const one of clients) one.read()
  }),
  act<[number, number]>('connect', 5, [client, node], (scene, who, where) =>
    at(scene, who).connect(scene.world.node(where)),
  ),
  act<[number, number]>('connectStuck', 3, [client, node], (scene, who, where) =>
    at(scene, who).connect(scene.world.node(where), { isStuck: true }),
  ),
  act<[number, number]>('drop', 3, [client, fc.double({ min: 0, max: 1, noNaN: true })], (scene, who, part) =>
    at(scene, who).drop(part),
  ),
  act<[number, string]>('decide', 5, [client, fc.constantFrom(...GUARDED)], (scene, who, name) =>
    at(scene, who).decide(name),
  ),
  act<[number, string, number]>('join', 1, [client, channel, node], (scene, who, name, where) =>
    at(scene, who).join(name, scene.world.node(where)),
  ),
  act<[number]>('ping', 2, [client], (scene, who) => at(scene, who).ping()),
  act<[number]>('stick', 4, [client], (scene, who) => at(scene, who).stick()),
  act<[number]>('unstick', 2, [client], (scene, who) => at(scene, who).unstick()),
)

const faults = fc.oneof(
  { weight: 12, arbitrary: acts },
  act<[number]>('cut', 1, [node], ({ world }, index) => world.node(index).cut()),
  act<[number]>('reconnect', 2, [node], ({ world }, index) => world.reconnect(index)),
  act<[]>('failOver', 1, [], ({ world }) => world.failOver()),
  act<[number]>('replace', 1, [node], ({ world, clients }, index) => {
    const old = world.node(index)
    for (const one of clients) if (one.node === old) one.drop(0.5)
    world.replace(index)
  }),
)

function sceneOf(bounds: { maxMessages?: number; maxBytes?: number }): World2 {
  const world = new World(2, bounds)
  world.hearAll()
  const clients = [
    new WorldClient('1.1', ['a', 'private-p'], []),
    new WorldClient('2.2', ['a', 'b', 'private-p', 'private-q'], ['private-q']),
    new WorldClient('3.3', ['a', 'b'], []),
  ]
  return { world, clients }
}

/** Everybody comes back, everything is heard, decided and read. */
async function settle({ world, clients }: World2): Promise<void> {
  world.nodes.forEach((_node, index) => void world.reconnect(index))
  world.marker(0)
  world.marker(1)
  world.hearAll()
  clients.forEach((one, index) => void one.connect(world.node(index)))
  for (const one of clients) one.decideAll()
  await world.flush()
  for (const one of clients) one.read()
}

async function play(acts: readonly Act[], bounds: { maxMessages?: number; maxBytes?: number }): Promise<World2> {
  const scene = sceneOf(bounds)
  for (const one of acts) await one(scene)
  await settle(scene)
  for (const one of scene.clients) one.expectPlain()
  for (const one of scene.clients) one.check(scene.world.published)
  return scene
}

describe('whatever happens between two gateways and three pages', () => {
  const story = fc.array(acts, { minLength: 40, maxLength: 120, size: 'max' })
  const troubled = fc.array(faults, { minLength: 40, maxLength: 120, size: 'max' })

  it('every message arrives once and in order, and there is no talk of gaps, while nothing is lost', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (acts) => {
        const { world, clients } = await play(acts, {})
        expect(world.nodes.map(({ holes }) => holes)).toEqual([0, 0])
        expect(clients.flatMap(({ gaps }) => gaps)).toEqual([])
      }),
      { numRuns: 300 },
    )
  }, 30_000)

  it('nothing is lost in silence, when connections, gateways and Redis break', async () => {
    await fc.assert(
      fc.asyncProperty(troubled, async (acts) => void (await play(acts, {}))),
      { numRuns: 300 },
    )
  }, 30_000)

  it('nothing is lost in silence, when the log keeps hardly anything either', async () => {
    await fc.assert(
      fc.asyncProperty(troubled, async (acts) => void (await play(acts, { maxMessages: 2, maxBytes: 2000 }))),
      { numRuns: 300 },
    )
  }, 30_000)
})
