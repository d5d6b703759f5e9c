import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LaravelAuthorizer } from '../../src/auth/laravel.ts'
import type { Config } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { FakeLaravel, type FakeReply, type FakeRequest } from '../support/fake-laravel.ts'
import { grantByBearer } from '../support/fleet.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { laravel as broadcast } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { SseClient } from '../support/sse-client.ts'
import { joinPage, openPage, type PageOptions, type TalkingPage } from '../support/talking-page.ts'

const NAME = 'cache-stock'

/** What a stream said of a cache channel: `miss`, data, `=data` for a cached one. */
function told({ frames }: SseClient, channel = NAME): unknown[] {
  return frames.flatMap(({ event, data }) => {
    if (data.channel !== channel) return []
    if (event === 'cache_miss') return ['miss']
    return event === 'message' ? [data.cached === true ? `=${data.data}` : data.data] : []
  })
}

describe.runIf(requirePart('redis'))('cache channels of several gateways', () => {
  let server: RedisServer
  let redis: Redis
  let prefix: string
  let tests = 0

  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2, retryStrategy: () => 20 })
    redis.on('error', () => {})
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })

  const newService = () => {
    prefix = `cache${++tests}_`
  }

  function start(overrides: Partial<Config> = {}, parts?: Parameters<typeof startGateway>[1]): Promise<RunningGateway> {
    const timing = { markerIntervalMs: 200, readyTimeoutMs: 1000 }
    return startGateway({ redis: server.url, redisPrefix: prefix, ...timing, ...overrides }, parts)
  }

  /** As Laravel's Redis driver does. */
  const publish = (channel: string, data: unknown, socket: string | null = null) =>
    redis.publish(prefix + channel, broadcast(data, socket))

  /** A page that has been told everything there was: a guarded channel beside is decided when the rest is. */
  const join = (gateway: RunningGateway, channels = NAME, options: PageOptions = {}) =>
    joinPage(gateway, `${channels},private-beside`, options)

  const untilCached = (channel: string, data: unknown) =>
    expect
      .poll(async () => (await redis.hget(`${prefix}sse:cache:${channel}`, 'payload')) ?? '')
      .toContain(`"data":${JSON.stringify(data)}`)

  it('tell the last event of the service, also where it was never heard', async () => {
    newService()
    const first = await start()
    await publish(NAME, 'old')
    await publish(NAME, 'new')
    await untilCached(NAME, 'new')
    const later = await start()
    for (const gateway of [first, later]) expect(told((await join(gateway)).stream)).toEqual(['=new'])
    await first.stop()
    const last = await start()
    expect(told((await join(last)).stream)).toEqual(['=new'])
    expect(told((await join(last, 'cache-other')).stream, 'cache-other')).toEqual(['miss'])
  })

  it('tell it to nobody again who goes on at another one', async () => {
    newService()
    const [here, there] = await Promise.all([start(), start()])
    await publish(NAME, 1)
    await untilCached(NAME, 1)
    const page = await join(here)
    await publish(NAME, 2)
    await page.stream.next('message')
    page.stream.close()
    const cursor = page.stream.lastEventId ?? ''
    await publish(NAME, 3)
    const moved = await join(there, NAME, { query: { lastEventId: cursor } })
    expect([told(page.stream), told(moved.stream)]).toEqual([['=1', 2], [3]])
  })

  it('bring every page to the same state, whenever and wherever it comes, and tell it nothing twice', async () => {
    newService()
    const nodes = await Promise.all([start(), start(), start()])
    const MESSAGES = 300
    const pages: TalkingPage[] = []
    const published = (async () => {
      for (let number = 1; number <= MESSAGES; number += 1) {
        await publish(number % 3 === 0 ? 'orders' : NAME, number)
        if (number % 10 === 0) pages.push(await openPage(nodes[pages.length % 3] as RunningGateway, `orders,${NAME}`))
      }
    })()
    await published
    await publish(NAME, 'last')
    expect(pages).toHaveLength(30)
    for (const { stream } of pages) {
      while (told(stream).at(-1) !== 'last') await stream.next('message')
      const [first, ...others] = told(stream)
      const numbers = [first, ...others].slice(0, -1).map((one) => Number(String(one).replace('=', '')))
      expect(numbers).toEqual(numbers.toSorted((one, other) => one - other))
      expect(new Set(numbers).size).toBe(numbers.length)
      // From the last event on without a gap: what was not live is cached.
      const expected = Array.from({ length: MESSAGES }, (_, index) => index + 1).filter((number) => number % 3 !== 0)
      expect(numbers).toEqual(expected.slice(expected.indexOf(numbers[0] ?? 0)))
      expect(others.filter((one) => String(one).startsWith('='))).toEqual([])
    }
    // Where another gateway was faster than this one, the last event comes by itself.
    expect(pages.filter(({ stream }) => String(told(stream)[0]).startsWith('=')).length).toBeGreaterThan(5)
  })

  it('tell it after Laravel has granted the channel, with its list on presence channels', async () => {
    newService()
    const laravel = await FakeLaravel.start(grantByBearer)
    atEndOfTest(() => laravel.close())
    const authorizer = () => new LaravelAuthorizer({ url: laravel.url })
    const [here, there] = [await start({}, { authorizer: authorizer() }), await start({}, { authorizer: authorizer() })]
    const names = ['private-cache-a', 'presence-cache-a', 'private-encrypted-cache-a']
    const sealed = { nonce: 'bm9uY2U=', ciphertext: 'c2VjcmV0' }
    for (const name of names) {
      await publish(name, sealed)
      await untilCached(name, sealed)
    }
    const refuse = ({ channel, ...request }: FakeRequest): FakeReply =>
      channel === names[0] ? { status: 403, body: '{}' } : grantByBearer({ channel, ...request })
    await join(here, names.join())
    const page = await join(there, names.join(), { user: 'grace' })
    for (const name of names) {
      const about = page.stream.frames.filter(({ data }) => data.channel === name)
      expect(about.map(({ event, data }) => [event, data.data, data.cached])).toEqual([
        ['subscribed', undefined, undefined],
        ['message', sealed, true],
      ])
    }
    const { data } = page.stream.frames.find(({ data }) => data.channel === names[1]) ?? {}
    expect(data.members.map(({ id }: { id: string }) => id).sort()).toEqual(['ada', 'grace'])
    laravel.answers(refuse)
    const refused = await join(there, names.join(), { user: 'eve' })
    expect(told(refused.stream, names[0] ?? '')).toEqual([])
    expect(told(refused.stream, names[1] ?? '')).toHaveLength(1)
  })

  it('forget it after its time', async () => {
    newService()
    const [here, there] = await Promise.all([start({ cacheTtlS: 2 }), start({ cacheTtlS: 2 })])
    await publish(NAME, 1)
    await untilCached(NAME, 1)
    expect(told((await join(there)).stream)).toEqual(['=1'])
    await expect.poll(() => redis.exists(`${prefix}sse:cache:${NAME}`)).toBe(0)
    for (const gateway of [here, there]) expect(told((await join(gateway)).stream)).toEqual(['miss'])
  })

  it('grant the channel without it while Redis is away, claim no miss, and know the next event', async () => {
    newService()
    const own = await startRedis()
    const options = { redis: own.url, redisPrefix: prefix, markerIntervalMs: 100, readyTimeoutMs: 500 }
    const gateway = await startGateway(options)
    const before = new Redis(own.url, { protocol: 2 })
    await before.publish(prefix + NAME, broadcast('before'))
    before.disconnect()
    await expect.poll(() => gateway.gateway.services.history.length).toBe(1)
    await own.stop('SIGKILL')
    const page = await openPage(gateway, `${NAME},orders`)
    await page.stream.next('ping')
    expect(page.stream.frames.map(({ event }) => event).toSorted()).toEqual([
      'connected',
      'ping',
      'subscribed',
      'subscribed',
    ])
    await own.start()
    await page.stream.next('gap')
    const after = new Redis(own.url, { protocol: 2 })
    const answered = await join(gateway)
    expect(told(answered.stream)).toEqual(['miss'])
    await after.publish(prefix + NAME, broadcast('after'))
    expect((await page.stream.next('message')).data.data).toBe('after')
    expect(told((await join(gateway)).stream)).toEqual(['=after'])
    after.disconnect()
    await gateway.stop()
    await own.close()
  })
})
