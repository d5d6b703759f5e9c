import { describe, expect, it } from 'vitest'
import { startAdvice } from '../src/advice.ts'
import { LaravelAuthorizer } from '../src/auth/laravel.ts'
import { minimumAcl } from '../src/cli/acl.ts'
import { atEndOfTest } from './support/at-end.ts'
import { FakeLaravel, type FakeReply, REFUSAL } from './support/fake-laravel.ts'
import { startGateway } from './support/gateway.ts'
import { Log } from './support/log.ts'
import { requirePart } from './support/parts.ts'
import { type RedisServer, startRedis } from './support/redis.ts'

describe('a look at Laravel', () => {
  it('says that all is well', async () => {
    const { laravel, log } = await lookAt(REFUSAL)
    await log.until(/./)
    expect(log.at('info')).toEqual([`Laravel answers at ${laravel.url}/broadcasting/auth as it should.`])
    expect(log.at('warn')).toEqual([])
  })

  it('warns with what to do, and does not ask again when waiting cannot cure it', async () => {
    const { laravel, log, waits } = await lookAt({ status: 404 })
    await log.until(/install:broadcasting/)
    expect(log.at('warn')).toHaveLength(1)
    expect(waits).toEqual([])
    expect(laravel.requests).toHaveLength(1)
  })

  it('asks again while Laravel is away, says so once, and says when it is there', async () => {
    const { log, waits } = await lookAt({ status: 503 }, { thenAfterWaits: [3, REFUSAL] })
    await log.until(/as it should/)
    expect(log.at('warn')).toEqual([expect.stringMatching(/answers 503/)])
    expect(waits).toEqual([1000, 2000, 4000])
  })

  it('says what else is wrong once Laravel is there', async () => {
    const { log } = await lookAt({ reset: 'before-head' }, { thenAfterWaits: [1, { status: 404 }] })
    await log.until(/install:broadcasting/)
    expect(log.at('warn')).toEqual([expect.stringMatching(/could not be reached/), expect.stringMatching(/no route/)])
  })

  it('gives up after some minutes', async () => {
    const { laravel, waits } = await lookAt({ status: 503 })
    await laravel.untilRequests(9)
    expect(waits.reduce((sum, ms) => sum + ms)).toBe(180_000)
  })

  it('ends when the gateway stops, in the middle of a call', async () => {
    const { laravel, log, stop } = await lookAt({ stall: 'before-head' })
    await laravel.untilRequests(1)
    stop()
    await laravel.untilNobodyIsConnected()
    expect(log.lines).toEqual([])
  })

  it('is not taken when somebody else authorizes', async () => {
    const laravel = await startLaravel(REFUSAL)
    const log = new Log()
    const { stop } = await startGateway({ laravelUrl: laravel.url }, { logger: log.logger })
    await stop()
    expect(laravel.requests).toEqual([])
  })
})

describe.runIf(requirePart('redis'))('a look beside the Redis prefix', () => {
  it('counts what arrives there, names the probable prefix and ends with the first broadcast', async () => {
    const { redis, log, gateway, listeners } = await gatewayOnRedis({ redisPrefix: 'shop_' })
    await log.until(/looking for broadcasts/)
    expect(await listeners()).toBe(2)

    await redis.cli('PUBLISH', 'acme_database_private-orders.1', BROADCAST)
    await log.until(/set --redis-prefix acme_database_/)
    await redis.cli('PUBLISH', 'acme_database_private-orders.1', 'no broadcast')
    await redis.cli('PUBLISH', 'shop_orders', BROADCAST)
    await expect.poll(listeners).toBe(1)

    expect(log.at('warn')).toHaveLength(1)
    const metrics = await gateway.services.metrics.registry.metrics()
    expect(metrics).toContain('messages_ignored_total{reason="other_prefix"} 1\n')
  })

  it('goes without a word where Redis does not allow it', async () => {
    const { log } = await gatewayOnRedis({ redisPrefix: 'shop_', redisUsername: 'gateway', redisPassword: 'PASSWORD' })
    await log.until(/does not let this user look/)
    expect(log.at('warn')).toEqual([])
  })

  it('ends when the gateway stops', async () => {
    const { log, stop, listeners } = await gatewayOnRedis({ redisPrefix: 'shop_' })
    await log.until(/looking for broadcasts/)
    await stop()
    await expect.poll(listeners).toBe(0)
  })
})

const BROADCAST = '{"event":"OrderShipped","data":{},"socket":null}'

type Change = [count: number, reply: FakeReply]

/** Advice alone, about a Laravel that answers like this, and after so many waits otherwise. */
async function lookAt(
  reply: FakeReply,
  { thenAfterWaits: [count, otherwise] = [0, reply] }: { thenAfterWaits?: Change } = {},
) {
  const laravel = await startLaravel(reply)
  const { gateway } = await startGateway({ laravelUrl: laravel.url })
  const log = new Log()
  const waits: number[] = []
  const authorizer = new LaravelAuthorizer({ url: laravel.url })
  const stop = startAdvice(
    { ...gateway.services, authorizer, logger: log.logger },
    {
      wait: async (ms) => {
        waits.push(ms)
        if (waits.length === count) laravel.answers(otherwise)
      },
    },
  )
  atEndOfTest(async () => {
    stop()
    await authorizer.stop()
  })
  return { laravel, log, waits, stop }
}

async function startLaravel(reply: FakeReply): Promise<FakeLaravel> {
  const laravel = await FakeLaravel.start(reply)
  atEndOfTest(() => laravel.close())
  return laravel
}

async function gatewayOnRedis(config: { redisPrefix: string; redisUsername?: string; redisPassword?: string }) {
  const redis = await startRedis()
  atEndOfTest(() => redis.close())
  const acl = minimumAcl({ prefix: config.redisPrefix, username: 'gateway' })
  await redis.cli(...acl.split(' '))
  const log = new Log()
  const running = await startGateway({ redis: redis.url, ...config }, { logger: log.logger })
  return { ...running, redis, log, listeners: () => patternListeners(redis) }
}

/** How many connections listen to a pattern. */
async function patternListeners(redis: RedisServer): Promise<number> {
  return (await redis.cli('CLIENT', 'LIST')).match(/ psub=1 /g)?.length ?? 0
}
