import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/browser.ts'
import { openPage } from '../support/curl-page.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { watch } from '../support/watched.ts'

const PARTS = ['redis', 'php', 'curl', 'chromium', 'laravel-12'] as const
const ROOM = 'presence-room.1'

describe.runIf(requirePart(...PARTS))('a page in Chromium that is closed', () => {
  let redis: RedisServer
  let laravel: Laravel
  let here: GatewayProcess
  let there: GatewayProcess
  let browser: Browser

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await startLaravel({ app: 'laravel-12', redisClient: 'predis', redisPort: redis.port })
    // So long that whoever is shown leaving has said so.
    const args = ['--laravel', laravel.dir, '--linger-ms', '60000']
    ;[here, there] = await Promise.all([startGatewayProcess(args), startGatewayProcess(args)])
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    await Promise.all([here?.stop(), there?.stop()])
    await laravel?.stop()
    await redis?.close()
  })

  it('is gone at once for everybody when it has sent a beacon, to another gateway than it listened to', async () => {
    const watcher = await openPage(there.url, ROOM, { cookie: (await laravel.login(2)).cookie })
    await watcher.stream.next('subscribed')
    const page = await logIn(1)
    const sent = await watch(there.url)
    onTestFinished(() => sent.close())

    await listenUntilClosed(page, `${here.url}/stream?channels=${ROOM}`, `${sent.url}/leave`)
    await watcher.until('+1')
    await page.goto('about:blank')
    await watcher.until('-1')

    // [Fetch, "CORS-safelisted request-header"] Text goes to another origin without a question first.
    expect(sent.requests.map(({ method, headers }) => [method, headers['content-type']])).toEqual([
      ['POST', 'text/plain;charset=UTF-8'],
    ])
  })

  async function logIn(userId: number): Promise<Page> {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(`${laravel.url}/login/${userId}`)
    await page.goto(laravel.url)
    return page
  }
})

/** Resolves when the page is on its channel. */
async function listenUntilClosed(page: Page, streamUrl: string, leaveUrl: string): Promise<void> {
  await page.evaluate(
    ([streamUrl, leaveUrl]) =>
      new Promise((resolve) => {
        const source = new EventSource(streamUrl, { withCredentials: true })
        source.addEventListener('connected', ({ data }) => {
          const { socketId, key } = JSON.parse(data)
          addEventListener('pagehide', () => navigator.sendBeacon(leaveUrl, JSON.stringify({ socketId, key })))
        })
        source.addEventListener('subscribed', resolve)
      }),
    [streamUrl, leaveUrl] as const,
  )
}
