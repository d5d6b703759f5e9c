import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisBroker } from '../../src/broker/redis.ts'
import { withScripts } from '../../src/broker/redis-scripts.ts'
import { defaultConfig } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { Log } from '../support/log.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openBroker, startBroker } from '../support/redis-broker.ts'

describe.runIf(requirePart('redis'))('RedisBroker', () => {
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

  describe('the prefix', () => {
    it('is taken off once, at the beginning only', async () => {
      const { ears } = await start('laravel_database_')
      await laravel.publish('laravel_database_orders', 'one')
      await laravel.publish('laravel_database_laravel_database_x', 'two')
      await laravel.publish('laravel_database_x_laravel_database_', 'three')
      await ears.untilMessages(3)
      expect(ears.messages.map(({ channel }) => channel)).toEqual([
        'orders',
        'laravel_database_x',
        'x_laravel_database_',
      ])
    })

    it('keeps out what is published under another one', async () => {
      const { ears } = await start('laravel-database-')
      for (const name of ['laravel_database_orders', 'orders', 'Laravel-database-orders', 'xlaravel-database-orders']) {
        await laravel.publish(name, 'foreign')
      }
      await laravel.publish('laravel-database-orders', 'own')
      await ears.untilMessages(1)
      expect(ears.log.filter((line) => line !== 'advance')).toEqual(['hole restart', 'orders own'])
    })

    it('means glob characters literally', async () => {
      const { ears } = await start('app[1]*_?\\_')
      for (const name of ['app1xx_x_orders', 'app[1]xx_?\\_orders', 'app[1]*_x\\_orders']) {
        await laravel.publish(name, 'foreign')
      }
      await laravel.publish('app[1]*_?\\_orders', 'own')
      await ears.untilMessages(1)
      expect(ears.messages).toMatchObject([{ channel: 'orders', payload: 'own' }])
    })

    it('may be empty: everything is heard', async () => {
      const { ears } = await start('')
      await laravel.publish('orders', 'one')
      await laravel.publish('other_app_orders', 'two')
      await ears.until(({ messages }) => messages.some(({ channel }) => channel === 'other_app_orders'))
      expect(ears.messages.map(({ channel }) => channel)).toEqual(
        expect.arrayContaining(['orders', 'other_app_orders']),
      )
    })

    it('may be longer in bytes than in letters', async () => {
      const { ears } = await start('größe_')
      await laravel.publish('größe_maße', 'x')
      await ears.untilMessages(1)
      expect(ears.messages[0]?.channel).toBe('maße')
    })

    it('may be the beginning of another one: the other gateway’s clock is a message like any other', async () => {
      const short = await start('shop_')
      const long = await start('shop_admin_')
      await laravel.publish('shop_admin_private-orders', 'x')
      await long.ears.until(({ advances }) => advances.length >= 2)
      await short.ears.until(({ messages }) => messages.some(({ channel }) => channel === 'admin_sse:clock'))
      expect(short.ears.messages.some(({ channel }) => channel === 'admin_private-orders')).toBe(true)
      expect(long.ears.messages.map(({ channel }) => channel)).toEqual(['private-orders'])
      expect([short.ears.holes.length, long.ears.holes.length]).toEqual([1, 1])
    })
  })

  describe('a message', () => {
    it('arrives byte for byte, also when its bytes are no text', async () => {
      const { ears } = await start('bytes_')
      const payloads = ['', '\0', 'é', 'x'.repeat(300_000)].map((text) => Buffer.from(text))
      payloads.push(Buffer.from([0xff, 0xfe, 0x80, 0x22]))
      for (const payload of payloads) await laravel.publish('bytes_orders', payload)
      await ears.untilMessages(payloads.length)
      expect(ears.messages.map(({ bytes }) => bytes.equals(payloads.shift() as Buffer))).not.toContain(false)
    })

    it('has a channel also when the bytes of its name are no text, and what follows arrives', async () => {
      const { ears } = await start('names_')
      await laravel.publish(Buffer.concat([Buffer.from('names_'), Buffer.from([0xff, 0x00, 0xc3])]), 'odd')
      await laravel.publish('names_orders', 'next')
      await ears.untilMessages(2)
      expect(ears.messages.map(({ channel }) => channel)).toEqual(['\uFFFD\0\uFFFD', 'orders'])
    })

    it('is heard once, however often the connection was lost', async () => {
      const { ears } = await start('once_')
      for (const round of [2, 3]) {
        await laravel.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await ears.untilHoles(round)
      }
      await laravel.publish('once_orders', 'x')
      await ears.untilMessages(1)
      await laravel.publish('once_orders', 'last')
      await ears.until(({ log }) => log.includes('orders last'))
      expect(ears.messages.map(({ payload }) => payload)).toEqual(['x', 'last'])
      expect(await laravel.publish('once_orders', 'y')).toBe(1)
    })

    it('on the gateways’ own names that is no marker counts as a message, on every node alike', async () => {
      const [one, other] = [await start('forged_'), await start('forged_')]
      for (const forged of ['', 'x', '1 2', '-1 2 -', `${'9'.repeat(17)} 1 -`, '1 2 3', 'a'.repeat(100_000)]) {
        await laravel.publish('forged_sse:clock', forged)
      }
      await laravel.publish('forged_orders', 'x')
      for (const { ears } of [one, other]) await ears.until(({ log }) => log.includes('orders x'))
      const idOf = ({ ears }: typeof one) => ears.messages.find(({ channel }) => channel === 'orders')?.id
      expect(idOf(one)).toBe(idOf(other))
      expect([one.ears.holes.length, other.ears.holes.length]).toEqual([1, 1])
    })
  })

  describe('publishing', () => {
    it('puts one payload on all channels, in order, under the prefix', async () => {
      const { broker, ears } = await start('publish_')
      await broker.publish(['a', 'b', 'a'], 'x')
      await ears.untilMessages(3)
      expect(ears.messages.map(({ channel, payload }) => `${channel} ${payload}`)).toEqual(['a x', 'b x', 'a x'])
      expect(new Set(ears.messages.map(({ id }) => id)).size).toBe(3)
    })

    it('is heard by the other gateways too', async () => {
      const [one, other] = [await start('both_'), await start('both_')]
      await one.broker.publish(['orders'], 'x')
      await Promise.all([one.ears.untilMessages(1), other.ears.untilMessages(1)])
      expect(one.ears.messages[0]?.id).toBe(other.ears.messages[0]?.id)
    })

    it('knows on every gateway what was published once, for ten minutes', async () => {
      const [one, other] = [await start('once_'), await start('once_')]
      const named = [{ channels: ['orders'], payload: 'x', once: 'order 1' }]
      const asked = Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? one : other).broker.publishAll(named))
      await Promise.all(asked)
      await other.broker.publish(['orders'], 'last')
      for (const { ears } of [one, other]) {
        await ears.untilMessages(2)
        expect(ears.messages.map(({ payload }) => payload)).toEqual(['x', 'last'])
      }
      const leftMs = Number(await server.cli('PTTL', 'once_sse:once:order 1'))
      expect(leftMs).toBeGreaterThan(590_000)
      expect(leftMs).toBeLessThanOrEqual(600_000)
    })

    it('does not remember what nobody heard', async () => {
      const scripts = withScripts(new Redis(server.url, { protocol: 2 }))
      const publish = () => scripts.ssePublish(2, 'deaf_sse:clock', 'deaf_sse:once:x', 1000, 2, 'x', 1, 'deaf_orders')
      expect(await publish()).toBe(0)
      const { ears } = await start('deaf_')
      expect([await publish(), await publish()]).toEqual([1, 1])
      scripts.disconnect()
      await laravel.publish('deaf_orders', 'last')
      await ears.untilMessages(2)
      expect(ears.messages.map(({ payload }) => payload)).toEqual(['x', 'last'])
    })

    it('fails when nobody hears it', async () => {
      const options = defaultConfig({ redis: server.url, redisPrefix: 'nobody_' })
      const broker = new RedisBroker(options, { logger: new Log().logger })
      atEndOfTest(() => broker.stop())
      await expect(broker.publish(['orders'], 'x')).rejects.toMatchObject({ code: 'broker_unavailable' })
    })

    it('fails at once while Redis is away, and works again after', async () => {
      const own = await startRedis()
      atEndOfTest(own.close)
      const { broker, ears } = await startBroker({ redis: own.url, redisPrefix: '' })
      await own.stop('SIGKILL')
      await expect(broker.publish(['orders'], 'lost')).rejects.toMatchObject({ code: 'broker_unavailable' })
      await own.start()
      await ears.untilHoles(2)
      await broker.publish(['orders'], 'heard')
      await ears.untilMessages(1)
      expect(ears.messages.map(({ payload }) => payload)).toEqual(['heard'])
    })
  })

  describe('the shared secret', () => {
    it('is the same for all gateways of a prefix, and for nobody else', async () => {
      const [one, other, stranger] = [await start('secret_'), await start('secret_'), await start('strange_')]
      const secret = await one.broker.sharedSecret()
      expect(secret).toMatch(/^[\w-]{43}$/)
      expect(await other.broker.sharedSecret()).toBe(secret)
      expect(await stranger.broker.sharedSecret()).not.toBe(secret)
    })

    it('is what a gateway uses already, where Redis has none, and never replaces another', async () => {
      const [one, other] = [await start('offer_'), await start('offer_')]
      const newcomer = one.broker.sharedSecret()
      expect(await other.broker.sharedSecret('in use')).toBe('in use')
      expect(await newcomer).toBe('in use')
      expect(await one.broker.sharedSecret('late')).toBe('in use')
    })
  })

  describe('readiness', () => {
    it('begins with the first marker that comes back', async () => {
      const { broker, ears, started } = openBroker({ redis: server.url, redisPrefix: 'ready_' })
      expect(broker.isReady()).toBe(false)
      await started
      expect(broker.isReady()).toBe(true)
      expect(ears.log[0]).toBe('hole restart')
    })

    it('ends with the relay connection, and comes back with it', async () => {
      const { broker, ears, log, lost } = await start('redness_')
      await laravel.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await log.until(/relay connection lost/)
      expect(broker.isReady()).toBe(false)
      await ears.untilHoles(2)
      expect(broker.isReady()).toBe(true)
      expect(ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'relay-lost'])
      expect(lost()).toBe(1)
    })
  })
})
