import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { defaultConfig } from '../../src/config/config.ts'
import { Occupancy } from '../../src/occupancy/occupancy.ts'
import { RedisOccupancyStore } from '../../src/occupancy/redis.ts'
import { VACATED_AFTER_MS } from '../../src/occupancy/store.ts'
import { RedisPresenceStore } from '../../src/presence/redis.ts'
import { presenceKeys } from '../../src/presence/redis-keys.ts'
import { RedisLease, type RedisLeaseOptions } from '../../src/presence/redis-lease.ts'
import { occupancyStoreContract } from '../contract/occupancy-store.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { Log } from '../support/log.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { SHORT_LEASE_S } from '../support/presence-node.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

let apps = 0
const newPrefix = () => `app${++apps}_`

type Parts = { lease: RedisLease; presence: RedisPresenceStore; store: RedisOccupancyStore; log: Log }

function buildParts(options: Partial<RedisLeaseOptions>): Parts {
  const log = new Log()
  const all = { ...defaultConfig({ readyTimeoutMs: 3000 }), leaseS: SHORT_LEASE_S, ...options }
  const lease = new RedisLease(all, { logger: log.logger })
  const store = new RedisOccupancyStore({ lease })
  const presence = new RedisPresenceStore({ lease, reapBefore: (incarnation) => store.reap(incarnation) })
  atEndOfTest(() => lease.stop())
  return { lease, presence, store, log }
}

async function startStore(options: Partial<RedisLeaseOptions>): Promise<Parts> {
  const parts = buildParts(options)
  parts.store.start({ onReaped: () => {} })
  parts.presence.start({ onForgotten: () => {} })
  await parts.presence.verify()
  return parts
}

async function contractHarness(server: RedisServer, options: Partial<RedisLeaseOptions>) {
  const { store, presence } = await startStore(options)
  return {
    store,
    close: async () => {
      await presence.stop(0)
      // What is still occupied was left at this moment.
      const left = await server.cli('KEYS', `${options.redisPrefix}*`)
      expect(left.split('\n').filter((key) => !/sse:(run|occupancy|vacating)/.test(key) && key !== '')).toEqual([])
    },
  }
}

describe.runIf(requirePart('redis'))('on a real Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  occupancyStoreContract('RedisOccupancyStore', () =>
    contractHarness(server, { redis: server.url, redisPrefix: newPrefix() }),
  )
})

describe.runIf(requirePart('redis'))('in a Redis Cluster', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedisCluster()
  })
  afterAll(() => server?.close())

  occupancyStoreContract('RedisOccupancyStore', () =>
    contractHarness(server, { redisCluster: [`127.0.0.1:${server.port}`], redisPrefix: newPrefix() }),
  )
})

/** A gateway's share in it: streams are opened and closed by hand. */
type Node = Parts & {
  readonly name: string
  readonly occupancy: Occupancy
  open(channel: string, ...sockets: string[]): void
  close(channel: string, ...sockets: string[]): void
  /** As after a SIGKILL. */
  kill(): void
}

