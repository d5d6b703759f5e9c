import { readFileSync } from 'node:fs'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/browser.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { type Watched, watch } from '../support/watched.ts'

const PARTS = ['redis', 'php', 'phpredis', 'laravel-12', 'nginx', 'chromium'] as const

/** What a listener of the page's EventSource was called with. */
type Heard = { event: string; data: string; id: string }

describe.runIf(requirePart(...PARTS))('a page of a real Laravel in Chromium, with its own EventSource', () => {
  let redis: RedisServer
  let laravel: Laravel
  let asked: Watched
  let gateway: GatewayProcess
  let nginx: Nginx
  let browser: Browser
  let context: BrowserContext
  let page: Page

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await startLaravel({ app: 'laravel-12', redisClient: 'phpredis', redisPort: redis.port })
    asked = await watch(laravel.url)
    const args = ['--laravel', laravel.dir, '--laravel-url', asked.url, '--retry-ms', '100']
    // The application's own address is listed by default, nginx's is not.
    gateway = await startGatewayProcess([...args, '--allow-origin', laravel.url])
    nginx = await startNginx({ config: (port) => inFrontOf(gateway.url, laravel.url, port) })
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    await nginx?.stop()
    await gateway?.stop()
    await asked?.close()
    await laravel?.stop()
    await redis?.close()
  })

  beforeEach(async () => {
    context = await browser.newContext()
    page = await context.newPage()
  })

  afterEach(() => context.close())

  /** Logs in through the application at this address and stays on one of its pages. */
  async function logIn(url: string): Promise<void> {
    await page.goto(`${url}/login/1`)
    await page.goto(url)
  }

  describe('on the same origin, behind nginx', () => {
    it('hears public and private channels and why another one is refused', async () => {
      await logIn(nginx.url)
      await listen(page, '/sse/stream?channels=orders,private-orders.1,private-denied.1,presence-room.4')
      await untilHeard(page, 'ping')

      await laravel.broadcast('order-shipped', { id: 5 })
      await laravel.broadcast('order-paid', { id: 1 })
      await laravel.broadcast('stock-changed', { id: 4 })
      await untilHeard(page, 'message', 3)

      const subscribed = (await heard(page, 'subscribed')).map(({ data }) => JSON.parse(data))
      expect(subscribed).toHaveLength(3)
      expect(subscribed).toContainEqual({ channel: 'orders' })
      expect(subscribed).toContainEqual({ channel: 'private-orders.1' })
      expect(subscribed).toContainEqual(expect.objectContaining({ channel: 'presence-room.4', me: '1' }))
      expect((await heard(page, 'denied')).map(({ data }) => JSON.parse(data))).toEqual([
        expect.objectContaining({ channel: 'private-denied.1', status: 403, code: 'forbidden', retry: false }),
      ])
      expect((await heard(page, 'message')).map(({ data }) => data)).toEqual([
        '{"channel":"orders","event":"App\\\\Events\\\\OrderShipped","data":{"id":5}}',
        '{"channel":"private-orders.1","event":"order.paid","data":{"paid":true}}',
        '{"channel":"presence-room.4","event":"App\\\\Events\\\\StockChanged","data":{"id":4}}',
      ])
    })

    it('is recognised by its cookie and its CSRF token', async () => {
      await logIn(nginx.url)
      await listen(page, '/sse/stream?channels=private-orders.1')
      await untilHeard(page, 'subscribed')

      const call = asked.requests.at(-1)
      const cookies = await context.cookies()
      const token = cookies.find(({ name }) => name === 'XSRF-TOKEN')?.value ?? ''
      expect(call?.headers['x-xsrf-token']).toBe(decodeURIComponent(token))
      expect(call?.headers.cookie).toContain(`XSRF-TOKEN=${token}`)
      expect(call?.headers['user-agent']).toContain('Chrome')
    })

    it('comes back by itself after the gateway was away, and is told that something may be missing', async () => {
      await page.goto(nginx.url)
      await listen(page, '/sse/stream?channels=orders')
      await untilHeard(page, 'subscribed')
      await laravel.broadcast('order-shipped', { id: 1 })
      await untilHeard(page, 'message')

      await gateway.stop('SIGKILL')
      onTestFinished(async () => {
        if (!(await gateway.isReady())) await gateway.start()
      })
      // An EventSource would be dead after a 502, so nginx says goodbye in the gateway's name; others see the 502.
      await untilHeard(page, 'bye')
      expect((await fetch(`${nginx.url}/sse/stream?channels=orders`)).status).toBe(502)
      await laravel.broadcast('order-shipped', { id: 2 })
      await gateway.start()
      await untilHeard(page, 'gap')
      await laravel.broadcast('order-shipped', { id: 3 })
      await untilHeard(page, 'message', 2)

      expect(await story(page)).toEqual([1, 'gap', 3])
    })
  })

  describe('on another origin', () => {
    it('is granted private channels with credentials from a listed one', async () => {
      await logIn(laravel.url)
      await listen(page, `${gateway.url}/stream?channels=private-orders.1`, { withCredentials: true })
      await untilHeard(page, 'subscribed')

      await laravel.broadcast('order-paid', { id: 1 })
      await untilHeard(page, 'message')
    })

    it('is told what it forgot without credentials, and hears what is public', async () => {
      await logIn(laravel.url)
      await listen(page, `${gateway.url}/stream?channels=orders,private-orders.1`)
      await untilHeard(page, 'denied')

      const [denied] = await heard(page, 'denied')
      expect(JSON.parse(denied?.data ?? '')).toMatchObject({
        status: 401,
        code: 'unauthenticated',
        message: expect.stringContaining('withCredentials'),
      })
      await laravel.broadcast('order-shipped')
      await untilHeard(page, 'message')
    })

    it('is refused from an unlisted one, and Laravel is not asked', async () => {
      await logIn(nginx.url)
      const calls = () => asked.requests.filter(({ headers }) => headers['user-agent']?.includes('Chrome')).length
      const before = calls()

      await listen(page, `${gateway.url}/stream?channels=orders,private-orders.1`, { withCredentials: true })
      await untilHeard(page, 'error')

      expect(await page.evaluate('source.readyState')).toBe(2)
      expect(await story(page)).toEqual([])
      expect(calls()).toBe(before)
    })

    it('comes back by itself after the network was cut, with all it missed', async () => {
      const line = await startTcpProxy(Number(new URL(gateway.url).port))
      await logIn(laravel.url)
      const address = `http://127.0.0.1:${line.port}/stream?channels=orders,private-orders.1`
      await listen(page, address, { withCredentials: true })
      await untilHeard(page, 'subscribed', 2)
      await laravel.broadcast('order-shipped', { id: 1 })
      await untilHeard(page, 'message')

      line.cut()
      await untilHeard(page, 'error', 2)
      await laravel.broadcast('order-shipped', { id: 2, count: 3 })
      line.resume()
      await untilHeard(page, 'subscribed', 4)
      await laravel.broadcast('announced', { id: 5, channel: 'private-orders.1' })
      await untilHeard(page, 'message', 5)

      expect(await story(page)).toEqual([1, 2, 3, 4, 5])
      const verdicts = (await heard(page, 'connected')).map(({ data }) => JSON.parse(data).resume)
      expect(verdicts).toEqual(['fresh', 'ok'])
    })
  })
})

