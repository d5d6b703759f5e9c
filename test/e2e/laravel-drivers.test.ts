import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/browser.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const PARTS = ['redis', 'php', 'laravel-8', 'pusher-sdk', 'chromium'] as const
const APP = { PUSHER_APP_ID: 'shop', PUSHER_APP_KEY: 'shop-key', PUSHER_APP_SECRET: 'shop-secret' }
const CHANNELS = [
  'orders',
  'prices',
  'stock',
  'news',
  'private-orders.1',
  'private-App.Models.User.1',
  'private-App.Models.Post.1',
  'presence-room.1',
]

type Driver = 'redis' | 'pusher'

describe.runIf(requirePart(...PARTS))('one Laravel 8, whichever driver carries its broadcasts', () => {
  let redis: RedisServer
  let laravel: Laravel
  let gateway: GatewayProcess
  let browser: Browser

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await startLaravel({
      app: 'laravel-8',
      redisClient: 'predis',
      redisPort: redis.port,
      env: { ...APP, PUSHER_HOST: '127.0.0.1' },
    })
    const args = ['--laravel', laravel.dir, '--redis', redis.url, '--allow-origin', laravel.url, '--linger-ms', '0']
    gateway = await startGatewayProcess(args)
    laravel.set({ PUSHER_PORT: new URL(gateway.url).port })
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    await gateway?.stop()
    await laravel?.stop()
    await redis?.close()
  })

  /** Everything the page of a logged-in user is told of what Laravel broadcasts by this driver. */
  async function toldBy(driver: Driver): Promise<{ subscribed: unknown[]; messages: string[] }> {
    laravel.set({ BROADCAST_DRIVER: driver })
    const page = await openPage()
    await laravel.broadcast('order-shipped', { id: 5, count: 2 })
    await laravel.broadcast('order-paid', { id: 1 })
    await laravel.broadcast('stock-changed', { id: 1 })
    await laravel.broadcast('price-listed', { id: 7 })
    await laravel.broadcast('announced', { id: 8, text: 'Zoë 🚀 a/b', channel: 'presence-room.1' })
    await laravel.notify(1, 9)
    await laravel.deletePost(1)
    await laravel.broadcast('announced', { id: 10, socketId: await socketIdOf(page) })
    await laravel.broadcast('announced', { id: 11, socketId: '1.1' })
    await untilHeard(page, 'message', 11)
    const subscribed = (await heard(page, 'subscribed')).map((data) => JSON.parse(data))
    return {
      subscribed: subscribed.toSorted((one, other) => (one.channel < other.channel ? -1 : 1)),
      messages: (await heard(page, 'message')).map(withoutRandomId),
    }
  }

  it('tells a page in a browser the same, letter by letter and in the same order', async () => {
    const byRedis = await toldBy('redis')
    const published = () => countOf('echo_sse_published_total{outcome="ok"}')
    expect(await published()).toBe(0)
    const byPusher = await toldBy('pusher')
    // One call for each broadcast, not one for each channel.
    expect(await published()).toBe(10)
    expect(byPusher).toEqual(byRedis)
    expect(byRedis.subscribed).toHaveLength(CHANNELS.length)
    expect(byRedis.messages.filter((text) => /"id":10\b/.test(text))).toEqual([])
    expect(byRedis.messages.at(-1)).toMatch(/"id":11\b/)
  })

  it('throws in Laravel what the gateway did not take, so that its queue tries again', async () => {
    const away = await startRedis()
    const args = ['--redis', away.url, '--laravel-url', laravel.url, '--app-id', 'shop', '--app-key', 'shop-key']
    const cutOff = await startGatewayProcess([...args, '--app-secret', 'shop-secret'])
    onTestFinished(async () => {
      laravel.set({ PUSHER_PORT: new URL(gateway.url).port })
      await cutOff.stop()
      await away.close()
    })
    laravel.set({ BROADCAST_DRIVER: 'pusher', PUSHER_PORT: new URL(cutOff.url).port })
    await laravel.broadcast('order-shipped')
    await away.stop('SIGKILL')
    await expect(laravel.broadcast('order-shipped')).rejects.toThrow(/Laravel answered 500/)
    expect(laravel.log()).toContain('BroadcastException')
    await away.start()
    await expect
      .poll(() =>
        laravel.broadcast('order-shipped').then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
  })

  async function openPage(): Promise<Page> {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(`${laravel.url}/login/1`)
    await page.goto(laravel.url)
    await page.evaluate((url) => {
      const heard: { event: string; data: string }[] = []
      const source = new EventSource(url, { withCredentials: true })
      for (const event of ['connected', 'subscribed', 'denied', 'message', 'gap', 'bye']) {
        source.addEventListener(event, (given) => heard.push({ event, data: (given as MessageEvent<string>).data }))
      }
      Object.assign(window, { heard })
    }, `${gateway.url}/stream?channels=${CHANNELS}`)
    await untilHeard(page, 'subscribed', CHANNELS.length)
    return page
  }

  async function countOf(metric: string): Promise<number> {
    const text = await (await fetch(`${gateway.url}/metrics`)).text()
    const line = text.split('\n').find((line) => line.startsWith(metric))
    return Number(line?.split(' ').at(-1) ?? 0)
  }
})

async function untilHeard(page: Page, event: string, count: number): Promise<void> {
  const script = `heard.filter(({ event }) => event === '${event}').length >= ${count}`
  try {
    await page.waitForFunction(script, undefined, { timeout: 15_000 })
  } catch (error) {
    throw new Error(`Not ${count} times: ${event}. ${JSON.stringify(await page.evaluate('heard'))}`, { cause: error })
  }
}

async function heard(page: Page, name: string): Promise<string[]> {
  const all = (await page.evaluate('heard')) as { event: string; data: string }[]
  return all.filter(({ event }) => event === name).map(({ data }) => data)
}

async function socketIdOf(page: Page): Promise<string> {
  const [connected = '{}'] = await heard(page, 'connected')
  return JSON.parse(connected).socketId
}

/** Each notification has an id of its own. */
function withoutRandomId(text: string): string {
  return text.replace(/"id":"[\da-f-]{36}"/, '"id":"…"')
}
