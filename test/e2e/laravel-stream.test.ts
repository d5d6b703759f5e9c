import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { curl } from '../support/curl.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, type LaravelOptions, startLaravel } from '../support/laravel.ts'
import { type Part, pathOf, requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Watched, watch } from '../support/watched.ts'

const run = promisify(execFile)

type Application = Pick<LaravelOptions, 'app' | 'redisClient'> & { parts: Part[] }

const applications: Application[] = [
  { app: 'laravel-12', redisClient: 'predis', parts: ['laravel-12'] },
  { app: 'laravel-12', redisClient: 'phpredis', parts: ['laravel-12', 'phpredis'] },
  { app: 'laravel-8', redisClient: 'predis', parts: ['laravel-8'] },
  { app: 'laravel-8', redisClient: 'phpredis', parts: ['laravel-8', 'phpredis'] },
]

for (const { app, redisClient, parts } of applications) {
  describe.runIf(requirePart('redis', 'php', 'curl', ...parts))(`${app} with ${redisClient}, heard with curl`, () => {
    let redis: RedisServer
    let laravel: Laravel
    let gateway: GatewayProcess
    let tokenGateway: GatewayProcess
    let asked: Watched

    beforeAll(async () => {
      redis = await startRedis()
      laravel = await startLaravel({ app, redisClient, redisPort: redis.port })
      asked = await watch(laravel.url)
      // Redis and its prefix come out of the application's own `.env`.
      const where = ['--laravel', laravel.dir, '--laravel-url', asked.url]
      ;[gateway, tokenGateway] = await Promise.all([
        startGatewayProcess(where),
        startGatewayProcess([...where, '--auth-endpoint', '/api/broadcasting/auth']),
      ])
    })

    afterAll(async () => {
      await Promise.all([gateway?.stop(), tokenGateway?.stop()])
      await asked?.close()
      await laravel?.stop()
      await redis?.close()
    })

    const listen = (channels: string, options?: Parameters<typeof curl>[1]) =>
      curl(`${gateway.url}/stream?channels=${channels}`, options)

    describe('broadcasts', () => {
      it('arrive on a public channel, letter for letter and digit for digit', async () => {
        const stream = await listen('prices')
        await stream.next('subscribed')

        await laravel.broadcast('price-listed')

        expect((await stream.next('message')).text).toBe(
          String.raw`{"channel":"prices","event":"App\\Events\\PriceListed","data":{"id":1,` +
            String.raw`"name":"Zo\u00eb's caf\u00e9 \u2013 \u65e5\u672c \ud83d\ude80 <b>&\u2028\n",` +
            `"price":0.30000000000000004,"whole":1,"serial":9007199254740993,"largest":9223372036854775807,` +
            String.raw`"path":"a\/b\\c","empty":[],"nothing":null}}`,
        )
      })

      it('arrive on a private channel under the name they chose', async () => {
        const stream = await listen('private-orders.7', await cookieOf(7))
        await stream.next('subscribed')

        await laravel.broadcast('order-paid', { id: 7 })

        expect((await stream.next('message')).text).toBe(
          '{"channel":"private-orders.7","event":"order.paid","data":{"paid":true}}',
        )
      })

      it('arrive once per channel when one event is sent to several', async () => {
        const stream = await listen('stock,private-orders.3,presence-room.3', await cookieOf(3))
        await stream.take(3, 'subscribed')

        await laravel.broadcast('stock-changed', { id: 3 })
        await laravel.broadcast('announced', { channel: 'stock', text: 'the end' })
        await stream.take(4, 'message')

        expect(stream.broadcasts.map(({ text }) => text)).toEqual([
          '{"channel":"stock","event":"App\\\\Events\\\\StockChanged","data":{"id":3}}',
          '{"channel":"private-orders.3","event":"App\\\\Events\\\\StockChanged","data":{"id":3}}',
          '{"channel":"presence-room.3","event":"App\\\\Events\\\\StockChanged","data":{"id":3}}',
          '{"channel":"stock","event":"App\\\\Events\\\\Announced","data":{"id":1,"text":"the end"}}',
        ])
      })

      it('arrive as notifications on the private channel of their user', async () => {
        const stream = await listen('private-App.Models.User.7', await cookieOf(7))
        await stream.next('subscribed')

        await laravel.notify(7, 31)

        expect((await stream.next('message')).data).toEqual({
          channel: 'private-App.Models.User.7',
          event: 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated',
          data: { invoiceId: 31, id: expect.any(String), type: 'App\\Notifications\\InvoicePaid' },
        })
      })

      it('arrive in the order in which they were sent', async () => {
        const stream = await listen('orders')
        await stream.next('subscribed')

        await laravel.broadcast('order-shipped', { id: 1, count: 200 })

        expect(numbers(await stream.take(200, 'message'))).toEqual(upTo(200))
      })
    })

    describe('guarded channels', () => {
      it('are granted or denied one by one, each with its reason, in one stream', async () => {
        const refused = ['private-orders.2', 'private-denied.1', 'private-falsy.1', 'private-unheard-of']
        const headers = { 'User-Agent': 'curl of Ada' }
        const channels = ['orders', 'private-orders.1', ...refused].join()
        const stream = await listen(channels, { ...(await cookieOf(1)), headers })

        const subscribed = await stream.take(2, 'subscribed')
        await stream.next('ping')

        expect(askedBy('curl of Ada')).toHaveLength(5)
        expect(subscribed.map(({ data }) => data)).toEqual([{ channel: 'orders' }, { channel: 'private-orders.1' }])
        const denied = stream.frames.filter(({ event }) => event === 'denied').map(({ data }) => data)
        expect(denied).toHaveLength(4)
        for (const channel of refused) {
          expect(denied).toContainEqual({
            channel,
            status: 403,
            code: 'forbidden',
            message: expect.stringMatching(/\w/),
            retry: false,
          })
        }
        await laravel.broadcast('order-paid', { id: 2 })
        await laravel.broadcast('order-paid', { id: 1 })
        expect((await stream.next('message')).data.channel).toBe('private-orders.1')
      })

      it('are refused for the moment when their callback throws, and the browser does not learn why', async () => {
        const stream = await listen('private-throwing.1', await cookieOf(1))

        const { data, text } = await stream.next('denied')

        expect(data).toEqual({
          channel: 'private-throwing.1',
          status: 503,
          code: 'authorizer_unavailable',
          message: expect.stringMatching(/temporary/),
          retry: true,
          retryAfterMs: expect.any(Number),
        })
        expect(text).not.toContain('always fails')
      })

      it('tell a presence channel’s member who it is', async () => {
        const stream = await listen('presence-room.5', await cookieOf(2))

        expect((await stream.next('subscribed')).data).toMatchObject({ channel: 'presence-room.5', me: '2' })
      })

      it('are denied without asking to whom sends nothing to be recognised by, with the usual causes', async () => {
        const stream = await listen('private-orders.1', { headers: { 'User-Agent': 'curl of nobody' } })

        const { data } = await stream.next('denied')

        expect(data).toMatchObject({ status: 401, code: 'unauthenticated', retry: false })
        expect(data.message).toMatch(/withCredentials.*localhost.*SESSION_DOMAIN/)
        expect(askedBy('curl of nobody')).toEqual([])
      })

      it('are granted by a bearer token on an auth route of its own', async () => {
        const withToken = (token: string) =>
          curl(`${tokenGateway.url}/stream?channels=private-orders.7`, {
            headers: { Authorization: `Bearer ${token}` },
          })

        const owner = await withToken('token-7')
        expect((await owner.next('subscribed')).data).toEqual({ channel: 'private-orders.7' })
        await laravel.broadcast('order-paid', { id: 7 })
        expect((await owner.next('message')).data).toMatchObject({ event: 'order.paid' })

        expect((await (await withToken('token-8')).next('denied')).data).toMatchObject({ code: 'forbidden' })
        expect((await (await withToken('nonsense')).next('denied')).data).toMatchObject({
          status: 401,
          code: 'unauthenticated',
          message: 'Unauthenticated.',
        })
      })
    })

    describe('toOthers()', () => {
      it('leaves out the stream that sent it, live and when missed messages are told', async () => {
        const { cookie } = await cookieOf(1)
        const other = await listen('orders', { cookie })
        const first = await listen('orders', { cookie })
        const { socketId, key } = (await first.next('connected')).data
        await Promise.all([first.next('subscribed'), other.next('subscribed')])

        await laravel.broadcast('order-shipped', { id: 1, socketId })
        await laravel.broadcast('order-shipped', { id: 2 })
        await first.next('message')
        await first.drop()
        await laravel.broadcast('order-shipped', { id: 3, socketId })
        await laravel.broadcast('order-shipped', { id: 4 })
        // The key is bound to the gateway's own cookie, so a return brings both.
        const again = await listen(`orders&socketId=${socketId}&key=${key}`, {
          cookie: `${cookie}; ${first.ownCookie}`,
          headers: { 'Last-Event-ID': first.lastEventId },
        })
        expect((await again.next('connected')).data).toMatchObject({ socketId, resume: 'ok' })
        await again.next('message')
        await laravel.broadcast('order-shipped', { id: 5, socketId })
        await laravel.broadcast('order-shipped', { id: 6 })
        await again.next('message')
        await other.take(6, 'message')

        expect(numbers(first.broadcasts)).toEqual([2])
        expect(numbers(again.broadcasts)).toEqual([4, 6])
        expect(numbers(other.broadcasts)).toEqual([1, 2, 3, 4, 5, 6])
      })
    })

    describe('coming back', () => {
      it('brings exactly what was missed on public and private channels, once, in order', async () => {
        const { cookie } = await cookieOf(1)
        const channels = 'orders,private-orders.1'
        const first = await listen(channels, { cookie })
        await first.take(2, 'subscribed')
        await laravel.broadcast('order-shipped', { id: 1, count: 3 })
        await first.take(3, 'message')
        await first.drop()

        await laravel.broadcast('order-shipped', { id: 4, count: 20 })
        await laravel.broadcast('announced', { id: 24, count: 20, channel: 'private-orders.1' })
        await laravel.broadcast('announced', { id: 1000, count: 5, channel: 'private-orders.2' })
        await laravel.broadcast('order-shipped', { id: 44, count: 20 })
        const again = await listen(channels, { cookie, headers: { 'Last-Event-ID': first.lastEventId } })
        await again.take(60, 'message')
        await laravel.broadcast('announced', { id: 64, channel: 'private-orders.1' })
        await again.next('message')

        expect(again.frames[0]?.data.resume).toBe('ok')
        // Private channels are told when Laravel has allowed them, so only each channel is in order.
        const told = numbers([...first.broadcasts, ...again.broadcasts])
        expect(told.toSorted((a, b) => a - b)).toEqual(upTo(64))
        for (const channel of channels.split(',')) {
          const own = numbers(again.broadcasts.filter(({ data }) => data.channel === channel))
          expect(own).toEqual(own.toSorted((a, b) => a - b))
        }
        expect(again.frames.some(({ event }) => event === 'gap')).toBe(false)
      })
    })

    function askedBy(agent: string) {
      return asked.requests.filter(({ headers }) => headers['user-agent'] === agent)
    }

    async function cookieOf(userId: number): Promise<{ cookie: string }> {
      return { cookie: (await laravel.login(userId)).cookie }
    }
  })
}

describe.runIf(requirePart('redis', 'php', 'curl', 'laravel-12'))('a queued broadcast', () => {
  it('arrives once a worker has taken it from the queue', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.close())
    const env = { QUEUE_CONNECTION: 'redis' }
    const laravel = await startLaravel({ app: 'laravel-12', redisClient: 'predis', redisPort: redis.port, env })
    onTestFinished(() => laravel.stop())
    const gateway = await startGatewayProcess(['--laravel', laravel.dir])
    onTestFinished(() => gateway.stop())
    const stream = await curl(`${gateway.url}/stream?channels=orders`)
    await stream.next('subscribed')

    await laravel.broadcast('order-shipped', { id: 9 })
    expect(await redis.cli('LLEN', 'acme_shop_database_queues:default')).toBe('1')
    expect(stream.broadcasts).toEqual([])
    await run(pathOf('php'), ['artisan', 'queue:work', '--once'], { cwd: laravel.dir })

    expect((await stream.next('message')).text).toBe(
      '{"channel":"orders","event":"App\\\\Events\\\\OrderShipped","data":{"id":9}}',
    )
  })
})

function numbers(frames: readonly { data: { data: { id: number } } }[]): number[] {
  return frames.map(({ data }) => data.data.id)
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
