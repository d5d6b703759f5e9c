import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apart, atEndOfTest } from '../support/at-end.ts'
import { launchChromium } from '../support/browser.ts'
import { pageOf } from '../support/browsers.ts'
import { FakeLaravel, presenceGrant } from '../support/fake-laravel.ts'
import {
  answers,
  cutsWithin,
  endsAfterConnected,
  endsAtOnce,
  type Fault,
  FaultServer,
  holdsBody,
  slow,
} from '../support/fault-server.ts'
import { startFleet, startNodes } from '../support/fleet.ts'
import { startFront } from '../support/front.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { LivePage } from '../support/live-page.ts'
import { requirePart } from '../support/parts.ts'
import { publishByHttp } from '../support/publisher.ts'

/** They wait for most of their time. */
const AT_A_TIME = { concurrent: true, timeout: 60_000 }
/** Tests of how long something takes, on machines that may be busy with something else. */
const IN_TIME = { retry: 2 }
const HEARTBEAT_MS = 2000
/** Silence after which a stream has been given up, at the latest. */
const DEAD_MS = 2 * HEARTBEAT_MS + 5000
const STREAMS = ['eventsource', 'fetch'] as const
/** Between two requests when the first failed or was empty: a second, from which a busy machine may take something. */
const PAUSE_MS = 900

type Tab = { readonly page: LivePage; readonly tab: Page; readonly context: BrowserContext }

