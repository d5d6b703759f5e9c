import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Laravel, type LaravelOptions, startLaravel } from '../support/laravel.ts'
import { type Part, requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { Visitor } from '../support/visitor.ts'

type Application = Pick<LaravelOptions, 'app' | 'redisClient'> & { parts: Part[] }

const applications: Application[] = [
  { app: 'laravel-12', redisClient: 'predis', parts: ['laravel-12'] },
  { app: 'laravel-12', redisClient: 'phpredis', parts: ['laravel-12', 'phpredis'] },
  { app: 'laravel-8', redisClient: 'predis', parts: ['laravel-8'] },
  { app: 'laravel-8', redisClient: 'phpredis', parts: ['laravel-8', 'phpredis'] },
]

for (const { app, redisClient, parts } of applications) {
  describe.runIf(requirePart('redis', 'php', ...parts))(`the ${app} application with ${redisClient}`, () => {
    let redis: RedisServer
    let laravel: Laravel
    let published: Published

    beforeAll(async () => {
      redis = await startRedis()
      laravel = await startLaravel({ app, redisClient, redisPort: redis.port })
      published = await listen(redis)
    })

    afterAll(async () => {
      published?.close()
      await laravel?.stop()
      await redis?.close()
    })

    describe('broadcasting', () => {
      it('publishes an event under its class name with its public properties', async () => {
        await laravel.broadcast('order-shipped', { id: 5 })

        expect(await published.next()).toEqual([
          'acme_shop_database_orders',
          '{"event":"App\\\\Events\\\\OrderShipped","data":{"id":5,"socket":null},"socket":null}',
        ])
      })

      it('names the sender who must not hear himself', async () => {
        await laravel.broadcast('order-shipped', { socketId: '1.1' })

        expect(await published.next()).toEqual([
          'acme_shop_database_orders',
          '{"event":"App\\\\Events\\\\OrderShipped","data":{"id":1,"socket":"1.1"},"socket":"1.1"}',
        ])
      })

      it('publishes under a name and with a payload of the event’s own choice', async () => {
        await laravel.broadcast('order-paid', { id: 7 })

        expect(await published.next()).toEqual([
          'acme_shop_database_private-orders.7',
          '{"event":"order.paid","data":{"paid":true,"socket":null},"socket":null}',
        ])
      })

      it('publishes one text on several channels, in order', async () => {
        await laravel.broadcast('stock-changed', { id: 3 })

        const text = '{"event":"App\\\\Events\\\\StockChanged","data":{"id":3,"socket":null},"socket":null}'
        expect(await published.next()).toEqual(['acme_shop_database_stock', text])
        expect(await published.next()).toEqual(['acme_shop_database_private-orders.3', text])
        expect(await published.next()).toEqual(['acme_shop_database_presence-room.3', text])
      })

      it('publishes Unicode escaped and numbers in full', async () => {
        await laravel.broadcast('price-listed')

        expect(await published.next()).toEqual([
          'acme_shop_database_prices',
          String.raw`{"event":"App\\Events\\PriceListed","data":{"id":1,` +
            String.raw`"name":"Zo\u00eb's caf\u00e9 \u2013 \u65e5\u672c \ud83d\ude80 <b>&\u2028\n",` +
            `"price":0.30000000000000004,"whole":1,"serial":9007199254740993,"largest":9223372036854775807,` +
            String.raw`"path":"a\/b\\c","empty":[],"nothing":null,"socket":null},"socket":null}`,
        ])
      })

      it('publishes any text on any channel, several in a row', async () => {
        await laravel.broadcast('announced', { id: 8, count: 2, channel: 'private-news.1', text: 'Tea' })

        const text = (id: number) =>
          `{"event":"App\\\\Events\\\\Announced","data":{"id":${id},"text":"Tea","socket":null},"socket":null}`
        expect(await published.next()).toEqual(['acme_shop_database_private-news.1', text(8)])
        expect(await published.next()).toEqual(['acme_shop_database_private-news.1', text(9)])
      })

      it('sends a notification to the private channel of its user', async () => {
        await laravel.notify(2, 31)

        const [channel, text] = await published.next()
        expect(channel).toBe('acme_shop_database_private-App.Models.User.2')
        expect(JSON.parse(text)).toEqual({
          event: 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated',
          data: { invoiceId: 31, id: expect.any(String), type: 'App\\Notifications\\InvoicePaid', socket: null },
          socket: null,
        })
      })

      it('takes a POST with a session and its CSRF token, and none without', async () => {
        const ada = await laravel.login(1)

        expect((await ada.post('/broadcast/order-shipped', { id: '9' })).status).toBe(200)
        expect((await published.next())[1]).toContain('"id":9')
        expect((await ada.post('/broadcast/order-shipped', {}, { 'x-xsrf-token': 'x' })).status).toBe(419)
      })
    })

    describe('authorizing', () => {
      it('knows who is logged in by the session cookie', async () => {
        const zoe = await laravel.login(3)
        expect(await (await zoe.fetch('/whoami')).json()).toEqual({ id: 3, name: 'Zoë' })

        await zoe.post('/logout')
        expect(await (await zoe.fetch('/whoami')).json()).toEqual({ id: null, name: null })
      })

      it('grants a private channel to its owner with `true`', async () => {
        expect(await ask(await laravel.login(1), 'private-orders.1')).toEqual({ status: 200, body: 'true' })
      })

      it('grants a presence channel with the member', async () => {
        expect(await ask(await laravel.login(1), 'presence-room.5')).toEqual({
          status: 200,
          body: '{"channel_data":{"user_id":1,"user_info":{"id":1,"name":"Ada"}}}',
        })
      })

      it.each(['private-orders.2', 'private-denied.1', 'private-falsy.1', 'private-unheard-of'])(
        'denies %s with 403',
        async (channel) => {
          expect((await ask(await laravel.login(1), channel)).status).toBe(403)
        },
      )

      it('denies everything to a guest with 403', async () => {
        expect((await ask(laravel.visit(), 'private-orders.1')).status).toBe(403)
      })

      it('answers 500 when the channel’s callback throws, and tells only its log why', async () => {
        const answer = await ask(await laravel.login(1), 'private-throwing.1')

        expect(answer.status).toBe(500)
        expect(answer.body).not.toContain('This channel always fails')
        expect(laravel.log()).toContain('This channel always fails')
      })

      it('takes a bearer token under /api and answers 401 without one', async () => {
        const asToken = (token: string) =>
          ask(laravel.visit(), 'private-orders.7', '/api', { authorization: `Bearer ${token}` })

        expect(await asToken('token-7')).toEqual({ status: 200, body: 'true' })
        expect((await asToken('token-8')).status).toBe(403)
        expect((await asToken('nonsense')).status).toBe(401)
        expect((await ask(laravel.visit(), 'private-orders.7', '/api')).status).toBe(401)
      })

      it('answers a slow channel late and other channels meanwhile', async () => {
        const ada = await laravel.login(1)
        const slow = ask(ada, 'private-held.meanwhile')
        await laravel.whenHeld('meanwhile')

        expect((await ask(ada, 'private-orders.1')).status).toBe(200)
        laravel.release('meanwhile')
        expect(await slow).toEqual({ status: 200, body: 'true' })
      })
    })

    describe('an auth call that is running during a logout', () => {
      it('brings the session back on the default routes', async () => {
        expect(await logOutDuringAuthCall('', 'revived')).toEqual({ rightAfter: 403, afterTheCall: 200 })
      })

      it('leaves it gone behind a middleware that saves nothing', async () => {
        expect(await logOutDuringAuthCall('/cured', 'cured')).toEqual({ rightAfter: 403, afterTheCall: 403 })
      })

      async function logOutDuringAuthCall(prefix: string, name: string) {
        const ada = await laravel.login(1)
        const anotherTab = ada.clone()
        const status = async () => (await ask(anotherTab.clone(), 'private-orders.1', prefix)).status
        expect(await status()).toBe(200)

        const running = ask(anotherTab.clone(), `private-held.${name}`, prefix)
        await laravel.whenHeld(name)
        await ada.post('/logout')
        const rightAfter = await status()
        laravel.release(name)
        expect((await running).status).toBe(200)

        return { rightAfter, afterTheCall: await status() }
      }
    })

    it('never lets PHP’s complaints into an answer', async () => {
      const ada = await laravel.login(1)
      const bodies = await Promise.all(
        ['/', '/whoami', '/broadcast/order-shipped'].map(async (path) => (await ada.fetch(path)).text()),
      )
      await published.next()

      expect(bodies[0]).toMatch(/^<!doctype html><meta name="csrf-token"/)
      expect(bodies[1]).toBe('{"id":1,"name":"Ada"}')
      expect(bodies[2]).toBe('{"broadcast":"order-shipped","first":1,"count":1}')
    })
  })
}

async function ask(visitor: Visitor, channel: string, prefix = '', headers: Record<string, string> = {}) {
  const form = { channel_name: channel, socket_id: '1.1' }
  const response = await visitor.post(`${prefix}/broadcasting/auth`, form, headers)
  return { status: response.status, body: await response.text() }
}

type Published = { next(): Promise<[channel: string, text: string]>; close(): void }

/** Everything that is published on this Redis, in order, as it arrives. */
async function listen(server: RedisServer): Promise<Published> {
  const subscriber = new Redis(server.port, '127.0.0.1', { protocol: 2 })
  const arrived: [string, string][] = []
  const waiting: ((message: [string, string]) => void)[] = []
  subscriber.on('pmessage', (_pattern: string, channel: string, text: string) => {
    const receive = waiting.shift()
    if (receive) receive([channel, text])
    else arrived.push([channel, text])
  })
  await subscriber.psubscribe('*')
  return {
    next: () => {
      const first = arrived.shift()
      return first ? Promise.resolve(first) : new Promise((resolve) => waiting.push(resolve))
    },
    close: () => subscriber.disconnect(),
  }
}
