import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { reactive } from 'vue'
import EchoByDefault, {
  Channel,
  Echo,
  EventFormatter,
  Pusher,
  SseConnector,
  SsePusher,
} from '../../../client/src/index.ts'
import { atEndOfTest } from '../../support/at-end.ts'
import { broadcast, ClientPage, pass } from '../../support/client-page.ts'

type OrderShipped = { readonly id: number }

declare global {
  // As an application does for the hooks of Laravel.
  interface Events {
    OrderShipped: OrderShipped
  }
}

function open(page: ClientPage, options: ConstructorParameters<typeof Echo>[0] = {}): Echo {
  const echo = new Echo({ ...page.options, ...options })
  atEndOfTest(() => echo.disconnect())
  return echo
}

describe('the package', () => {
  it('has everything by name, and Echo by default', () => {
    expect(EchoByDefault).toBe(Echo)
    expect([Channel, EventFormatter, SseConnector].every((kind) => typeof kind === 'function')).toBe(true)
    expect(Pusher).toBe(SsePusher)
  })
})

describe('our Echo', () => {
  it('needs no options', () => {
    const page = new ClientPage()
    vi.stubGlobal('location', { href: 'https://shop.test/' })
    const echo = new Echo()
    atEndOfTest(() => echo.disconnect())
    expect(echo.connectionStatus()).toBe('disconnected')
    expect(page.gateway.requests).toEqual([])
  })

  it('keeps its channels over disconnect and connect', async () => {
    const page = new ClientPage()
    const echo = open(page)
    const told = vi.fn()
    const channel = echo.channel('orders').listen('E', told)
    await page.open()
    echo.disconnect()
    echo.connect()
    const stream = await page.open()
    broadcast(stream, 'orders', 'App\\Events\\E', 1)
    expect(told).toHaveBeenCalledTimes(1)
    expect(echo.channel('orders')).toBe(channel)
    expect(echo.connectionStatus()).toBe('connected')
  })

  it('tells each change of the connection once, until it is asked not to', async () => {
    const page = new ClientPage()
    const echo = open(page)
    const told: string[] = []
    const stop = echo.onConnectionChange((status) => told.push(`${status} ${echo.socketId()}`))
    echo.channel('a')
    const stream = await page.open()
    page.gateway.script = (request) => (request.kind === 'stream' ? request.welcome() : undefined)
    stream.cut()
    await pass(1_500)
    echo.channel('b')
    await pass(100)
    echo.leaveAllChannels()
    await pass(10_000)
    const seen = ['connecting undefined', 'connected 7.1', 'reconnecting 7.1', 'connected 7.1']
    expect(told).toEqual(seen)
    echo.disconnect()
    expect(told).toEqual([...seen, 'disconnected undefined'])
    stop()
    echo.connect()
    echo.channel('a')
    await pass(100)
    expect(told).toHaveLength(5)
  })

  it('stops one listener to everything, however often it was told to listen', async () => {
    const page = new ClientPage()
    const [one, two] = [vi.fn(), vi.fn()]
    const channel = open(page).channel('a').listenToAll(one).listenToAll(one).listenToAll(two)
    const stream = await page.open()
    broadcast(stream, 'a', 'E', 1)
    channel.stopListeningToAll(one)
    broadcast(stream, 'a', 'E', 2)
    expect([one.mock.calls.length, two.mock.calls.length]).toEqual([2, 2])
  })

  it('leaves a channel object that has come back, too', async () => {
    const page = new ClientPage()
    const echo = open(page)
    const told = vi.fn()
    const channel = echo.channel('a')
    echo.leave('a')
    channel.listen('.E', told)
    expect(echo.connector.pusher.allChannels()).toHaveLength(1)
    echo.leaveAllChannels()
    expect(echo.connector.pusher.allChannels()).toEqual([])
  })

  it('reports a whisper that comes before the channel is there', () => {
    const page = new ClientPage()
    open(page).private('a').whisper('typing', {})
    expect(page.errors.map(({ message }) => message)).toEqual([expect.stringContaining('client-typing was not sent')])
  })

  it('takes a namespace, or none', async () => {
    const page = new ClientPage()
    vi.spyOn(console, 'warn').mockImplementation(() => {})
    const told = vi.fn()
    open(page, { namespace: 'Shop' }).channel('a').listen('E', told)
    open(page, { namespace: false }).channel('a').listen('E', told)
    open(page, { namespace: undefined }).channel('a').listen('E', told)
    await pass(50)
    for (const stream of page.gateway.open) {
      stream.welcome()
      for (const event of ['Shop\\E', 'E', 'App\\Events\\E']) broadcast(stream, 'a', event, event)
    }
    expect(told.mock.calls.map(([data]) => data)).toEqual(['Shop\\E', 'E', 'App\\Events\\E'])
  })

  it('shares nothing with another', async () => {
    const page = new ClientPage()
    const [one, two] = [open(page, { bearerToken: 'one' }), open(page)]
    const [first, second] = [vi.fn(), vi.fn()]
    one.private('a').listen('.E', first)
    await pass()
    const stream = page.gateway.last().welcome()
    two.private('a').listen('.E', second)
    await pass()
    expect(page.gateway.last().headers.get('authorization')).toBeNull()
    broadcast(stream, 'private-a', 'E', 1)
    await pass(50)
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 0])
  })

  it('does nothing where a page is rendered on a server', async () => {
    const page = new ClientPage()
    vi.stubGlobal('self', undefined)
    const { fetch } = globalThis
    const use = vi.fn()
    const axios = { interceptors: { request: { use, eject: () => {} } } }
    const echo = new Echo({ url: '/sse', interceptFetch: true, axios })
    echo.join('a').here(() => {})
    echo.channel('b').listen('E', () => {})
    await pass(60_000)
    echo.disconnect()
    expect(page.gateway.requests).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
    expect(globalThis.fetch).toBe(fetch)
    expect(use).not.toHaveBeenCalled()
  })

  it('may be made reactive by Vue, with its channels and its client', async () => {
    const page = new ClientPage()
    const { echo, connector, pusher, channel, subscription } = reactive(everyPart(open(page)))
    const told = vi.fn()
    channel.listen('E', told).listenToAll(told)
    subscription.bind('App\\Events\\E', told)
    connector.channel('b').listen('E', told)
    const stream = await page.open()
    for (const name of ['presence-a', 'b']) broadcast(stream, name, 'App\\Events\\E', 1)
    expect(told).toHaveBeenCalledTimes(4)
    expect([echo.socketId(), connector.socketId(), pusher.connection.socket_id]).toEqual(['7.1', '7.1', '7.1'])
    pusher.unsubscribe('presence-a')
    echo.disconnect()
  })
})