describe.runIf(requirePart('redis'))('Occupancy on many nodes', () => {
  let server: RedisServer
  let redis: Redis
  let redisPrefix: string
  /** What the application is told, by whomever: `name event`. */
  let told: string[]
  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })
  beforeEach(() => {
    redisPrefix = newPrefix()
    told = []
  })

  const keys = () => presenceKeys({ redisPrefix, redisCluster: [] })

  async function startNode(name: string, { graceMs = 0 } = {}): Promise<Node> {
    const parts = buildParts({ redis: server.url, redisPrefix })
    const open = new Map<string, Set<string>>()
    const occupancy = new Occupancy({
      open: { channels: () => open.keys(), socketsOn: (channel) => open.get(channel) ?? new Set() },
      store: parts.store,
      graceMs,
      onOccupied: (channel) => told.push(`${name} occupied ${channel}`),
      onVacated: (channel) => told.push(`${name} vacated ${channel}`),
      onCount: (channel, total) => told.push(`${name} ${channel}: ${total}`),
      onError: () => {},
    })
    parts.presence.start({ onForgotten: () => occupancy.sayAgain() })
    occupancy.start()
    atEndOfTest(() => occupancy.stop(0))
    await parts.presence.verify()
    return {
      ...parts,
      name,
      occupancy,
      open: (channel, ...sockets) => {
        for (const socket of sockets) {
          open.set(channel, (open.get(channel) ?? new Set()).add(socket))
          occupancy.joined(channel)
        }
      },
      close: (channel, ...sockets) => {
        for (const socket of sockets) {
          open.get(channel)?.delete(socket)
          occupancy.left(channel, socket, 0)
        }
      },
      kill: () => {
        // What is said after this goes nowhere, as what a dead process would say.
        parts.lease.stop()
      },
    }
  }

  const untilCount = (node: Node, channel: string, count: number) =>
    expect.poll(() => node.occupancy.count(channel), { interval: 20 }).toBe(count)
  const untilTold = (pattern: RegExp, times = 1) =>
    expect.poll(() => told.filter((line) => pattern.test(line)).length, { interval: 20 }).toBe(times)
  const toldOf = (pattern: RegExp) => told.filter((line) => pattern.test(line))
  const totals = () => redis.hgetall(keys().occupancy)
  /** As long as a channel is watched after it was left, and a little. */
  const untilNothingIsPending = async () => expect.poll(() => redis.zcard(keys().vacating)).toBe(0)

  it('counts the sockets of all nodes, and shows the channels of all', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1', '1.2')
    other.open('orders', '2.1')
    other.open('news', '2.1')
    expect(await one.occupancy.count('orders')).toBeGreaterThanOrEqual(2)
    await untilCount(one, 'orders', 3)
    await untilCount(other, 'orders', 3)
    await untilCount(one, 'news', 1)
    expect(Object.fromEntries(await one.occupancy.channels())).toEqual({ orders: 3, news: 1 })
    expect(Object.fromEntries(await other.occupancy.channels('ord'))).toEqual({ orders: 3 })
    other.close('orders', '2.1')
    expect(await other.occupancy.count('orders')).toBe(2)
    await untilCount(one, 'orders', 2)
  })

  it('tells that a channel is occupied and vacated once, for all nodes', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1')
    other.open('orders', '2.1')
    await untilCount(one, 'orders', 2)
    await untilCount(other, 'orders', 2)
    one.close('orders', '1.1')
    await untilCount(other, 'orders', 1)
    other.close('orders', '2.1')
    const leftAtMs = performance.now()
    await untilTold(/vacated/)
    expect(performance.now() - leftAtMs).toBeGreaterThan(2900)
    await untilNothingIsPending()
    expect(toldOf(/occupied orders/)).toHaveLength(1)
    expect(toldOf(/vacated orders/)).toHaveLength(1)
    expect(toldOf(/orders: 0/)).toHaveLength(1)
    expect(await totals()).toEqual({})
    other.open('orders', '2.1')
    await untilTold(/other occupied orders/, toldOf(/other occupied/).length + 1)
  })

  it('tells nothing when somebody comes back within 3 seconds, to whichever node', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1')
    await untilTold(/occupied/)
    one.close('orders', '1.1')
    await untilTold(/orders: 0/)
    other.open('orders', '1.1')
    await untilTold(/other orders: 1/)
    await untilNothingIsPending()
    expect(toldOf(/occupied|vacated/)).toEqual(['one occupied orders'])
  })

  it('takes what a killed node has left off once, within the lease, and vacates it 3 seconds later', async () => {
    const nodes = [await startNode('one'), await startNode('two'), await startNode('third')] as const
    const [one, two, third] = nodes
    third.open('orders', '3.1')
    third.open('news', '3.1', '3.2')
    one.open('news', '1.1')
    await untilCount(two, 'news', 3)
    await untilCount(two, 'orders', 1)
    const { incarnation } = third.lease
    told.length = 0
    third.kill()
    const killedAtMs = performance.now()
    await untilCount(one, 'orders', 0)
    await untilCount(two, 'news', 1)
    expect(performance.now() - killedAtMs).toBeLessThan(SHORT_LEASE_S * 1000 + 500)
    await untilTold(/vacated orders/)
    expect(performance.now() - killedAtMs).toBeLessThan(SHORT_LEASE_S * 1000 + 3000 + 1500)
    await untilNothingIsPending()
    expect(told.map((line) => line.replace(/^\S+ /, '')).sort()).toEqual(['news: 1', 'orders: 0', 'vacated orders'])
    expect(await redis.exists(keys().occupants(incarnation ?? ''))).toBe(0)
    expect(await redis.zscore(keys().nodes, incarnation ?? '')).toBeNull()
  })

  it('leaves what a node said that was killed while it said so to whoever looks next', async () => {
    const dying = await startNode('dying')
    dying.open('orders', '1.1')
    await untilTold(/occupied/)
    dying.close('orders', '1.1')
    await untilTold(/orders: 0/)
    dying.kill()
    await startNode('late')
    await untilTold(/late vacated orders/)
    expect(toldOf(/vacated/)).toHaveLength(1)
  })

  it('says all of it again when it was taken for dead, and counts nobody twice', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1', '1.2')
    other.open('orders', '2.1')
    await untilCount(other, 'orders', 3)
    const former = one.lease.incarnation ?? ''
    await redis.zadd(keys().nodes, 0, former)
    await expect.poll(() => one.lease.incarnation).not.toBe(former)
    await expect.poll(() => redis.exists(keys().occupants(former))).toBe(0)
    await expect.poll(totals).toEqual({ orders: '3' })
    await untilCount(one, 'orders', 3)
    await untilNothingIsPending()
    expect(toldOf(/vacated/)).toEqual([])
    expect(toldOf(/occupied/)).toHaveLength(1)
  })

  it('refuses what a dead node still says', async () => {
    const { store, lease, presence } = await startStore({ redis: server.url, redisPrefix })
    await store.report(new Map([['orders', 1]]), 0)
    await store.reap(lease.incarnation ?? '')
    expect(await totals()).toEqual({ orders: '1' })
    await redis.zadd(keys().nodes, 0, lease.incarnation ?? '')
    await expect(store.report(new Map([['news', 1]]), 0)).rejects.toMatchObject({ code: 'broker_unavailable' })
    expect(await totals()).toEqual({ orders: '1' })
    // By then it goes under another name.
    expect(await store.report(new Map([['news', 1]]), 0)).toMatchObject([{ isNew: true }])
    await presence.stop(0)
  })

  it('lets no earlier report overtake a later one', async () => {
    const { store, lease, presence } = await startStore({ redis: server.url, redisPrefix })
    await redis.hset(keys().occupants(lease.incarnation ?? ''), 'sse:step', 3)
    await store.report(new Map([['orders', 1]]), 0)
    expect(await redis.hget(keys().occupants(lease.incarnation ?? ''), 'sse:step')).toBe('4')
    expect(await totals()).toEqual({ orders: '1' })
    await presence.stop(0)
  })

  it('knows everything again after a Redis that forgot it, and may then tell again that a channel is occupied', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1')
    other.open('orders', '2.1', '2.2')
    other.open('news', '2.1')
    await untilCount(one, 'orders', 3)
    await redis.flushall()
    await expect.poll(totals).toEqual({ orders: '3', news: '1' })
    await untilCount(one, 'orders', 3)
    await untilCount(other, 'orders', 3)
    expect(toldOf(/vacated/)).toEqual([])
    expect(toldOf(/occupied orders/).length).toBe(2)
  })

  it('counts nobody of a node that stops, and vacates nothing before its pages can be back elsewhere', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    one.open('orders', '1.1')
    one.open('news', '1.2')
    await untilCount(other, 'orders', 1)
    await untilCount(other, 'news', 1)
    const { incarnation } = one.lease
    await one.occupancy.stop(1000)
    const stoppedAtMs = performance.now()
    await one.presence.stop(0)
    expect(await other.occupancy.count('orders')).toBe(0)
    expect(await redis.exists(keys().occupants(incarnation ?? ''))).toBe(0)
    other.open('orders', '1.1')
    await untilTold(/vacated news/)
    expect(performance.now() - stoppedAtMs).toBeGreaterThan(900 + VACATED_AFTER_MS)
    await untilNothingIsPending()
    expect(toldOf(/vacated/)).toEqual(['other vacated news'])
    expect(toldOf(/occupied orders/)).toHaveLength(1)
  })

  it('answers again what is vacated to whom the answer did not reach', async () => {
    const line = await startTcpProxy(server.port)
    const { store } = await startStore({ redis: line.redisUrl, redisPrefix, leaseS: 60, readyTimeoutMs: 500 })
    await store.report(
      new Map([
        ['a', 1],
        ['b', 1],
      ]),
      0,
    )
    await store.report(
      new Map([
        ['a', 0],
        ['b', 0],
      ]),
      0,
    )
    line.silence('to-client')
    await expect(store.takeVacated()).rejects.toMatchObject({ code: 'broker_unavailable' })
    expect(await redis.hlen(keys().occupancy)).toBe(0)
    line.resume()
    const vacated = await vi.waitFor(() => store.takeVacated(), { timeout: PATIENCE_MS, interval: 50 })
    expect(vacated.toSorted()).toEqual(['a', 'b'])
    expect(await store.takeVacated()).toEqual([])
  })

  it('counts no less than nobody where Redis has lost a part of the record', async () => {
    const { store, presence } = await startStore({ redis: server.url, redisPrefix })
    await store.report(new Map([['orders', 3]]), 0)
    await redis.del(keys().occupancy)
    expect(await store.report(new Map([['orders', 1]]), 0)).toMatchObject([{ total: 0 }])
    expect(await store.report(new Map([['orders', 2]]), 0)).toMatchObject([{ total: 1 }])
    await presence.stop(0)
  })

  it('answers that the broker is away when Redis is', async () => {
    const away = await startRedis()
    atEndOfTest(() => away.close())
    const { store } = await startStore({ redis: away.url, redisPrefix, readyTimeoutMs: 500 })
    await away.stop('SIGKILL')
    await expect(store.elsewhere('orders')).rejects.toMatchObject({ code: 'broker_unavailable' })
    await expect(store.allElsewhere('')).rejects.toMatchObject({ code: 'broker_unavailable' })
    await expect(store.report(new Map([['orders', 1]]), 0)).rejects.toMatchObject({ code: 'broker_unavailable' })
  })

  it('shows more channels of others than one answer holds', async () => {
    const [one, other] = [await startNode('one'), await startNode('other')]
    for (let index = 0; index < 3000; index += 1) other.open(`room.${index}`, '2.1')
    one.open('room.7', '1.1')
    await expect.poll(async () => (await totals())['room.7']).toBe('2')
    await expect.poll(async () => (await one.occupancy.channels('room.')).size).toBe(3000)
    const channels = await one.occupancy.channels('room.')
    expect([channels.get('room.7'), channels.get('room.8')]).toEqual([2, 1])
    expect((await one.occupancy.channels('room.299')).size).toBe(11)
  })
})
