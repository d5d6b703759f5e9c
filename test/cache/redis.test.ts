import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lastEventsContract } from '../contract/last-events.ts'
import { at, laravel } from '../support/history.ts'
import { startLastEvents } from '../support/last-events-node.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'

let apps = 0
const newPrefix = () => `app${++apps}_`
const seconds = (count: number) => delay(count * 1000)

describe.runIf(requirePart('redis'))('on a real Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  const open = (redisPrefix: string, ttlS = 60) => startLastEvents({ redis: server.url, redisPrefix }, ttlS)

  lastEventsContract('RedisLastEvents', async (ttlS) => {
    const redisPrefix = newPrefix()
    const [one, other] = [await open(redisPrefix, ttlS), await open(redisPrefix, ttlS)]
    const close = async () => void (await Promise.all([one.close(), other.close()]))
    return { here: one.store, there: other.store, wait: seconds, close }
  })

  it('is told to a node that starts later, and outlives the one that heard', async () => {
    const redisPrefix = newPrefix()
    const one = await open(redisPrefix)
    one.store.heard('cache-a', laravel('x'), at('1.1.1'))
    await one.close()
    const later = await open(redisPrefix)
    expect(await later.store.read('cache-a')).toMatchObject({ payload: laravel('x'), position: at('1.1.1') })
    expect(await server.cli('KEYS', `${redisPrefix}sse:cache:*`)).toBe(`${redisPrefix}sse:cache:cache-a`)
    expect(Number(await server.cli('PTTL', `${redisPrefix}sse:cache:cache-a`))).toBeGreaterThan(50_000)
    await later.close()
  })

  it('is the newest, whichever of two nodes is late and writes last', async () => {
    const redisPrefix = newPrefix()
    const [one, other] = [await open(redisPrefix), await open(redisPrefix)]
    const nodes = [one, other]
    const CHANNELS = ['cache-a', 'cache-b', 'cache-c']
    const heard = fc.record({ node: fc.nat(1), count: fc.integer({ min: 1, max: 4 }), pause: fc.boolean() })
    let epoch = 0
    await fc.assert(
      fc.asyncProperty(fc.array(heard, { maxLength: 30 }), async (steps) => {
        epoch += 1
        // Each node hears the same messages, in the same order, in its own time.
        const story = Array.from({ length: 20 }, (_, index) => ({
          channel: CHANNELS[(index * 7) % 3] as string,
          position: { epoch, marker: 1 + Math.floor(index / 8), count: 1 + (index % 8) },
        }))
        const told = [0, 0]
        const hear = (node: number, count: number) => {
          for (const { channel, position } of story.slice(told[node], (told[node] ?? 0) + count)) {
            nodes[node]?.store.heard(channel, laravel(position), position)
          }
          told[node] = (told[node] ?? 0) + count
        }
        for (const { node, count, pause } of steps) {
          hear(node, count)
          if (pause) await nodes[node]?.store.stop()
        }
        hear(0, 20)
        hear(1, 20)
        await Promise.all(nodes.map(({ store }) => store.stop()))
        for (const channel of CHANNELS) {
          const { position } = story.findLast((one) => one.channel === channel) ?? {}
          for (const { store } of nodes) expect(await store.read(channel)).toMatchObject({ position })
        }
      }),
      { numRuns: 40 },
    )
    await Promise.all(nodes.map((node) => node.close()))
  })

  it('takes one call for what comes in one piece, and brings all of it however much it is', async () => {
    const redisPrefix = newPrefix()
    const node = await open(redisPrefix)
    node.store.heard('cache-first', laravel(0), at('1.1.1'))
    await node.store.stop()
    await server.cli('CONFIG', 'RESETSTAT')
    for (let count = 1; count <= 500; count += 1) {
      node.store.heard(`cache-${count % 50}`, laravel(count), { epoch: 1, marker: 2, count })
    }
    await node.store.stop()
    const [, evals] = /cmdstat_evalsha:calls=(\d+)/.exec(await server.cli('INFO', 'commandstats')) ?? []
    // Renewals of the lease may come between.
    expect(Number(evals)).toBeLessThanOrEqual(4)
    expect(Number(evals)).toBeGreaterThan(0)
    for (let count = 451; count <= 1500; count += 1) {
      node.store.heard(`cache-${count}`, laravel(count), { epoch: 1, marker: 3, count })
    }
    await node.store.stop()
    expect((await server.cli('KEYS', `${redisPrefix}sse:cache:*`)).split('\n')).toHaveLength(50 + 1 + 1050)
    expect(await node.store.read('cache-1499')).toMatchObject({ payload: laravel(1499) })
    await node.close()
  })

  it('passes over what somebody else has written there', async () => {
    const redisPrefix = newPrefix()
    const node = await open(redisPrefix)
    await server.cli('HSET', `${redisPrefix}sse:cache:cache-a`, 'position', 'nonsense')
    expect(await node.store.read('cache-a')).toBeNull()
    node.store.heard('cache-a', laravel('x'), at('1.1.1'))
    await node.store.stop()
    expect(await node.store.read('cache-a')).toMatchObject({ payload: laravel('x') })
    await node.close()
  })

  it('is dropped while Redis is away, and the next event heals it', async () => {
    const own = await startRedis()
    const node = await startLastEvents({ redis: own.url, redisPrefix: '', readyTimeoutMs: 500 }, 60)
    node.store.heard('cache-a', laravel('before'), at('1.1.1'))
    await node.store.stop()
    await own.stop('SIGKILL')
    node.store.heard('cache-a', laravel('meanwhile'), at('1.1.2'))
    await expect(node.store.read('cache-a')).rejects.toMatchObject({ code: 'broker_unavailable' })
    await node.store.stop()
    await own.start()
    await expect.poll(() => node.store.read('cache-a').catch(() => 'away')).toBeNull()
    node.store.heard('cache-a', laravel('after'), at('2.1.1'))
    expect(await node.store.read('cache-a')).toMatchObject({ payload: laravel('after') })
    await node.close()
    await own.close()
  })
})

describe.runIf(requirePart('redis'))('in a Redis Cluster', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedisCluster()
  })
  afterAll(() => server?.close())

  for (const tag of ['', '{shop}']) {
    lastEventsContract(`RedisLastEvents with the prefix "${tag}app_"`, async (ttlS) => {
      const options = { redisCluster: [`127.0.0.1:${server.port}`], redisPrefix: `${tag}${newPrefix()}` }
      const [one, other] = [await startLastEvents(options, ttlS), await startLastEvents(options, ttlS)]
      const close = async () => void (await Promise.all([one.close(), other.close()]))
      return { here: one.store, there: other.store, wait: seconds, close }
    })
  }
})
