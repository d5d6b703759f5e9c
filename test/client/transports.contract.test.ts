import { EventSource } from 'eventsource'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { TransportName } from '../../client/src/transports/transport.ts'
import type { Decision } from '../../src/auth/authorizer.ts'
import { deny } from '../../src/auth/denial.ts'
import type { Config } from '../../src/config/config.ts'
import { EnginePage } from '../support/engine-page.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

// What every transport keeps, against a real gateway. Browsers have their own suite.
const TRANSPORTS: TransportName[] = ['eventsource', 'fetch', 'poll']

const ROOM = 'presence-room'

const decisions: Record<string, Decision> = {
  'private-closed': deny('forbidden'),
  [ROOM]: { allowed: true, member: { id: '7', info: { name: 'Ada' } } },
  'private-encrypted-a': { allowed: true, sharedSecret: 'c2VjcmV0' },
}

const pages: EnginePage[] = []

beforeEach(() => {
  vi.stubGlobal('EventSource', EventSource)
})

afterEach(() => {
  for (const { engine } of pages.splice(0)) engine.disconnect()
  vi.unstubAllGlobals()
})

describe.each(TRANSPORTS)('a page that is told by %s', (transport) => {
  async function gatewayOf(config: Partial<Config> = {}): Promise<RunningGateway> {
    const gateway = await startGateway(config)
    gateway.authorizer.decides(({ channel }) => decisions[channel.name] ?? { allowed: true })
    return gateway
  }

  function open(url: string, ...channels: string[]): EnginePage {
    // EventSource brings a cookie, which Node does not keep. Without either, nobody believes a goodbye.
    const headers = transport === 'eventsource' ? {} : { Authorization: `Bearer ${pages.length}` }
    const page = new EnginePage({ url, transport, headers: () => headers })
    pages.push(page)
    for (const channel of channels) page.engine.join(channel)
    return page
  }

  const news = (page: EnginePage) => page.news().filter((line) => !/→|^transport/.test(line))

  it('gets the same frames', async () => {
    const gateway = await gatewayOf()
    const page = open(gateway.url, 'orders', 'private-invoices', 'private-closed', ROOM, 'private-encrypted-a', 'a,b')
    await page.until((told) => told.filter((line) => /^(subscribed|refused)/.test(line)).length === 6)
    expect(page.news().sort()).toEqual(
      [
        'disconnected → connecting',
        'connecting → connected',
        `transport ${transport}: asked for`,
        'refused private-closed 403',
        'subscribed a,b',
        'subscribed orders',
        'subscribed private-encrypted-a',
        'subscribed private-invoices',
        `subscribed ${ROOM} 7`,
      ].sort(),
    )
    expect(page.engine.subscription('private-encrypted-a')?.sharedSecret).toBe('c2VjcmV0')
    const data = ['ü€😀', { 'a\nb': '\r\n\u2028' }, null, 0, '', [1, [2]]]
    for (const one of data) await gateway.publish('orders', 'E', one)
    await gateway.publish('a,b', 'E', 'comma')
    await gateway.publish('private-invoices', 'E', 1, page.engine.socketId)
    await gateway.publish('private-invoices', 'E', 2)
    await page.hears('message private-invoices 2')
    expect(page.news()).toEqual([
      ...data.map((one) => `message orders ${JSON.stringify(one)}`),
      'message a,b "comma"',
      'message private-invoices 2',
    ])
    expect(page.errors).toEqual([])
  })

  it('hears who comes and goes', async () => {
    const gateway = await gatewayOf({ lingerMs: 1000 })
    const page = open(gateway.url, ROOM)
    await page.hears(`subscribed ${ROOM} 7`)
    gateway.authorizer.decides(() => ({ allowed: true, member: { id: '8', info: null } }))
    const other = open(gateway.url, ROOM)
    await page.hears(`joining ${ROOM} 8`)
    await other.hears(`subscribed ${ROOM} 7,8`)
    other.engine.disconnect()
    await page.hears(`leaving ${ROOM} 8`)
  })

  it('loses, repeats and reorders nothing while its channels change under 100 events a second', async () => {
    const gateway = await gatewayOf()
    const page = open(gateway.url, 'orders')
    await page.hears('subscribed orders')
    const EVENTS = 200
    for (let event = 0; event < EVENTS; event++) {
      await gateway.publish('orders', 'E', event)
      if (event % 8 === 0) page.engine.join(`extra-${event}`)
      if (event % 24 === 16) page.engine.leave(`extra-${event - 16}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await page.hears(`message orders ${EVENTS - 1}`)
    expect(page.messages).toEqual(Array.from({ length: EVENTS }, (_, event) => `orders ${event}`))
    expect(page.told.filter((line) => line === 'subscribed orders')).toHaveLength(1)
    expect(page.state).toBe('connected')
  })

  it('gets nothing of a channel that is older than its joining', async () => {
    const gateway = await gatewayOf()
    const page = open(gateway.url, 'orders')
    await page.hears('subscribed orders')
    await gateway.publish('invoices', 'E', 'before')
    page.engine.join('invoices')
    await page.hears('subscribed invoices')
    await gateway.publish('invoices', 'E', 'after')
    await page.hears('message invoices "after"')
    expect(page.messages).toEqual(['invoices "after"'])
  })

  it('is told what it missed, once, after its line was cut, and is the same page', async () => {
    const gateway = await gatewayOf()
    const proxy = await startTcpProxy(gateway.port)
    const page = open(`http://127.0.0.1:${proxy.port}`, 'orders', 'private-invoices')
    await page.hears('subscribed private-invoices')
    const { socketId } = page.engine
    await gateway.publish('orders', 'E', 1)
    await page.hears('message orders 1')
    proxy.cut()
    await page.until((told) => told.includes('connected → reconnecting'))
    for (const data of [2, 3]) await gateway.publish('orders', 'E', data)
    await gateway.publish('private-invoices', 'E', 4)
    await gateway.publish('private-invoices', 'E', 'mine', socketId)
    proxy.resume()
    await page.hears('message private-invoices 4')
    await gateway.publish('orders', 'E', 5)
    await page.hears('message orders 5')
    expect(page.messages).toEqual(['orders 1', 'orders 2', 'orders 3', 'private-invoices 4', 'orders 5'])
    expect(page.engine.socketId).toBe(socketId)
    expect(page.told.filter((line) => line.startsWith('subscribed'))).toHaveLength(2)
    expect(page.told.filter((line) => line.includes('→'))).toEqual([
      'disconnected → connecting',
      'connecting → connected',
      'connected → reconnecting',
      'reconnecting → connected',
    ])
  }, 15_000)

  it('is told once, by a gap, that a gateway has begun anew, and goes on', async () => {
    const gateway = await gatewayOf()
    const proxy = await startTcpProxy(gateway.port)
    const page = open(`http://127.0.0.1:${proxy.port}`, 'orders')
    await page.hears('subscribed orders')
    await gateway.publish('orders', 'E', 1)
    await page.hears('message orders 1')
    proxy.cut()
    await gateway.stop()
    const next = await startGateway({ port: gateway.port })
    proxy.resume()
    await page.hears('subscribed orders', 2)
    await next.publish('orders', 'E', 2)
    await page.hears('message orders 2')
    page.engine.join('more')
    await page.hears('subscribed more')
    expect(news(page)).toEqual([
      'subscribed orders',
      'message orders 1',
      'gap null restart',
      'subscribed orders',
      'message orders 2',
      'subscribed more',
    ])
  }, 15_000)

  it('is sent away by a gateway that stops, and comes back', async () => {
    const gateway = await gatewayOf({ drainMs: 200 })
    const page = open(gateway.url, 'orders')
    await page.hears('subscribed orders')
    const stopped = gateway.stop()
    await page.hears('connected → reconnecting')
    await stopped
    await startGateway({ port: gateway.port })
    await page.hears('reconnecting → connected')
  }, 15_000)

  it('asks Laravel again for a channel that it refused for now', async () => {
    const gateway = await gatewayOf()
    let isBusy = true
    gateway.authorizer.decides(() =>
      isBusy ? deny('authorizer_unavailable', { retryAfterMs: 100 }) : { allowed: true },
    )
    const page = open(gateway.url, 'private-a')
    await page.hears('refused private-a 503 for now')
    isBusy = false
    await page.hears('subscribed private-a')
    expect(gateway.authorizer.questions.length).toBeLessThanOrEqual(3)
  })

  it('asks for a hundred channels with long names', async () => {
    const gateway = await gatewayOf()
    const names = Array.from({ length: 100 }, (_, at) => `${'x'.repeat(90)}${at}`)
    const page = open(gateway.url, ...names)
    await page.hears(`subscribed ${names[99]}`)
    await gateway.publish(names[99] ?? '', 'E', 1)
    await page.hears(`message ${names[99]} 1`)
    expect(page.errors).toEqual([])
  })

  it('is told in words when it asks for too much', async () => {
    const gateway = await gatewayOf({ maxChannels: 2 })
    const page = open(gateway.url, 'a', 'b', 'c')
    await page.hears('refused a 400 for now')
    expect(page.errors[0]?.message).toContain('the limit is 2')
  })
})

describe.each(['fetch', 'poll'] as const)('a page that whispers and is told by %s', (transport) => {
  it('is heard by the others and not by itself', async () => {
    const gateway = await startGateway()
    gateway.authorizer.decides(() => decisions[ROOM] as Decision)
    const [page, other] = ['ada', 'tab'].map((token) => {
      const page = new EnginePage({
        url: gateway.url,
        transport,
        headers: () => ({ Authorization: `Bearer ${token}` }),
      })
      pages.push(page)
      page.engine.join(ROOM)
      return page
    }) as [EnginePage, EnginePage]
    await Promise.all([page.hears(`subscribed ${ROOM} 7`), other.hears(`subscribed ${ROOM} 7`)])
    // A whisper is for who listens now; a poll may be on its way at that moment.
    while (other.messages.length === 0) {
      expect(page.engine.whisper(ROOM, 'client-typing', { at: 1 })).toBe(true)
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    expect(new Set(other.messages)).toEqual(new Set([`${ROOM} {"at":1}`]))
    expect(page.messages).toEqual([])
    expect(page.errors).toEqual([])
  })
})
