import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPage } from '../support/curl-page.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { blocksOf } from '../support/readme-blocks.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const ROOM = 'presence-room.1'
const CREDENTIALS = { PUSHER_APP_ID: '1', PUSHER_APP_KEY: 'key', PUSHER_APP_SECRET: 'secret' }

/** The same with Pusher's library for PHP, which looks for the headers letter by letter. */
const SDK_ROUTE = `
Route::post('/sdk-webhooks', function () {
    $webhook = (new Pusher\\Pusher('key', 'secret', '1'))->webhook(getallheaders(), file_get_contents('php://input'));
    Log::info('The library read '.json_encode($webhook->get_events()));
    return response()->noContent();
})->withoutMiddleware('web');
`

describe.runIf(requirePart('redis', 'php', 'curl', 'laravel-8', 'pusher-sdk'))(
  'Laravel with a route for webhooks',
  () => {
    let redis: RedisServer
    let laravel: Laravel
    let gateway: GatewayProcess

    beforeAll(async () => {
      redis = await startRedis()
      laravel = await startLaravel({ app: 'laravel-8', redisClient: 'predis', redisPort: redis.port, env: CREDENTIALS })
      const route = blocksOf('docs/operations.md').find(({ runs }) => runs === 'webhook-route')?.content ?? ''
      // A file may name a class once.
      const names = /^use Illuminate.(Http.Request|Support.Facades.Route);\n/gm
      appendFileSync(join(laravel.dir, 'routes/web.php'), `\n${route.replaceAll(names, '')}${SDK_ROUTE}`)
      const urls = [`${laravel.url}/webhooks`, `${laravel.url}/sdk-webhooks`]
      gateway = await startGatewayProcess(
        ['--laravel', laravel.dir, '--webhook-urls', urls.join(','), '--webhook-events', 'member_added'],
        CREDENTIALS,
      )
    })
    afterAll(async () => {
      await gateway?.stop()
      await laravel?.stop()
      await redis?.close()
    })

    it('is told, takes what is signed, and nothing else', async () => {
      const { cookie } = await laravel.login(7)
      await openPage(gateway.url, ROOM, { cookie })
      await expect.poll(() => laravel.log()).toContain('User 7 came to presence-room.1')
      const event = '{"name":"member_added","channel":"presence-room.1","user_id":"7"}'
      await expect.poll(() => laravel.log()).toContain(`The library read [${event}]`)
      expect(gateway.log()).not.toContain('webhooks do not arrive')
      const forged = await fetch(`${laravel.url}/webhooks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-pusher-key': 'key', 'x-pusher-signature': '0'.repeat(64) },
        body: `{"time_ms":1,"events":[${event}]}`,
      })
      expect(forged.status).toBe(403)
    })
  },
)
