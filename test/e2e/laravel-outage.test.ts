import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Curl, curl } from '../support/curl.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { runProgram } from '../support/program.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { untilTrue } from '../support/until-true.ts'

const PREFIX = 'acme_shop_database_'

describe.runIf(requirePart('redis', 'php', 'phpredis', 'curl', 'laravel-12'))('an outage beside a real Laravel', () => {
  let redis: RedisServer
  let laravel: Laravel
  let gateway: GatewayProcess
  let cookie: string

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await startLaravel({ app: 'laravel-12', redisClient: 'phpredis', redisPort: redis.port })
    cookie = (await laravel.login(1)).cookie
  })

  afterAll(async () => {
    await laravel?.stop()
    await redis?.close()
  })

  beforeEach(async () => {
    const args = ['--redis', redis.url, '--redis-prefix', PREFIX, '--laravel-url', laravel.url]
    gateway = await startGatewayProcess(args)
  })

  afterEach(async () => {
    await gateway?.stop('SIGKILL')
  })

  const listen = (channels: string, lastEventId?: string) => {
    const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }
    return curl(`${gateway.url}/stream?channels=${channels}`, { cookie, headers })
  }

  it('of Redis keeps streams open, is told once, and what comes after it arrives', async () => {
    const shop = await listen('orders,private-orders.1')
    const shelf = await listen('orders')
    await Promise.all([shop.take(2, 'subscribed'), shelf.next('subscribed')])
    await laravel.broadcast('order-shipped', { id: 1, count: 5 })
    await Promise.all([shop.take(5, 'message'), shelf.take(5, 'message')])
    const cursor = shelf.lastEventId

    await redis.stop('SIGKILL')
    await untilTrue(async () => !(await gateway.isReady()))
    await redis.start()
    const gaps = [await shop.next('gap'), await shelf.next('gap')]
    await laravel.broadcast('order-shipped', { id: 6, count: 5 })
    await laravel.broadcast('announced', { id: 11, channel: 'private-orders.1' })
    await Promise.all([shop.take(6, 'message'), shelf.take(5, 'message')])

    expect(gaps.map(({ data }) => data)).toEqual([
      { channels: null, reason: expect.any(String) },
      { channels: null, reason: expect.any(String) },
    ])
    expect([shop.hasExited, shelf.hasExited]).toEqual([false, false])
    expect(story(shop)).toEqual([...numbers(1, 5), 'gap', ...numbers(6, 11)])
    expect(story(shelf)).toEqual([...numbers(1, 5), 'gap', ...numbers(6, 10)])

    // Who was away meanwhile is told as well, and goes on from there.
    const back = await listen('orders', cursor)
    await back.next('gap')
    await laravel.broadcast('order-shipped', { id: 12 })
    await back.take(6, 'message')
    expect(story(back).at(-1)).toBe(12)
    expect(story(back).filter((part) => part === 'gap')).toHaveLength(1)
  })

  it('of Redis hides nothing that was published the moment it was back', async () => {
    const stream = await listen('orders')
    await stream.next('subscribed')
    await redis.restart('SIGKILL')

    let last = 0
    while (!story(stream).includes('gap') && last < 500) await laravel.broadcast('order-shipped', { id: ++last })
    await laravel.broadcast('order-shipped', { id: last + 1, count: 3 })
    await untilTrue(() => story(stream).includes(last + 3))

    const told = story(stream)
    const afterGap = told.slice(told.indexOf('gap') + 1) as number[]
    expect(told.indexOf('gap')).toBe(0)
    expect(afterGap).toEqual(numbers(afterGap[0] ?? 0, last + 3))
  })

  it('of Laravel denies guarded channels for the moment, while public ones live on', async () => {
    const before = await listen('orders,private-orders.1')
    await before.take(2, 'subscribed')

    await laravel.crash()
    const meanwhile = await listen('orders,private-orders.1')
    const denied = await meanwhile.next('denied')
    expect(denied.data).toMatchObject({ channel: 'private-orders.1', status: 503, retry: true })
    expect(denied.data.retryAfterMs).toBeGreaterThan(0)
    await publish('orders', { id: 1 })
    await publish('private-orders.1', { id: 2 })
    await before.take(2, 'message')
    await meanwhile.next('message')

    await laravel.restart()
    const after = await listen('orders,private-orders.1', meanwhile.lastEventId)
    await after.take(2, 'subscribed')
    await laravel.broadcast('announced', { id: 3, channel: 'private-orders.1' })
    await Promise.all([before.next('message'), after.take(2, 'message')])

    expect(story(before)).toEqual([1, 2, 3])
    expect(story(meanwhile)).toEqual([1])
    // 2 came after the newest id of the stream that was refused this channel.
    expect(story(after)).toEqual([2, 3])
  })

  it('of the gateway’s own, a few seconds long, delays and loses nothing', async () => {
    const stream = await listen('orders,private-orders.1')
    await stream.take(2, 'subscribed')
    await laravel.broadcast('order-shipped', { id: 1, count: 5 })
    await stream.take(5, 'message')

    gateway.freeze()
    await laravel.broadcast('order-shipped', { id: 6, count: 50 })
    // Longer than the gateway waits for its own marker to come back.
    await new Promise((resolve) => setTimeout(resolve, 3500))
    await laravel.broadcast('announced', { id: 56, count: 50, channel: 'private-orders.1' })
    gateway.thaw()
    await untilTrue(() => story(stream).includes(105))
    await untilTrue(() => gateway.isReady())
    await laravel.broadcast('order-shipped', { id: 106 })
    await untilTrue(() => story(stream).includes(106))

    expect(story(stream)).toEqual(numbers(1, 106))
  })

  it('of the gateway’s process is told to whom comes back', async () => {
    const stream = await listen('orders')
    await stream.next('subscribed')
    await laravel.broadcast('order-shipped', { id: 1, count: 3 })
    await stream.take(3, 'message')

    await gateway.stop('SIGKILL')
    // curl: (18) transfer closed with outstanding read data remaining
    expect(await stream.exited).toBe(18)
    await laravel.broadcast('order-shipped', { id: 4 })
    await gateway.start()
    const again = await listen('orders', stream.lastEventId)
    await again.next('gap')
    await laravel.broadcast('order-shipped', { id: 5 })
    await again.next('message')

    expect(story(again)).toEqual(['gap', 5])
  })

  async function publish(channel: string, data: unknown): Promise<void> {
    const where = ['--redis', redis.url, '--redis-prefix', PREFIX]
    const { code, err } = await runProgram(['publish', channel, 'Announced', JSON.stringify(data), ...where])
    expect(err).toBe('')
    expect(code).toBe(0)
  }
})

/** What a page was told, in order: the numbers of its messages, and each `gap`. */
function story({ frames }: Curl): (number | 'gap')[] {
  const told = frames.filter(({ event }) => event === 'message' || event === 'gap')
  return told.map(({ event, data }) => (event === 'gap' ? 'gap' : data.data.id))
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