describe.runIf(requirePart('chromium', 'nginx', 'redis'))('the client in Chromium', AT_A_TIME, () => {
  let browser: Browser
  let laravel: FakeLaravel
  let gateway: GatewayProcess

  beforeAll(async () => {
    laravel = await FakeLaravel.start(presenceGrant('ada', null))
    gateway = await startGateway('--laravel-url', laravel.url)
    browser = await launchChromium({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  })
  afterAll(async () => {
    await browser?.close()
    await gateway?.stop()
    await laravel?.close()
  })

  async function open(url: string, client: Record<string, unknown> = {}): Promise<Tab> {
    const context = await browser.newContext()
    atEndOfTest(() => context.close())
    return openTab(context, url, client)
  }

  /** With a server before the gateway that can be told to fail. */
  async function openFaulty(client: Record<string, unknown> = {}): Promise<Tab & { server: FaultServer }> {
    const server = await FaultServer.start(gateway.url)
    return { ...(await open(server.url, client)), server }
  }

  const publish = (channel: string, data: unknown) => publishAt(gateway, channel, data)

  describe.each(STREAMS)('by %s', (transport) => {
    it(
      'is told a message whole and once whose stream broke in the middle of it',
      apart(async () => {
        const { page, server } = await openFaulty({ transport })
        server.fault = cutsWithin('"to be cut"')
        await page.enter(`cut.${transport}`)
        await publish(`cut.${transport}`, 'before')
        await page.hears(`cut.${transport} "before"`)
        server.fault = null
        for (const message of ['to be cut', 'after']) await publish(`cut.${transport}`, message)
        await page.hears(`cut.${transport} "after"`)
        expect(await page.messages(`cut.${transport}`)).toEqual(['before', 'to be cut', 'after'])
        expect(await page.states()).toEqual(['connecting', 'connected', 'reconnecting', 'connected'])
      }),
    )

    const REFUSALS: [string, Fault, number][] = [
      ['502', answers(502), 0],
      ['503 with Retry-After', answers(503, { 'retry-after': '2' }), 2000],
      ['429 with Retry-After', answers(429, { 'retry-after': '2' }), 2000],
    ]
    it.for(REFUSALS)('comes back after %s, when it may, with all it missed', ([status, fault, leastMs], context) =>
      apart(async () => {
        const channel = `refused.${status.slice(0, 3)}.${transport}`
        const { page, server } = await openFaulty({ transport })
        await page.enter(channel)
        await page.run('Math.random = () => 0')
        const first = server.requests.length
        server.fault = fault
        server.cut()
        await publish(channel, 'meanwhile')
        await server.until(({ requests }) => requests.length === first + 3)
        server.fault = null
        await page.hears(`${channel} "meanwhile"`)

        const pauses = (await page.pauses()).slice(first)
        expect(Math.min(...pauses)).toBeGreaterThanOrEqual(PAUSE_MS)
        // EventSource does not say why it failed; the request after it finds out.
        const told = pauses.slice(transport === 'eventsource' ? 1 : 0, 2)
        expect(Math.min(...told)).toBeGreaterThanOrEqual(leastMs)
      })(context),
    )

    it(
      'takes the page of a hotel for what it is',
      apart(async () => {
        const channel = `portal.${transport}`
        const { page, server } = await openFaulty({ transport })
        const message = JSON.stringify({ channel, event: 'App\\Events\\E', data: 'from the hotel' })
        server.fault = answers(200, { 'content-type': 'text/html' }, `<p>Welcome\n\ndata: ${message}\n\n`)
        await page.run('Math.random = () => 0')
        await page.join(channel)
        await page.until('told.some(({ line }) => /^error .*is not the gateway; .url. must be/.test(line))')
        server.fault = null
        await page.hears(`subscribed ${channel}`)
        await publish(channel, 'from the gateway')
        await page.hears(`${channel} "from the gateway"`)
        expect(await page.messages(channel)).toEqual(['from the gateway'])
        expect(Math.min(...(await page.pauses()))).toBeGreaterThanOrEqual(PAUSE_MS)
      }),
    )

    const ENDINGS: [string, Fault][] = [
      ['that are empty', endsAtOnce('')],
      ['that say `retry: 0`', endsAtOnce('retry: 0\n\n')],
      ['that end after `connected`', endsAfterConnected()],
    ]
    it.for(ENDINGS)('asks for streams %s once a second at most', ([_case, fault], context) =>
      apart(async () => {
        const { page, server } = await openFaulty({ transport })
        await page.run('Math.random = () => 0')
        server.fault = fault
        await page.join('ending')
        await server.until(({ requests }) => requests.length === 4)
        expect(Math.min(...(await page.pauses()))).toBeGreaterThanOrEqual(PAUSE_MS)
        server.fault = null
        await page.hears('subscribed ending')
      })(context),
    )

    it(
      'works through a service worker that passes everything on',
      apart(async () => {
        const { page, tab, server } = await openFaulty({ transport })
        await page.run(`await navigator.serviceWorker.register('/worker.js'); await navigator.serviceWorker.ready`)
        await page.visit(server.url, { client: { transport } })
        expect(await tab.evaluate('navigator.serviceWorker.controller !== null')).toBe(true)

        const channel = `worker.${transport}`
        await page.enter(channel)
        await publish(channel, 1)
        await page.hears(`${channel} 1`)
        await page.run(`await wander(3, '${channel}.')`)
        // What was replaced has ended at the gateway too.
        await server.until(({ open }) => open.length === 1)
        server.cut()
        await page.hears('reconnecting')
        await publish(channel, 2)
        await page.hears(`${channel} 2`)
        await tab.goto('about:blank')
        await server.until(({ open }) => open.length === 0)
      }),
    )

    it(
      'leaves at once when the page goes into the back/forward cache, and is the same page when it comes back',
      IN_TIME,
      apart(async () => {
        const channel = `back.${transport}`
        const { page, tab, server } = await openFaulty({ transport })
        await page.run(`addEventListener('pageshow', ({ persisted }) => note('back: ' + persisted))`)
        await page.run(`addEventListener('pagehide', () => note('gone'))`)
        await page.join(channel, `presence-${channel}`)
        await Promise.all([page.hears(`subscribed ${channel}`), page.hears(`subscribed presence-${channel} ada`)])
        const socketId = await page.socketId()
        const stream = server.open[0]

        await tab.goto(`${server.url}/elsewhere.html`)
        await server.until(({ open }) => open.length === 0)
        expect(server.requests.filter(({ path }) => path === '/leave')).toHaveLength(1)
        await publish(channel, 'meanwhile')

        // A page that comes out of the cache is not loaded.
        await Promise.all([tab.waitForEvent('framenavigated'), tab.evaluate('void setTimeout(() => history.back())')])
        await page.hears('back: true')
        await page.hears(`${channel} "meanwhile"`)
        expect(await page.socketId()).toBe(socketId)
        expect(await page.messages(channel)).toEqual(['meanwhile'])
        const goneAt = await page.evaluate(`performance.timeOrigin + told.find(({ line }) => line === 'gone').at`)
        expect((stream?.closedAt ?? 0) - Number(goneAt)).toBeLessThan(200)
      }),
    )
  })

  it.for(STREAMS)('goes elsewhere when its gateway hangs, without losing anything: %s', IN_TIME, (transport, context) =>
    apart(async () => {
      const fleet = await startFleet({ args: ['--heartbeat-ms', String(HEARTBEAT_MS)] })
      const [hanging, other] = await startNodes(fleet, 2)
      const server = await FaultServer.start(hanging.url)
      const { page } = await open(server.url, { transport })
      await page.enter('orders')
      await fleet.publish('orders', 1)
      await page.hears('orders 1')

      const silence = 'Date.now() - pusher.connection.lastEventAt'
      await page.run(`pusher.connection.bind('connecting', () => note('silent for ' + (${silence})))`)
      server.target = other.url
      hanging.freeze()
      await fleet.publish('orders', 2)
      await page.hears('orders 2')

      expect(await page.messages('orders')).toEqual([1, 2])
      const silent = (await page.lines()).find((line) => line.startsWith('silent for'))
      expect(Number(silent?.split(' ')[2])).toBeLessThan(DEAD_MS + 500)
    })(context),
  )

  it(
    'polls where nginx holds streams back, remembers that, and listens to a stream again when it does not any more',
    IN_TIME,
    apart(async () => {
      const front = await startFront({ gateways: [gateway.url], config: () => HOLDING_BACK })
      atEndOfTest(() => front.stop())
      const { page } = await open(front.url)
      await page.join('held')
      await page.hears('subscribed held')
      await publish('held', 1)
      await page.hears('held 1')
      const [connecting, transport, , subscribed] = await page.told()
      expect(transport?.line).toBe('transport poll')
      expect(subscribed?.line).toBe('subscribed held')
      expect((subscribed?.at ?? 0) - (connecting?.at ?? 0)).toBeLessThan(3000)

      await page.visit(front.url)
      await page.join('held')
      await page.hears('subscribed held')
      const [start, , , end] = await page.told()
      expect((await page.lines())[1]).toBe('transport poll')
      expect((end?.at ?? 0) - (start?.at ?? 0)).toBeLessThan(1500)

      // As it is six minutes later.
      await page.run(
        `sessionStorage['echo-sse:held-back:${front.url}/sse'] -= 6 * 60_000; document.cookie = 'healed=1'`,
      )
      await page.visit(front.url)
      await page.join('held')
      await page.hears('transport eventsource')
      await publish('held', 2)
      await page.hears('held 2')
      expect((await page.lines()).filter((line) => line.startsWith('transport'))).toEqual([
        'transport poll',
        'transport eventsource',
      ])
      expect(await page.states()).toEqual(['connecting', 'connected'])

      await page.visit(front.url)
      await page.enter('held')
      expect((await page.lines())[1]).toBe('transport eventsource')
    }),
  )

  it(
    'polls where only the head of a stream comes through',
    IN_TIME,
    apart(async () => {
      const { page, server } = await openFaulty()
      server.fault = holdsBody()
      await page.join('headed')
      await page.hears('transport poll')
      await publish('headed', 1)
      await page.hears('headed 1')
      const [first] = await page.told()
      expect((await page.told()).find(({ line }) => line === 'subscribed headed')?.at).toBeLessThan(
        (first?.at ?? 0) + 3000,
      )
    }),
  )

  it(
    'waits for a slow server, and does not take it for a path that holds streams back',
    apart(async () => {
      const { page, server } = await openFaulty()
      server.fault = slow(2500)
      await page.join('slow')
      await page.hears('subscribed slow')
      await publish('slow', 1)
      await page.hears('slow 1')
      expect(await page.evaluate('pusher.connection.transport')).toBe('eventsource')
      expect(server.streams).toHaveLength(1)
      // It did ask whether the gateway is well.
      expect(server.requests).toHaveLength(2)
    }),
  )

  it(
    'asks for 300 channels in one request, through nginx',
    apart(async () => {
      const roomy = await startGateway('--max-channels', '300')
      atEndOfTest(() => roomy.stop())
      const front = await startFront({ gateways: [roomy.url] })
      atEndOfTest(() => front.stop())
      const { page, tab } = await open(front.url)
      const asked: string[] = []
      tab.on('request', (request) => request.url().includes('/stream') && asked.push(request.method()))
      const channels = Array.from({ length: 300 }, (_, number) => `orders.of-a-customer-with-a-long-name.${number}`)
      await page.join(...channels)
      await page.until(`told.filter(({ line }) => line.startsWith('subscribed')).length === 300`)
      expect(asked).toEqual(['POST'])
      expect(await page.evaluate('pusher.connection.reason')).toBe('EventSource cannot serve here')
      for (const channel of [channels[0], channels[299]]) {
        await publishAt(roomy, channel ?? '', 1)
        await page.hears(`${channel} 1`)
      }
    }),
  )

  it(
    'keeps a stream that flows while the browser says it is offline, and comes back at once when it is online again',
    IN_TIME,
    apart(async () => {
      const { page, context, server } = await openFaulty()
      await page.enter('offline')
      // As late as it may try again: in 1, 4, 8 seconds.
      await page.run('Math.random = () => 0.999')
      await context.setOffline(true)
      await publish('offline', 1)
      await page.hears('offline 1')

      server.cut()
      await page.hears('reconnecting')
      await publish('offline', 2)
      // The first attempts fail in the browser itself.
      await page.run(`await new Promise((resolve) => setTimeout(resolve, 2500))`)
      expect(await page.messages('offline')).toEqual([1])
      await page.run(`addEventListener('online', () => note('online'))`)
      await context.setOffline(false)
      await page.hears('offline 2')
      const told = await page.told()
      const atOf = (line: string) => told.findLast((one) => one.line === line)?.at ?? 0
      expect(atOf('connected') - atOf('online')).toBeLessThan(2000)
    }),
  )

  it(
    'goes on in six tabs that take all connections there are, and changes channels when one is free',
    apart(async () => {
      const { page, context, server } = await openFaulty()
      const others = await Promise.all(Array.from({ length: 5 }, () => openTab(context, server.url)))
      const pages = [page, ...others.map((other) => other.page)]
      await Promise.all(pages.map((one) => one.enter('tabs')))
      await publish('tabs', 1)
      await Promise.all(pages.map((one) => one.hears('tabs 1')))

      await page.join('more')
      // Longer than it takes to doubt a path.
      await page.run('await new Promise((resolve) => setTimeout(resolve, 2500))')
      await publish('tabs', 2)
      await Promise.all(pages.map((one) => one.hears('tabs 2')))
      expect(server.open).toHaveLength(6)

      await others[0]?.tab.close()
      await page.hears('subscribed more')
      expect(await page.evaluate('pusher.connection.transport')).toBe('eventsource')
      expect(await page.states()).toEqual(['connecting', 'connected'])
      expect(await page.messages('tabs')).toEqual([1, 2])
    }),
  )

  it(
    'says in the seventh page what keeps it waiting, and connects that when another is closed',
    apart(async () => {
      const site = await FaultServer.start(gateway.url)
      const elsewhere = await startGateway('--allow-origin', site.url)
      atEndOfTest(() => elsewhere.stop())
      const context = await browser.newContext()
      atEndOfTest(() => context.close())
      const warnings: string[] = []
      const openOne = async () => {
        const opened = await openTab(context, site.url, { url: elsewhere.url })
        opened.tab.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()))
        return opened
      }
      const [first] = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const opened = await openOne()
          await opened.page.enter('tabs')
          return opened
        }),
      )
      const seventh = await openOne()
      const warned = seventh.tab.waitForEvent('console', (message) => message.type() === 'warning')
      await seventh.page.join('tabs')
      await warned
      expect(warnings[0]).toMatch(`${elsewhere.url} has not answered in 10 s: over HTTP/1.1 a browser allows six`)
      expect(await seventh.page.states()).toEqual(['connecting'])

      await first?.tab.close()
      await seventh.page.hears('subscribed tabs')
      await publishAt(elsewhere, 'tabs', 1)
      await seventh.page.hears('tabs 1')
      expect(warnings).toHaveLength(1)
    }),
  )

  it(
    'tells one gap when the gateway has begun anew, and nothing twice',
    apart(async () => {
      const restarted = await startGateway()
      atEndOfTest(() => restarted.stop())
      const server = await FaultServer.start(restarted.url)
      const { page } = await open(server.url)
      await page.enter('orders')
      await publishAt(restarted, 'orders', 1)
      await page.hears('orders 1')

      await restarted.stop('SIGKILL')
      await restarted.start()
      await page.hears('gap null restart')
      await page.hears('subscribed orders', 2)
      await publishAt(restarted, 'orders', 2)
      await page.hears('orders 2')

      server.cut()
      await page.hears('connected', 3)
      await publishAt(restarted, 'orders', 3)
      await page.hears('orders 3')
      expect(await page.messages('orders')).toEqual([1, 2, 3])
      expect((await page.lines()).filter((line) => line.startsWith('gap'))).toHaveLength(1)
    }),
  )

  it(
    'reads what came while it was asleep, and keeps the stream it had',
    IN_TIME,
    apart(async () => {
      const server = await FaultServer.start(gateway.url)
      const own = await launchChromium()
      atEndOfTest(() => own.close())
      const { page } = await openTab(await own.newContext(), server.url)
      await page.enter('asleep')
      await publish('asleep', 0)
      await page.hears('asleep 0')

      const wake = await putToSleep(own)
      // Longer than a stream may be silent.
      for (let number = 1; number < 10; number += 1) {
        await publish('asleep', number)
        await new Promise((resolve) => setTimeout(resolve, (1.3 * DEAD_MS) / 10))
      }
      wake()
      await page.hears('asleep 9')
      // Until it has looked at the clock again.
      await page.run('await new Promise((resolve) => setTimeout(resolve, 5500))')
      expect(await page.messages('asleep')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      const told = (await page.told()).filter(({ line }) => line.startsWith('asleep'))
      expect((told[9]?.at ?? Infinity) - (told[1]?.at ?? 0)).toBeLessThan(HEARTBEAT_MS)
      expect(await page.states()).toEqual(['connecting', 'connected'])
      expect(server.streams).toHaveLength(1)
    }),
  )
})

