import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseMarker } from '../../src/broker/clock.ts'
import { type Scripts, withScripts } from '../../src/broker/redis-scripts.ts'
import { comparePositions, type Position } from '../../src/history/position.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type ListeningBroker, startBroker } from '../support/redis-broker.ts'

describe.runIf(requirePart('redis'))('the clock on Redis', () => {
  let server: RedisServer
  let redis: Redis & Scripts

  beforeAll(async () => {
    server = await startRedis()
    redis = withScripts(new Redis(server.url, { protocol: 2 })) as Redis & Scripts
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })

  /** Marks and resolves with what a listener hears. */
  async function mark(key: string, heard = '-'): Promise<{ epoch: number; number: number }> {
    const ears = new Redis(server.url, { protocol: 2 })
    await ears.subscribe(`${key}:channel`)
    const message = new Promise<string>((resolve) =>
      ears.on('message', (_channel: string, text: string) => resolve(text)),
    )
    await redis.sseMark(key, `${key}:channel`, heard)
    const marker = parseMarker(await message)
    ears.disconnect()
    if (marker === null) throw new Error(`${await message} is no marker`)
    return marker
  }

  it('begins an epoch named by Redis’s time in microseconds, and counts from one', async () => {
    const [seconds, microseconds] = (await redis.time()) as unknown as [string, string]
    const nowUs = Number(seconds) * 1e6 + Number(microseconds)
    const first = await mark('fresh')
    expect(first.number).toBe(1)
    expect(first.epoch).toBeGreaterThanOrEqual(nowUs)
    expect(first.epoch).toBeLessThan(nowUs + 60e6)
    expect(await mark('fresh')).toMatchObject({ epoch: first.epoch, number: 2 })
  })

  it('says what its sender heard', async () => {
    expect(await mark('heard', '7 12')).toMatchObject({ heard: { interval: 7, count: 12 } })
  })

  it('begins a greater epoch on a server that is not the one of the last marker', async () => {
    const before = await mark('moved')
    await redis.hset('moved', 'run_id', 'f'.repeat(40))
    const after = await mark('moved')
    expect(after.epoch).toBeGreaterThan(before.epoch)
    expect(after.number).toBe(1)
  })

  it('begins a greater epoch also when the last one lies in the future', async () => {
    const future = 8_999_999_999_999_998
    await redis.hset('future', { run_id: 'f'.repeat(40), epoch: future, n: 17 })
    expect(await mark('future')).toMatchObject({ epoch: future + 1, number: 1 })
    expect(await mark('future')).toMatchObject({ epoch: future + 1, number: 2 })
  })

  it('stays where it is as long as the server is the same', async () => {
    const before = await mark('same')
    await redis.hset('same', 'epoch', before.epoch + 5e12)
    expect((await mark('same')).epoch).toBe(before.epoch + 5e12)
  })

  it('begins a greater epoch after a flush', async () => {
    const before = await mark('flushed')
    await redis.flushall()
    const after = await mark('flushed')
    expect(after.epoch).toBeGreaterThan(before.epoch)
    expect(after.number).toBe(1)
  })
})

