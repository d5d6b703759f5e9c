import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { laravel as broadcast } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openStream } from '../support/sse-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { Traveller } from '../support/traveller.ts'

const PREFIX = 'laravel_database_'
const TIMING = { markerIntervalMs: 200, readyTimeoutMs: 1000, redisPrefix: PREFIX }

type Scene = {
  server: RedisServer
  /** Straight at Redis. */
  healthy: RunningGateway
  /** Behind `line`. */
  remote: RunningGateway
  line: TcpProxy
  /** As Laravel's Redis driver does; resolves when Redis has it. */
  publish: (data: unknown, channel?: string) => Promise<unknown>
}

async function setTheScene(overrides: Partial<Config> = {}): Promise<Scene> {
  const server = await startRedis()
  atEndOfTest(server.close)
  const line = await startTcpProxy(server.port)
  const [healthy, remote] = await Promise.all([
    startGateway({ redis: server.url, ...TIMING, ...overrides }),
    startGateway({ redis: line.redisUrl, ...TIMING, ...overrides }),
  ])
  const redis = new Redis(server.url, { protocol: 2, retryStrategy: () => 50 })
  redis.on('error', () => {})
  atEndOfTest(() => redis.disconnect())
  const publish = (data: unknown, channel = 'orders') => redis.publish(PREFIX + channel, broadcast(data))
  return { server, healthy, remote, line, publish }
}

async function isReady({ url }: RunningGateway): Promise<boolean> {
  return (await fetch(`${url}/ready`)).status === 200
}

/** Readiness is asked for, not told. */
async function untilReady(gateway: RunningGateway, wanted: boolean): Promise<void> {
  await expect.poll(() => isReady(gateway), { interval: 20, timeout: PATIENCE_MS }).toBe(wanted)
}