/** Stops the processes of its pages, as a machine that sleeps does; its connections stay. Returns how to wake them. */
async function putToSleep(browser: Browser): Promise<() => void> {
  const session = await browser.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  const pages = processInfo.filter(({ type }) => type === 'renderer')
  for (const { id } of pages) process.kill(id, 'SIGSTOP')
  return () => {
    for (const { id } of pages) process.kill(id, 'SIGCONT')
  }
}

async function openTab(context: BrowserContext, url: string, client: Record<string, unknown> = {}): Promise<Tab> {
  const tab = await context.newPage()
  const page = new LivePage(pageOf(tab))
  await page.visit(url, { client })
  return { page, tab, context }
}

function startGateway(...args: string[]): Promise<GatewayProcess> {
  return startGatewayProcess(['--heartbeat-ms', String(HEARTBEAT_MS), ...args])
}

async function publishAt({ url }: GatewayProcess, channel: string, data: unknown): Promise<void> {
  const event = { name: 'App\\Events\\E', data: JSON.stringify(data), channels: [channel] }
  const { status, text } = await publishByHttp(url, event)
  if (status !== 200) throw new Error(`Publishing was answered with ${status}: ${text}`)
}

/** Streams as they come from nginx where nobody has thought of them; pages with the cookie are better off. */
const HOLDING_BACK = `
  location /sse/ {
    if ($cookie_healed) { rewrite ^/sse/(.*)$ /healed/$1 last; }
    proxy_http_version 1.0;
    proxy_ignore_headers X-Accel-Buffering;
    proxy_set_header Host $http_host;
    proxy_pass http://laravel_echo_sse/;
  }
  location /healed/ {
    internal;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_set_header Host $http_host;
    proxy_pass http://laravel_echo_sse/;
  }`
