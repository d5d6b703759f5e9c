import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type ListeningBroker, startBroker } from '../support/redis-broker.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const isRelay = (sent: string) => /psubscribe/i.test(sent)
const isCommands = (sent: string) => !isRelay(sent)

describe.runIf(requirePart('redis'))('the relay connection', () => {
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

  async function startBehindProxy(redisPrefix: string): Promise<ListeningBroker & { proxy: TcpProxy }> {
    const proxy = await startTcpProxy(server.port)
    return { ...(await startBroker({ redis: proxy.redisUrl, redisPrefix })), proxy }
  }

  async function until(condition: () => boolean): Promise<void> {
    // Readiness is asked for, not told.
    await expect.poll(condition, { interval: 10, timeout: PATIENCE_MS }).toBe(true)
  }

  it('is replaced when it hears nothing although Redis takes the markers', async () => {
    const { broker, ears, log, lost, proxy } = await startBehindProxy('deaf_')
    proxy.silence('to-client', isRelay)
    await laravel.publish('deaf_orders', 'lost')
    await until(() => !broker.isReady())
    await log.until(/relay connection is deaf/)
    await ears.untilHoles(2)
    expect(broker.isReady()).toBe(true)
    await laravel.publish('deaf_orders', 'heard')
    await ears.untilMessages(1)
    expect(ears.messages.map(({ payload }) => payload)).toEqual(['heard'])
    expect(ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'relay-lost'])
    expect(lost()).toBe(1)
    expect(proxy.size).toBe(2)
  })

  it('is kept when only the other connection has died without a word: that one is replaced', async () => {
    const { broker, ears, proxy } = await startBehindProxy('mute_')
    proxy.silence('to-client', isCommands)
    proxy.silence('to-server', isCommands)
    await until(() => !broker.isReady())
    await laravel.publish('mute_orders', 'heard all the same')
    await ears.untilMessages(1)
    await until(() => broker.isReady())
    expect(ears.holes).toHaveLength(1)
  })

  it('loses nothing when the line only stalls', async () => {
    const { broker, ears, proxy } = await startBehindProxy('stall_')
    proxy.silence('to-client')
    await until(() => !broker.isReady())
    for (const payload of ['1', '2', '3']) await laravel.publish('stall_orders', payload)
    proxy.resume()
    await ears.untilMessages(3)
    await until(() => broker.isReady())
    expect(ears.messages.map(({ payload }) => payload)).toEqual(['1', '2', '3'])
    expect(ears.messages.map(({ id }) => id)).not.toContain(null)
    expect(ears.holes).toHaveLength(1)
  })

  it('is kept when it is only late: what it hears shows that it is not deaf', async () => {
    const { broker, ears, lost, proxy } = await startBehindProxy('late_')
    proxy.slow(500_000, isRelay)
    // The markers stand in line behind a second and a half of messages.
    for (let count = 0; count < 75; count += 1) await laravel.publish('late_orders', 'x'.repeat(10_000))
    await until(() => !broker.isReady())
    await ears.untilMessages(75)
    await until(() => broker.isReady())
    expect(ears.holes).toHaveLength(1)
    expect(lost()).toBe(0)
  })

  it('tells of a hole when the line was cut, and of no second one', async () => {
    const { broker, ears, log, lost, proxy } = await startBehindProxy('cut_')
    proxy.cut()
    await log.until(/relay connection lost/)
    expect(broker.isReady()).toBe(false)
    await laravel.publish('cut_orders', 'lost')
    proxy.resume()
    await ears.untilHoles(2)
    await laravel.publish('cut_orders', 'heard')
    await ears.untilMessages(1)
    const marked = ears.advances.length
    await ears.until(({ advances }) => advances.length >= marked + 3)
    expect(ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'relay-lost'])
    expect(ears.messages.map(({ payload }) => payload)).toEqual(['heard'])
    expect(lost()).toBe(1)
  })

  it('keeps what it hears before its first marker, and tells it after the hole, without an id', async () => {
    const { ears, log } = await startBroker({ redis: server.url, redisPrefix: 'early_', readyTimeoutMs: 6000 })
    // No markers while there is no memory for them.
    await laravel.config('SET', 'maxmemory', '1')
    await laravel.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until(() => log.at('info').filter((line) => line === 'relay subscribed').length === 2)
    await laravel.publish('early_orders', 'early')
    await laravel.config('SET', 'maxmemory', '0')
    await ears.until(({ messages }) => messages.some(({ channel }) => channel === 'orders'))
    const early = ears.messages.find(({ channel }) => channel === 'orders')
    expect(ears.log.filter((line) => /hole|orders/.test(line))).toEqual([
      'hole restart',
      'hole relay-lost',
      'orders early',
    ])
    expect(early).toMatchObject({ id: null, position: ears.holes[1]?.position })
  })

  it('loses nothing when Redis stands still for a while', async () => {
    const { broker, ears, lost } = await startBroker({ redis: server.url, redisPrefix: 'frozen_' })
    process.kill(server.pid, 'SIGSTOP')
    try {
      await until(() => !broker.isReady())
    } finally {
      process.kill(server.pid, 'SIGCONT')
    }
    await until(() => broker.isReady())
    await laravel.publish('frozen_orders', 'x')
    await ears.untilMessages(1)
    expect(ears.holes).toHaveLength(1)
    expect(lost()).toBe(0)
  })
})