/** Laravel at `/`, the gateway at `/sse/`, as gateway.conf says for the server block of the application itself. */
function inFrontOf(gatewayUrl: string, laravelUrl: string, port: number): string {
  const shipped = (name: string) => readFileSync(`${import.meta.dirname}/../../nginx/${name}`, 'utf8')
  const upstream = shipped('upstream.conf').replace('127.0.0.1:6001', new URL(gatewayUrl).host)
  return `${upstream}
    server {
      listen 127.0.0.1:${port};
      location / { proxy_pass ${laravelUrl}; proxy_set_header Host $http_host; }
      ${shipped('gateway.conf').replace(/location (= )?\//g, 'location $1/sse/')}
    }`
}

/** Opens an EventSource in the page; `heard` keeps what its listeners are called with. */
async function listen(page: Page, url: string, init: EventSourceInit = {}): Promise<void> {
  await page.evaluate(
    ([url, init]) => {
      const source = new EventSource(url, init)
      const heard: Heard[] = []
      for (const event of ['message', 'error', 'connected', 'subscribed', 'denied', 'ping', 'gap', 'bye']) {
        source.addEventListener(event, (given) => {
          const { data = '', lastEventId: id = '' } = given as MessageEvent<string>
          heard.push({ event, data, id })
        })
      }
      Object.assign(window, { source, heard })
    },
    [url, init] as const,
  )
}

async function untilHeard(page: Page, event: string, count = 1): Promise<void> {
  const script = `heard.filter(({ event }) => event === ${JSON.stringify(event)}).length >= ${count}`
  try {
    await page.waitForFunction(script, undefined, { timeout: 10_000 })
  } catch (error) {
    throw new Error(`Not ${count} times: ${event}. ${JSON.stringify(await allHeard(page))}`, { cause: error })
  }
}

async function heard(page: Page, name: string): Promise<Heard[]> {
  return (await allHeard(page)).filter(({ event }) => event === name)
}

/** The numbers of the messages, and each `gap`, in order. */
async function story(page: Page): Promise<(number | 'gap')[]> {
  const told = (await allHeard(page)).filter(({ event }) => event === 'message' || event === 'gap')
  return told.map(({ event, data }) => (event === 'gap' ? 'gap' : JSON.parse(data).data.id))
}

function allHeard(page: Page): Promise<Heard[]> {
  return page.evaluate('heard')
}
