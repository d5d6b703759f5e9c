import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseBroadcast } from '../../src/channels/broadcast.ts'
import { comparePositions, parsePosition } from '../../src/history/position.ts'
import { cachedFrame } from '../../src/hub/frames.ts'
import type { LastTold } from '../../src/hub/last-told.ts'
import { laravel } from '../support/history.ts'
import type { ReadFrame } from '../support/sse.ts'
import { GRANT, type Page, Stage } from '../support/stage.ts'

const NAME = 'cache-a'
const NAMES = ['orders', NAME, 'private-x']
/** The first thing the stage hears. */
const MARKER = '1.2'

/** One gateway that hears what is published in its own time, beside others that may be faster. */
class Service {
  readonly stage: Stage
  readonly published: string[] = []
  heard = 0

  constructor(bounds: { maxMessages?: number }) {
    this.stage = new Stage(bounds)
  }

  publish(channel: string): void {
    this.published.push(channel)
  }

  hear(count: number): void {
    for (const channel of this.published.slice(this.heard, this.heard + count)) {
      this.heard += 1
      expect(this.stage.publish(channel)).toBe(idOf(this.heard))
    }
  }

  /** Some last event that the store may answer with: never older than what this gateway has heard. */
  answer(heardWhenAsked: number, luck: number): LastTold | null {
    const numbers = this.published.flatMap((channel, index) => (channel === NAME ? [index + 1] : []))
    const oldest = numbers.filter((number) => number <= heardWhenAsked).at(-1)
    const possible = [oldest ?? null, ...numbers.filter((number) => number > heardWhenAsked)]
    const number = possible[Math.floor(luck * possible.length)] ?? null
    const broadcast = number === null ? null : parseBroadcast(laravel(idOf(number)))
    if (number === null || broadcast === null) return null
    const position = { epoch: 1, marker: 2, count: number }
    return { frame: cachedFrame(NAME, broadcast), position, socket: null }
  }

  /** The last event of all. */
  get last(): string | null {
    const index = this.published.lastIndexOf(NAME)
    return index === -1 ? null : idOf(index + 1)
  }
}

function idOf(number: number): string {
  return `${MARKER}.${number}`
}

/** A page that drops and comes back, and believes what it was told last. */
class Visitor {
  /** What it was told on the cache channel last; a message told before, by its position, says nothing new. */
  state: string | null = null
  cachedTimes = 0
  hasGap = false
  #newest: string | null = null
  #cursor: string | null = null
  #page: Page | null = null
  #asked: number | null = null
  #isGranted = false
  #isFirst = true
  /** What this connection was told on the cache channel. */
  #story: { id: string | undefined; text: string; isCached: boolean }[] = []
  readonly #namesFresh: boolean

  constructor({ namesFresh }: { namesFresh: boolean }) {
    this.#namesFresh = namesFresh
  }