function everyPart(echo: Echo) {
  const channel = echo.join('a')
  return { echo, channel, connector: echo.connector, pusher: echo.connector.pusher, subscription: channel.subscription }
}

describe('the types', () => {
  it('know the payloads that an application has declared, and take what a callback says of others', () => {
    const echo = open(new ClientPage())
    const channel = echo.channel('orders')
    channel.listen('OrderShipped', (payload) => expectTypeOf(payload).toEqualTypeOf<OrderShipped>())
    channel.listen('Other', (payload) => expectTypeOf(payload).toEqualTypeOf<unknown>())
    channel.listen('Other', (payload: { readonly name: string }) => expectTypeOf(payload.name).toEqualTypeOf<string>())
    echo.listen('orders', 'OrderShipped', (payload) => expectTypeOf(payload).toEqualTypeOf<OrderShipped>())
    echo.join('room').here((members: { name: string }[]) => expectTypeOf(members).toEqualTypeOf<{ name: string }[]>())
    expectTypeOf(channel).not.toHaveProperty('whisper')
    expectTypeOf(echo.private('a')).toHaveProperty('whisper')
    // As code that was written for laravel-echo names it.
    expectTypeOf<Echo<'reverb'>>().toExtend<Echo>()
  })

  it('let the class stand where that of pusher-js is asked for', () => {
    const asked = (_kind: typeof import('pusher-js')['default']) => {}
    asked(Pusher)
    // And nothing else but that name is so free.
    expectTypeOf(new SsePusher('key', { url: 'http://gateway.test' })).toEqualTypeOf<SsePusher>()
  })
})