async function arrive(gateway: RunningGateway): Promise<Traveller> {
  const page = new Traveller(['orders'])
  await page.moveTo(gateway)
  await page.read('subscribed')
  return page
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe.runIf(requirePart('redis'))('a gateway that is cut off from Redis for 5 s while messages flow', () => {
  it('tells its pages, and nobody else notices', async () => {
    const { healthy, remote, line, publish } = await setTheScene()
    const stays = await arrive(remote)
    const moves = await arrive(remote)
    const elsewhere = await arrive(healthy)
    await publish(1)
    await Promise.all([stays, moves, elsewhere].map((page) => page.untilSeen(1)))

    line.cut()
    const until = Date.now() + 5000
    let last = 1
    while (Date.now() < until) {
      last += 1
      await publish(last)
      await sleep(50)
    }
    expect(await isReady(remote)).toBe(false)
    expect(await isReady(healthy)).toBe(true)

    // Who goes where messages are heard has missed nothing.
    await moves.moveTo(healthy)
    await moves.untilSeen(last)
    expect(moves.seen).toEqual(numbers(1, last))
    expect(moves.gaps).toEqual([])

    line.resume()
    await stays.read('gap')
    await untilReady(remote, true)
    await publish(last + 1)
    await Promise.all([stays.untilSeen(2), moves.untilSeen(last + 1), elsewhere.untilSeen(last + 1)])
    expect(stays.seen).toEqual([1, last + 1])
    expect(stays.gaps).toEqual([{ channels: null, reason: 'relay-lost' }])
    expect(elsewhere.seen).toEqual(numbers(1, last + 1))
    expect(elsewhere.gaps).toEqual([])

    // The gap had an id: it is told once, here and elsewhere.
    for (const gateway of [remote, healthy]) {
      await stays.moveTo(gateway)
      await publish(last + 2)
      await stays.untilSeen(stays.seen.length + 1)
    }
    expect(stays.gaps).toHaveLength(1)
    expect(stays.resumes).toEqual(['fresh', 'ok', 'ok'])
  })
})

describe.runIf(requirePart('redis'))('a page with a cursor ahead of the gateway it comes to', () => {
  it('gets nothing twice and no gap where the line only stalled', async () => {
    const { healthy, remote, line, publish } = await setTheScene()
    const page = await arrive(healthy)
    await publish(1)
    await page.untilSeen(1)
    line.silence('to-client')
    for (const number of numbers(2, 20)) await publish(number)
    await page.untilSeen(10)
    await page.moveTo(remote)
    await page.read('subscribed')
    await publish(21)
    line.resume()
    await page.untilSeen(21)
    expect(page.seen).toEqual(numbers(1, 21))
    expect([page.repeated, page.gaps]).toEqual([0, []])
    expect(page.resumes).toEqual(['fresh', 'ok'])
  })

  it('gets nothing twice, and a gap because something may be missing, where the line was cut', async () => {
    const { healthy, remote, line, publish } = await setTheScene()
    const page = await arrive(healthy)
    const witness = await arrive(remote)
    await publish(1)
    await Promise.all([page.untilSeen(1), witness.untilSeen(1)])
    line.cut()
    for (const number of numbers(2, 20)) await publish(number)
    await page.untilSeen(10)
    await page.moveTo(remote)
    await page.read('subscribed')
    line.resume()
    await page.read('gap')
    await witness.read('gap')
    await publish(21)
    await Promise.all([page.untilSeen(11), witness.untilSeen(2)])
    expect(page.seen).toEqual([...numbers(1, 10), 21])
    expect(page.gaps).toEqual([{ channels: null, reason: 'relay-lost' }])
    expect(page.resumes).toEqual(['fresh', 'ok'])
  })

  it('gets no gap where it was told of everything up to the end of the cut', async () => {
    const { healthy, remote, line, publish } = await setTheScene()
    const page = await arrive(healthy)
    const witness = await arrive(remote)
    line.cut()
    await publish(1)
    await page.untilSeen(1)
    line.resume()
    await witness.read('gap')
    await publish(2)
    await Promise.all([page.untilSeen(2), witness.untilSeen(1)])
    await page.moveTo(remote)
    await publish(3)
    await page.untilSeen(3)
    expect(page.seen).toEqual([1, 2, 3])
    expect(page.gaps).toEqual([])
  })
})

describe.runIf(requirePart('redis'))('a relay connection that hears nothing while commands work', () => {
  it('is noticed and replaced; the pages are told, readiness turns red and green again', async () => {
    const { remote, line, publish } = await setTheScene()
    const page = await arrive(remote)
    await publish(1)
    await page.untilSeen(1)
    line.silence('to-client', (sent) => /psubscribe/i.test(sent))
    await publish('lost')
    await untilReady(remote, false)
    await page.read('gap')
    await untilReady(remote, true)
    await publish(2)
    await page.untilSeen(2)
    expect(page.seen).toEqual([1, 2])
    expect(page.gaps).toEqual([{ channels: null, reason: 'relay-lost' }])
    const metrics = await (await fetch(`${remote.url}/metrics`)).text()
    expect(metrics).toMatch(/^echo_sse_relay_lost_total 1$/m)
    expect(metrics).toMatch(/^echo_sse_broker_holes_total{reason="relay-lost"} 1$/m)
    expect(metrics).toMatch(/^echo_sse_gaps_total{reason="relay-lost"} 1$/m)
  })
})

describe.runIf(requirePart('redis'))('Redis', () => {
  it('killed and started again: streams stay open and are told once, what comes after it arrives', async () => {
    const { server, healthy, remote, publish } = await setTheScene()
    const pages = [await arrive(healthy), await arrive(remote)]
    const away = await arrive(healthy)
    await publish(1)
    await Promise.all([...pages, away].map((page) => page.untilSeen(1)))
    away.leave()

    await server.stop('SIGKILL')
    await Promise.all([untilReady(healthy, false), untilReady(remote, false)])
    await server.start()
    await Promise.all(pages.map((page) => page.read('gap')))
    await Promise.all([untilReady(healthy, true), untilReady(remote, true)])
    await publish(2)
    await Promise.all(pages.map((page) => page.untilSeen(2)))

    await away.moveTo(remote)
    await away.untilSeen(2)
    await away.moveTo(healthy)
    await publish(3)
    for (const page of [...pages, away]) {
      await page.untilSeen(3)
      expect(page.seen).toEqual([1, 2, 3])
      expect(page.gaps).toEqual([{ channels: null, reason: 'restart' }])
    }
    for (const page of pages) expect(page.resumes).toEqual(['fresh'])
    expect(away.resumes).toEqual(['fresh', 'gap', 'ok'])
  })

  it('standing still for a while: nothing is lost, and nobody is told that it was', async () => {
    const { server, healthy, remote, publish } = await setTheScene()
    const pages = [await arrive(healthy), await arrive(remote)]
    process.kill(server.pid, 'SIGSTOP')
    const published = Promise.all(numbers(1, 50).map((number) => publish(number)))
    try {
      await Promise.all([untilReady(healthy, false), untilReady(remote, false)])
      // Past the timeout of commands as well.
      await sleep(1500)
    } finally {
      process.kill(server.pid, 'SIGCONT')
    }
    await published
    await Promise.all([untilReady(healthy, true), untilReady(remote, true)])
    for (const page of pages) {
      await page.untilSeen(50)
      expect(page.seen).toEqual(numbers(1, 50))
      expect(page.gaps).toEqual([])
    }
  })

  it('out of memory: still ready, and messages arrive with ids that hold on every gateway', async () => {
    const { server, healthy, remote, publish } = await setTheScene()
    const page = await arrive(healthy)
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await server.cli('CONFIG', 'SET', 'maxmemory', '1')
    await publish(1)
    await page.untilSeen(1)
    // Longer than readiness lasts without a sign of life.
    await sleep(1500)
    expect([await isReady(healthy), await isReady(remote)]).toEqual([true, true])
    page.leave()
    await publish(2)
    await page.moveTo(remote)
    await page.untilSeen(2)
    await server.cli('CONFIG', 'SET', 'maxmemory', '0')
    await publish(3)
    await page.untilSeen(3)
    expect(page.seen).toEqual([1, 2, 3])
    expect(page.gaps).toEqual([])
  })
})

describe.runIf(requirePart('redis'))('a Redis that has forgotten everything', () => {
  type Known = { socketId: string; key: string }

  const identify = async ({ url }: RunningGateway, known?: Known): Promise<Known> => {
    const page = await openStream(`${url}/stream?${new URLSearchParams({ channels: 'orders', ...known })}`)
    const { socketId, key } = (await page.next('connected')).data
    page.close()
    return { socketId, key }
  }

  const setUp = async () => {
    const server = await startRedis()
    atEndOfTest(server.close)
    const start = (overrides: Partial<Config> = {}) => startGateway({ redis: server.url, ...TIMING, ...overrides })
    return { server, start, secretKey: `${PREFIX}sse:secret` }
  }

  it('leaves pages who they are, also on a gateway that starts after it', async () => {
    const { server, start } = await setUp()
    const early = await start()
    const before = await identify(early)
    await server.cli('FLUSHALL')
    const late = await start()
    const moved = await identify(late, before)
    expect(moved.socketId).toBe(before.socketId)
    const stranger = await identify(late)
    expect((await identify(early, stranger)).socketId).toBe(stranger.socketId)
  })

  it('may know another secret by then, which all sign with from then on', async () => {
    const { server, start, secretKey } = await setUp()
    const early = await start()
    const before = await identify(early)
    await server.cli('EVAL', `redis.call('FLUSHALL') redis.call('SET', '${secretKey}', 'another-secret')`, '0')
    await expect.poll(() => early.gateway.services.identities?.secret, { timeout: PATIENCE_MS }).toBe('another-secret')
    const renewed = await identify(early, before)
    expect(renewed.socketId).toBe(before.socketId)
    expect((await identify(await start(), renewed)).socketId).toBe(before.socketId)
  })

  it('is offered the secret that could not be shared at the start', async () => {
    const { server, start, secretKey } = await setUp()
    await server.cli('LPUSH', secretKey, 'in the way')
    const early = await start()
    const before = await identify(early)
    await server.cli('FLUSHALL')
    await expect.poll(() => server.cli('EXISTS', secretKey), { timeout: PATIENCE_MS }).toBe('1')
    expect((await identify(await start(), before)).socketId).toBe(before.socketId)
  })

  it('never replaces a secret that was configured', async () => {
    const { server, start, secretKey } = await setUp()
    const gateway = await start({ secret: 'configured-by-hand' })
    const page = await arrive(gateway)
    await server.cli('EVAL', `redis.call('FLUSHALL') redis.call('SET', '${secretKey}', 'another-secret')`, '0')
    await page.read('gap')
    expect(await server.cli('GET', secretKey)).toBe('another-secret')
    expect(gateway.gateway.services.identities?.secret).toBe('configured-by-hand')
  })
})
