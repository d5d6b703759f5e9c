import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { MemoryOccupancyStore } from '../../src/occupancy/memory.ts'
import { Occupancy } from '../../src/occupancy/occupancy.ts'
import {
  type OccupancyStore,
  type OccupancyStoreHooks,
  type Reported,
  VACATED_AFTER_MS,
} from '../../src/occupancy/store.ts'
import { atEndOfTest } from '../support/at-end.ts'

const LINGER_MS = 5000

/** Streams as the hub has them: `socket` or `socket/stream` on a channel. */
class Streams {
  readonly #on = new Map<string, string[]>()

  channels(): Iterable<string> {
    return this.#on.keys()
  }

  socketsOn(channel: string): ReadonlySet<string> {
    return new Set((this.#on.get(channel) ?? []).map((stream) => stream.split('/')[0] ?? ''))
  }

  open(channel: string, stream: string): void {
    this.#on.set(channel, [...(this.#on.get(channel) ?? []), stream])
  }

  close(channel: string, stream: string): void {
    const left = (this.#on.get(channel) ?? []).filter((other) => other !== stream)
    if (left.length === 0) this.#on.delete(channel)
    else this.#on.set(channel, left)
  }
}

/** A store that other nodes use too, and that can be away. */
class SharedStore implements OccupancyStore {
  readonly #memory = new MemoryOccupancyStore()
  readonly reports: Record<string, number>[] = []
  /** How long after the last report a channel is vacated. */
  vacatedAfterMs = 0
  readonly others = new Map<string, number>()
  hooks: OccupancyStoreHooks = { onReaped: () => {} }
  /** How reports fail: before they are done, or when they are. */
  fails: 'no' | 'undone' | 'done' = 'no'
  /** Reports that wait until this is called. */
  release = () => {}
  #held = Promise.resolve()

  start(hooks: OccupancyStoreHooks): void {
    this.hooks = hooks
  }

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.release = resolve
    })
  }

  async report(counts: ReadonlyMap<string, number>, vacatedAfterMs: number): Promise<Reported[]> {
    this.reports.push(Object.fromEntries(counts))
    this.vacatedAfterMs = vacatedAfterMs
    await this.#held
    if (this.fails === 'undone') throw new GatewayError('broker_unavailable')
    const reported = await this.#memory.report(counts, vacatedAfterMs)
    if (this.fails === 'done') throw new GatewayError('broker_unavailable')
    return reported.map((one) => ({ ...one, total: one.total + (this.others.get(one.channel) ?? 0) }))
  }

  async elsewhere(channel: string): Promise<number> {
    return this.others.get(channel) ?? 0
  }

  async allElsewhere(prefix: string): Promise<ReadonlyMap<string, number>> {
    return new Map([...this.others].filter(([channel]) => channel.startsWith(prefix)))
  }

  async takeVacated(): Promise<string[]> {
    const vacated = await this.#memory.takeVacated()
    await this.#held
    return vacated
  }
}

function setUp({ graceMs = 0 }: { graceMs?: number } = {}) {
  const streams = new Streams()
  const store = new SharedStore()
  const told: string[] = []
  const errors: unknown[] = []
  const occupancy = new Occupancy({
    open: streams,
    store,
    graceMs,
    onOccupied: (channel) => told.push(`occupied ${channel}`),
    onVacated: (channel) => told.push(`vacated ${channel}`),
    onCount: (channel, total) => told.push(`${channel}: ${total}`),
    onError: (error) => errors.push(error),
  })
  const join = (channel: string, stream: string) => {
    streams.open(channel, stream)
    occupancy.joined(channel)
  }
  const leave = (channel: string, stream: string, keepMs = LINGER_MS) => {
    streams.close(channel, stream)
    occupancy.left(channel, stream.split('/')[0] ?? '', keepMs)
  }
  occupancy.start()
  atEndOfTest(() => occupancy.stop(0))
  return { streams, store, told, errors, occupancy, join, leave }
}