describe.runIf(requirePart('redis'))('positions', () => {
  let server: RedisServer
  let laravel: Redis

  beforeAll(async () => {
    server = await startRedis()
    laravel = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    laravel?.disconnect()
    await server?.close()
  })

  const start = (redisPrefix: string) => startBroker({ redis: server.url, redisPrefix })
  const increasing = (positions: Position[]) =>
    positions.every(
      (position, index) => index === 0 || comparePositions(positions[index - 1] as Position, position) < 0,
    )

  it('are the same on every node, whenever it came, and different for identical messages', async () => {
    const early = await start('agree_')
    for (let count = 0; count < 20; count += 1) await laravel.publish('agree_orders', 'same')
    const late = await start('agree_')
    const marked = late.ears.advances.length
    for (let count = 0; count < 40; count += 1) await laravel.publish(`agree_${count % 3}`, 'same')
    await late.ears.until(({ advances }) => advances.length >= marked + 2)
    for (let count = 0; count < 40; count += 1) await laravel.publish(`agree_${count % 3}`, 'same')
    await Promise.all([early.ears.untilMessages(100), late.ears.untilMessages(80)])
    const ids = early.ears.messages.map(({ id }) => id)
    expect(late.ears.messages.map(({ id }) => id)).toEqual(ids.slice(20))
    expect(new Set(ids).size).toBe(100)
    expect(increasing(early.ears.messages.map(({ position }) => position))).toBe(true)
    expect([early.ears.holes.length, late.ears.holes.length]).toEqual([1, 1])
  })

  it('take about one marker in an interval for the whole fleet', async () => {
    const options = { redis: server.url, markerIntervalMs: 200, readyTimeoutMs: 2000 }
    const alone = await startBroker({ ...options, redisPrefix: 'alone_' })
    const fleet = await Promise.all(Array.from({ length: 5 }, () => startBroker({ ...options, redisPrefix: 'fleet_' })))
    const { ears } = fleet[0] as ListeningBroker
    const [from, marks] = [ears.advances.length, alone.ears.advances.length]
    // One node alone is the measure of time: five that did not listen to each other would send five times as many.
    await alone.ears.until(({ advances }) => advances.length >= marks + 8)
    expect(ears.advances.length - from).toBeGreaterThanOrEqual(4)
    expect(ears.advances.length - from).toBeLessThan(20)
  })

  it('begin anew in a greater epoch when Redis has forgotten everything', async () => {
    const { ears } = await start('flush_')
    await laravel.publish('flush_orders', 'before')
    await laravel.flushall()
    await ears.untilHoles(2)
    await laravel.publish('flush_orders', 'after')
    await ears.untilMessages(2)
    expect(ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'restart'])
    const [before, after] = ears.messages
    expect(after?.position.epoch).toBeGreaterThan(before?.position.epoch ?? 0)
  })

  it('begin anew in a greater epoch on a Redis that was killed and started again, with one hole', async () => {
    const own = await startRedis()
    try {
      const nodes = await Promise.all([startBroker({ redis: own.url }), startBroker({ redis: own.url })])
      await own.restart('SIGKILL')
      for (const { ears } of nodes) {
        await ears.untilHoles(2)
        await ears.until(({ advances }) => advances.length >= 4)
      }
      for (const { ears } of nodes) {
        expect(ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'restart'])
        const [before, after] = ears.holes
        expect(after?.position.epoch).toBeGreaterThan(before?.position.epoch ?? 0)
      }
      await nodes[0]?.broker.publish(['orders'], 'x')
      await Promise.all(nodes.map(({ ears }) => ears.untilMessages(1)))
      expect(nodes[0]?.ears.messages[0]?.id).toBe(nodes[1]?.ears.messages[0]?.id)
    } finally {
      await own.close()
    }
  })

  it('go on while Redis has no memory for a marker, and readiness with them', async () => {
    const nodes = [await start('oom_'), await start('oom_')] as const
    const [{ broker, ears, log }, other] = nodes
    const canaries = () => ears.messages.filter(({ channel }) => channel === 'sse:canary').length
    await laravel.config('SET', 'maxmemory-policy', 'noeviction')
    await laravel.config('SET', 'maxmemory', '1')
    await log.until(/no memory left/)
    await laravel.publish('oom_orders', 'short of memory')
    await broker.publishAll([{ channels: ['orders'], payload: 'by http', once: 'what cannot be remembered' }])
    // Longer than readiness would last without the canary: at most one goes out every 75 ms.
    const [from, sinceMs] = [canaries(), Date.now()]
    await ears.until(() => canaries() > from && Date.now() - sinceMs > 900)
    expect([broker.isReady(), other.broker.isReady()]).toEqual([true, true])
    const marked = ears.advances.length
    await laravel.config('SET', 'maxmemory', '0')
    await ears.until(({ advances }) => advances.length >= marked + 3)
    await laravel.publish('oom_orders', 'after')
    for (const node of nodes) await node.ears.until(({ log: heard }) => heard.includes('orders after'))
    const orders = nodes.map((node) => node.ears.messages.filter(({ channel }) => channel === 'orders'))
    expect(orders[0]?.map(({ payload }) => payload)).toEqual(['short of memory', 'by http', 'after'])
    expect(orders[0]?.map(({ id }) => id)).toEqual(orders[1]?.map(({ id }) => id))
    expect(orders[0]?.map(({ id }) => id)).not.toContain(null)
    expect(nodes.map((node) => node.ears.holes.length)).toEqual([1, 1])
    expect(log.at('warn').filter((line) => line.includes('no memory left'))).toHaveLength(1)
  })
})