  connect({ stage, heard }: Service): void {
    this.drop()
    const fresh = this.#namesFresh && this.#isFirst && this.#cursor !== null ? [NAME] : []
    const options = { lastEventId: this.#cursor, fresh }
    // As http/stream.ts does: the store is asked when the page begins anew with the channel.
    const isNew = stage.prepare(NAMES, options).subscriber.beginsAnew(NAME)
    this.#page = stage.open(NAMES, { ...options, recalled: isNew ? [NAME] : [] })
    this.#asked = isNew ? heard : null
    this.#isGranted = false
    this.#story = []
    if (this.#page.connectedId !== null) this.#cursor = this.#page.connectedId
  }

  /** The store has answered. */
  recall(service: Service, luck: number): void {
    if (this.#page === null || this.#asked === null) return
    const last = service.answer(this.#asked, luck)
    this.#asked = null
    this.#page.subscriber.grant(NAME, GRANT, { last })
    this.read()
  }

  decide(): void {
    this.#page?.subscriber.grant('private-x', GRANT)
    this.read()
  }

  drop(): void {
    this.read()
    this.#page?.subscriber.close('client')
    this.#page = null
  }

  read(): void {
    for (const frame of this.#page?.outlet.news() ?? []) this.#see(frame)
  }

  #see({ event, id, data }: ReadFrame): void {
    if (id !== undefined) this.#cursor = id
    if (event === 'gap') this.hasGap = true
    const { channel, data: text, cached: isCached = false } = JSON.parse(data)
    if (channel !== NAME) return
    if (event === 'subscribed') {
      expect(this.#isGranted, 'granted once').toBe(false)
      this.#isGranted = true
      this.#isFirst = false
    } else if (event === undefined) this.#seeBroadcast({ id, text, isCached })
  }

  #seeBroadcast(one: { id: string | undefined; text: string; isCached: boolean }): void {
    expect(this.#isGranted, 'nothing before it is granted').toBe(true)
    expect(
      this.#story.some(({ text }) => text === one.text),
      `${one.text} is told twice on one stream`,
    ).toBe(false)
    if (one.isCached) {
      expect(this.#story, 'the last event comes first').toEqual([])
      expect(one.id).toBeUndefined()
      this.cachedTimes += 1
    } else {
      expect(one.id).toContain(one.text)
      for (const { text } of this.#story) expect(isAfter(one.text, text), `${one.text} after ${text}`).toBe(true)
    }
    this.#story.push(one)
    if (one.isCached || this.#newest === null || isAfter(one.text, this.#newest)) this.state = one.text
    if (!one.isCached) this.#newest = one.text
  }
}

function isAfter(one: string, other: string): boolean {
  const [a, b] = [parsePosition(one), parsePosition(other)]
  if (a === null || b === null) throw new Error('These are no positions.')
  return comparePositions(a, b) > 0
}

type Scene = { service: Service; visitors: Visitor[] }
type Act = (scene: Scene) => void | Promise<void>

const who = fc.nat(1)
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(NAME, NAME, 'orders', 'private-x')
      .map(named('publish', (scene, channel: string) => scene.service.publish(channel))),
  },
  {
    weight: 6,
    arbitrary: fc.integer({ min: 1, max: 5 }).map(named('hear', (scene, count: number) => scene.service.hear(count))),
  },
  {
    weight: 4,
    arbitrary: who.map(named('connect', (scene, index: number) => scene.visitors[index]?.connect(scene.service))),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(who, fc.double({ min: 0, max: 0.999, noNaN: true }))
      .map(
        named('recall', (scene, [index, luck]: [number, number]) => scene.visitors[index]?.recall(scene.service, luck)),
      ),
  },
  { weight: 3, arbitrary: who.map(named('decide', (scene, index: number) => scene.visitors[index]?.decide())) },
  { weight: 1, arbitrary: who.map(named('drop', (scene, index: number) => scene.visitors[index]?.drop())) },
  { weight: 4, arbitrary: fc.constant(null).map(named('flush', (scene) => flush(scene))) },
)

function named<T>(name: string, run: (scene: Scene, value: T) => void | Promise<void>) {
  return (value: T): Act => {
    const act: Act = (scene) => run(scene, value)
    return Object.assign(act, { [fc.toStringMethod]: () => `${name}(${value})` })
  }
}

async function flush({ service, visitors }: Scene): Promise<void> {
  await service.stage.flush()
  for (const visitor of visitors) visitor.read()
}

async function play(story: readonly Act[], bounds: { maxMessages?: number }): Promise<Scene> {
  const scene = {
    service: new Service(bounds),
    visitors: [true, false].map((namesFresh) => new Visitor({ namesFresh })),
  }
  for (const act of story) await act(scene)
  scene.service.hear(Number.POSITIVE_INFINITY)
  for (const visitor of scene.visitors) {
    visitor.connect(scene.service)
    visitor.recall(scene.service, 0)
    visitor.decide()
  }
  await flush(scene)
  return scene
}

const story = fc.array(acts, { minLength: 10, maxLength: 60, size: 'max' })

it('whatever comes between asking and telling, a page knows the last event in the end, and none is told twice', async () => {
  await fc.assert(
    fc.asyncProperty(story, async (acts) => {
      const { service, visitors } = await play(acts, {})
      for (const { state, hasGap } of visitors) {
        expect(state).toBe(service.last)
        expect(hasGap).toBe(false)
      }
    }),
    { numRuns: 500 },
  )
}, 30_000)

it('also when the log keeps hardly anything', async () => {
  await fc.assert(
    fc.asyncProperty(story, async (acts) => {
      const { service, visitors } = await play(acts, { maxMessages: 1 })
      for (const { state } of visitors) expect(state).toBe(service.last)
    }),
    { numRuns: 500 },
  )
}, 30_000)

it('a page that goes on where it left off is not told the last event again', async () => {
  const scene: Scene = { service: new Service({}), visitors: [new Visitor({ namesFresh: false })] }
  const { service } = scene
  const visitor = scene.visitors[0] as Visitor
  service.publish(NAME)
  service.hear(1)
  for (let times = 0; times < 3; times += 1) {
    visitor.connect(service)
    visitor.recall(service, 0)
    visitor.decide()
    await flush(scene)
  }
  expect([visitor.cachedTimes, visitor.state]).toEqual([1, service.last])
})