/** Time goes by, step by step. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a count', () => {
  it('is of sockets, not of streams, and is true at once', async () => {
    const { occupancy, join, leave } = setUp()
    join('orders', '1.1/a')
    join('orders', '1.1/b')
    join('orders', '2.2')
    expect(await occupancy.count('orders')).toBe(2)
    leave('orders', '1.1/a', 0)
    expect(await occupancy.count('orders')).toBe(2)
    leave('orders', '1.1/b', 0)
    expect(await occupancy.count('orders')).toBe(1)
    await pass(500)
    expect(await occupancy.count('orders')).toBe(1)
    expect(await occupancy.count('news')).toBe(0)
  })

  it('holds who has just gone, until its time is up or it says that it is gone', async () => {
    const { occupancy, join, leave } = setUp()
    for (const socket of ['1.1', '2.2']) {
      join('orders', socket)
      leave('orders', socket)
    }
    await pass(LINGER_MS - 500)
    expect(await occupancy.count('orders')).toBe(2)
    occupancy.forget('1.1')
    expect(await occupancy.count('orders')).toBe(1)
    await pass(1000)
    expect(await occupancy.count('orders')).toBe(0)
  })

  it('is not moved by a page that makes a new stream before it breaks the old one, nor by one that comes back', async () => {
    const { store, told, join, leave } = setUp()
    join('orders', '1.1/a')
    await pass(500)
    for (let times = 0; times < 5; times += 1) {
      join('orders', '1.1/b')
      leave('orders', '1.1/a')
      await pass(500)
      leave('orders', '1.1/b')
      await pass(LINGER_MS - 500)
      join('orders', '1.1/a')
      await pass(500)
    }
    await pass(LINGER_MS)
    expect(store.reports).toEqual([{ orders: 1 }])
    expect(told).toEqual(['occupied orders', 'orders: 1'])
  })

  it('adds what is at other nodes', async () => {
    const { store, occupancy, join, leave } = setUp()
    store.others.set('orders', 3).set('news', 2).set('private-a', 1)
    join('orders', '1.1')
    join('private-b', '1.1')
    join('private-c', '1.1')
    leave('private-c', '1.1')
    expect(await occupancy.count('orders')).toBe(4)
    expect(await occupancy.count('news')).toBe(2)
    expect(Object.fromEntries(await occupancy.channels())).toEqual({
      orders: 4,
      news: 2,
      'private-a': 1,
      'private-b': 1,
      'private-c': 1,
    })
    expect([...(await occupancy.channels('private-')).keys()].sort()).toEqual(['private-a', 'private-b', 'private-c'])
    occupancy.forget('1.1')
    expect([...(await occupancy.channels('private-')).keys()].sort()).toEqual(['private-a', 'private-b'])
  })
})

describe('what others are told', () => {
  it('is at most one report in half a second, and none when nothing has changed', async () => {
    const { store, join, leave } = setUp()
    await pass(5000)
    expect(store.reports).toEqual([])
    for (let index = 0; index < 10; index += 1) {
      join('orders', `${index}.1`)
      join('news', `${index}.1`)
      await pass(40)
    }
    await pass(100)
    expect(store.reports).toEqual([{ orders: 10, news: 10 }])
    join('orders', '99.1')
    leave('orders', '99.1', 0)
    await pass(5000)
    expect(store.reports).toHaveLength(1)
  })

  it('goes in reports of 1,000 channels', async () => {
    const { store, join } = setUp()
    for (let index = 0; index < 2500; index += 1) join(`room.${index}`, '1.1')
    await pass(600)
    expect(store.reports.map((report) => Object.keys(report).length)).toEqual([1000, 1000, 500])
  })

  it('does not pile up while the store is slow: what changes meanwhile is told once, when it has answered', async () => {
    const { store, join } = setUp()
    store.hold()
    join('orders', '1.1')
    await pass(500)
    join('orders', '2.2')
    join('news', '1.1')
    await pass(5000)
    expect(store.reports).toEqual([{ orders: 1 }])
    store.release()
    await pass(500)
    expect(store.reports.slice(1)).toEqual([{ orders: 2, news: 1 }])
  })

  it('is said again when the store has failed, and an answer that was lost is made up for', async () => {
    for (const fails of ['undone', 'done'] as const) {
      const { store, told, errors, join, leave } = setUp()
      store.fails = fails
      join('orders', '1.1')
      await pass(1500)
      expect(errors).toHaveLength(3)
      expect(told).toEqual([])
      store.fails = 'no'
      await pass(500)
      expect(told).toEqual(['occupied orders', 'orders: 1'])
      join('orders', '2.2')
      store.fails = fails
      await pass(500)
      // Back to what it was: the store is in doubt all the same.
      leave('orders', '2.2', 0)
      store.fails = 'no'
      await pass(500)
      expect(store.reports.at(-1)).toEqual({ orders: 1 })
      expect(told.filter((line) => line.startsWith('occupied'))).toHaveLength(1)
    }
  })

  it('is said again when the store has forgotten it, also while a report is under way', async () => {
    const { store, occupancy, join } = setUp()
    join('orders', '1.1')
    join('news', '1.1')
    await pass(500)
    occupancy.sayAgain()
    expect(await occupancy.count('orders')).toBe(1)
    await pass(500)
    expect(store.reports.at(-1)).toEqual({ orders: 1, news: 1 })
    store.hold()
    join('orders', '2.2')
    await pass(500)
    occupancy.sayAgain()
    store.release()
    await pass(1000)
    expect(store.reports.slice(-2)).toEqual([{ orders: 2 }, { orders: 2, news: 1 }])
  })

  it('is at the end that nobody is here, and nothing after that', async () => {
    const { store, told, occupancy, join } = setUp()
    join('orders', '1.1')
    join('news', '1.1')
    await pass(500)
    told.length = 0
    await occupancy.stop(8000)
    expect(store.reports.at(-1)).toEqual({ orders: 0, news: 0 })
    // As with everybody who leaves: first the time to come back, then the time without anybody.
    expect(store.vacatedAfterMs).toBe(8000 + VACATED_AFTER_MS)
    join('orders', '2.2')
    await pass(60_000)
    expect(store.reports).toHaveLength(2)
    expect(told).toEqual([])
  })

  it('is at the end not overtaken by what is under way', async () => {
    const { store, occupancy, join } = setUp()
    store.hold()
    join('orders', '1.1')
    await pass(500)
    const stopped = occupancy.stop(8000)
    await pass(500)
    expect(store.reports).toEqual([{ orders: 1 }])
    store.release()
    await stopped
    expect(store.reports).toEqual([{ orders: 1 }, { orders: 0 }])
  })

  it('tells at the end what it is still being answered to be vacated', async () => {
    const { store, told, occupancy, join, leave } = setUp()
    join('orders', '1.1')
    await pass(500)
    leave('orders', '1.1', 0)
    await pass(3000)
    store.hold()
    await pass(1000)
    const stopped = occupancy.stop(8000).then(() => told.push('stopped'))
    await pass(500)
    store.release()
    await stopped
    expect(told.slice(-2)).toEqual(['vacated orders', 'stopped'])
  })

  it('is nothing at all at the end of a gateway where nobody was, and a store that is away does not hold it up', async () => {
    const { store, errors, occupancy, join } = setUp()
    await occupancy.stop(0)
    expect(store.reports).toEqual([])
    const other = setUp()
    other.join('orders', '1.1')
    await pass(500)
    other.store.fails = 'undone'
    await other.occupancy.stop(0)
    expect(other.errors).toHaveLength(1)
    expect(errors).toEqual([])
    join('orders', '1.1')
  })
})

describe('what the application is told', () => {
  it('is that a channel is occupied, how many are there, and, 3 seconds after the last one, that it is vacated', async () => {
    const { told, join, leave } = setUp()
    join('orders', '1.1')
    await pass(500)
    join('orders', '2.2')
    await pass(500)
    leave('orders', '1.1', 0)
    leave('orders', '2.2', 0)
    await pass(500)
    const before = ['occupied orders', 'orders: 1', 'orders: 2', 'orders: 0']
    expect(told).toEqual(before)
    await pass(2900)
    expect(told).toEqual(before)
    await pass(600)
    expect(told).toEqual([...before, 'vacated orders'])
    join('orders', '1.1')
    await pass(60_000)
    expect(told).toEqual([...before, 'vacated orders', 'occupied orders', 'orders: 1'])
  })

  it('is nothing of a channel where somebody comes within 3 seconds', async () => {
    const { told, join, leave } = setUp()
    join('orders', '1.1')
    await pass(500)
    for (let times = 0; times < 3; times += 1) {
      leave('orders', '1.1', 0)
      await pass(2500)
      join('orders', '3.3')
      await pass(5000)
      leave('orders', '3.3', 0)
      await pass(2500)
      join('orders', '1.1')
      await pass(5000)
    }
    expect(told.filter((line) => /occupied|vacated/.test(line))).toEqual(['occupied orders'])
  })

  it('is at the end of a service that is one gateway that all channels are vacated', async () => {
    const { told, occupancy, join } = setUp()
    join('orders', '1.1')
    join('news', '1.1')
    await pass(500)
    told.length = 0
    await occupancy.stop(0)
    expect(told).toEqual(['vacated orders', 'vacated news'])
  })

  it('is of a gateway that died what it leaves behind', async () => {
    const { store, told } = setUp()
    await store.report(new Map([['orders', 1]]), 0)
    await store.report(new Map([['orders', 0]]), 3000)
    store.hooks.onReaped(
      new Map([
        ['orders', 0],
        ['news', 2],
      ]),
    )
    expect(told).toEqual(['orders: 0', 'news: 2'])
    await pass(3500)
    expect(told.slice(2)).toEqual(['vacated orders'])
  })

  it('is what others were going to tell and have not; not while pages may still come back after a start', async () => {
    const { store, told } = setUp({ graceMs: 15_000 })
    await store.report(new Map([['orders', 1]]), 0)
    await store.report(new Map([['orders', 0]]), 0)
    await pass(14_500)
    expect(told).toEqual([])
    await pass(1000)
    expect(told).toEqual(['vacated orders'])
    await store.report(new Map([['news', 1]]), 0)
    await store.report(new Map([['news', 0]]), 0)
    await pass(5500)
    expect(told.slice(1)).toEqual(['vacated news'])
  })
})
