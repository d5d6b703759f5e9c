import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { atEndOfTest } from '../support/at-end.ts'
import { freePort, startChild } from '../support/child.ts'
import { curl } from '../support/curl.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, type LaravelOptions, startLaravel } from '../support/laravel.ts'
import { pathOf, requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

/** What a Laravel developer is told while the gateway does not work yet, by the real parts. */

const LARAVELS = [
  { app: 'laravel-12', variable: 'BROADCAST_CONNECTION' },
  { app: 'laravel-8', variable: 'BROADCAST_DRIVER' },
] as const

for (const { app, variable } of LARAVELS) {
  describe.runIf(requirePart('redis', 'php', 'curl', app))(`the first hour with ${app}`, () => {
    let redis: RedisServer
    let laravel: Laravel

    beforeAll(async () => {
      redis = await startRedis()
      laravel = await launch()
    })

    afterAll(async () => {
      await laravel?.stop()
      await redis?.close()
    })

    const launch = (options: Partial<LaravelOptions> = {}) =>
      startLaravel({ app, redisClient: 'predis', redisPort: redis.port, ...options })

    /** Another one, for this test only. */
    const launchWith = async (env: Record<string, string>) => {
      const other = await launch({ env })
      atEndOfTest(() => other.stop())
      return other
    }

    it('takes all it needs from --laravel and just works, without a warning', async () => {
      const gateway = await start('--laravel', laravel.dir)
      await says(gateway, `Laravel answers at ${laravel.url}/broadcasting/auth as it should.`)
      await says(gateway, 'looking for broadcasts under other Redis prefixes')
      const visitor = await laravel.login(7)
      const stream = await curl(`${gateway.url}/stream?channels=orders,private-orders.7`, { cookie: visitor.cookie })
      await stream.next('subscribed')
      await stream.next('subscribed')
      await laravel.broadcast('order-shipped', { id: 5 })
      await laravel.broadcast('order-paid', { id: 7 })
      expect(await stream.next('message')).toMatchObject({ data: { channel: 'orders', data: { id: 5 } } })
      expect(await stream.next('message')).toMatchObject({ data: { channel: 'private-orders.7', event: 'order.paid' } })
      await expect.poll(() => patternListeners(redis)).toBe(1)
      expect(warnings(gateway)).toEqual([])
    })

    it('is told the usual causes when a request has no cookie', async () => {
      const gateway = await start('--laravel', laravel.dir)
      const stream = await curl(`${gateway.url}/stream?channels=private-orders.7`)
      const { data } = await stream.next('denied')
      expect(data).toMatchObject({ channel: 'private-orders.7', status: 401, retry: false })
      expect(data.message).toMatch(/withCredentials.*localhost.*127\.0\.0\.1.*SESSION_DOMAIN/)
    })

    it('is told of a wrong prefix, once', async () => {
      const gateway = await start(
        '--redis',
        redis.url,
        '--laravel-url',
        laravel.url,
        '--redis-prefix',
        'laravel_database_',
      )
      await says(gateway, 'looking for broadcasts under other Redis prefixes')
      await laravel.broadcast('order-shipped', { count: 2 })
      await laravel.broadcast('order-paid')
      await says(gateway, 'set --redis-prefix acme_shop_database_ or REDIS_PREFIX')
      expect(warnings(gateway)).toEqual([
        'Broadcasts arrive on Redis under the prefix "acme_shop_database_", but none yet under "laravel_database_": ' +
          "if they are this application's, set --redis-prefix acme_shop_database_ or REDIS_PREFIX.",
      ])
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
      expect(metrics).toContain('messages_ignored_total{reason="other_prefix"} 3\n')
    })

    it.each([['order-shipped'], ['order-paid']] as const)('is told of a missing prefix: %s', async (event) => {
      const gateway = await start('--redis', redis.url, '--laravel-url', laravel.url)
      await says(gateway, 'looking for broadcasts under other Redis prefixes')
      await laravel.broadcast(event)
      await says(
        gateway,
        'Broadcasts arrive on Redis under the prefix "acme_shop_database_", but --redis-prefix is empty: ' +
          'set --redis-prefix acme_shop_database_ or REDIS_PREFIX.',
      )
    })

    it('is told that Laravel is down, and that it is up', async () => {
      const port = await freePort()
      const gateway = await start('--laravel-url', `http://127.0.0.1:${port}`)
      await says(gateway, `Nobody listens at http://127.0.0.1:${port}/broadcasting/auth: is Laravel running`)
      const php = ['-S', `127.0.0.1:${port}`, '-t', 'public', 'public/index.php']
      const late = await startChild(pathOf('php'), php, { cwd: laravel.dir, env: { PATH: process.env.PATH } })
      atEndOfTest(() => late.stop('SIGINT'))
      await says(gateway, `Laravel answers at http://127.0.0.1:${port}/broadcasting/auth as it should.`)
      expect(warnings(gateway)).toHaveLength(1)
    })

    it.each(['log', 'null'])('is told that the %s broadcaster sends nothing', async (broadcaster) => {
      const other = await launchWith({ [variable]: broadcaster })
      const gateway = await start('--laravel', other.dir)
      await says(gateway, `Laravel's .env has ${variable}=${broadcaster}: broadcasts go nowhere`)
      await says(gateway, `Laravel answers 200 with an empty body at ${other.url}/broadcasting/auth`)
      const visitor = await other.login(7)
      const stream = await curl(`${gateway.url}/stream?channels=private-orders.7`, { cookie: visitor.cookie })
      const { data } = await stream.next('denied')
      expect(data).toMatchObject({
        status: 403,
        message: expect.stringMatching(/empty body.*log or null/),
        retry: false,
      })
    })

    it.each([
      ['/no/such/route', 'Laravel has no route at .*: run php artisan install:broadcasting, or set --auth-endpoint'],
      ['/whoami', 'The route at .* does not take POST; is --auth-endpoint the broadcasting auth route'],
    ])('is told what is wrong with the auth endpoint %s', async (endpoint, sentence) => {
      const gateway = await start('--laravel-url', laravel.url, '--auth-endpoint', endpoint)
      await says(gateway, new RegExp(sentence))
    })

    it('hears that a guarded route is well, also behind a token', async () => {
      const gateway = await start('--laravel-url', laravel.url, '--auth-endpoint', '/api/broadcasting/auth')
      await says(gateway, `Laravel answers at ${laravel.url}/api/broadcasting/auth as it should.`)
    })

    it('is told that a queue needs its worker', async () => {
      const other = await launchWith({ QUEUE_CONNECTION: 'database' })
      const gateway = await start('--laravel', other.dir)
      await says(gateway, /QUEUE_CONNECTION=database: .* until a worker runs \(php artisan queue:work\)/)
    })
  })
}

describe.runIf(requirePart('redis', 'php', 'laravel-12'))('the first hour with a fresh Laravel 12', () => {
  it('is told which lines its configuration lacks', async () => {
    const redis = await startRedis()
    atEndOfTest(() => redis.close())
    const laravel = await startLaravel({ app: 'laravel-12', redisClient: 'predis', redisPort: redis.port })
    atEndOfTest(() => laravel.stop())
    rmSync(join(laravel.dir, 'config/broadcasting.php'))
    const gateway = await start('--laravel', laravel.dir)
    await says(gateway, /config:publish broadcasting .*'redis' => \['driver' => 'redis', 'connection' => 'default'\]/)
    await says(gateway, 'answers 500 to an auth call')
  })
})

async function start(...args: string[]): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess(['--log-level', 'debug', ...args])
  atEndOfTest(() => gateway.stop())
  return gateway
}

/** Resolves when the gateway has logged a line like this. */
async function says(gateway: GatewayProcess, sentence: string | RegExp): Promise<void> {
  const isSaid = ({ msg }: LogLine) => (typeof sentence === 'string' ? msg.includes(sentence) : sentence.test(msg))
  // What another process writes comes when it comes.
  await expect.poll(() => linesOf(gateway).some(isSaid) || gateway.log(), { timeout: PATIENCE_MS }).toBe(true)
}

function warnings(gateway: GatewayProcess): string[] {
  return linesOf(gateway).flatMap(({ level, msg }) => (level >= 40 ? [msg] : []))
}

type LogLine = { level: number; msg: string }

function linesOf(gateway: GatewayProcess): LogLine[] {
  return gateway
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)
}

/** How many connections listen to a pattern. */
async function patternListeners(redis: RedisServer): Promise<number> {
  return (await redis.cli('CLIENT', 'LIST')).match(/ psub=1 /g)?.length ?? 0
}
