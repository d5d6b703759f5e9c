import { describe, expect, it, vi } from 'vitest'
import type { Engine } from '../../../client/src/core/engine.ts'
import { Connection } from '../../../client/src/pusher/connection.ts'
import type { SsePusher } from '../../../client/src/pusher/pusher.ts'
import { ClientPage, pass } from '../../support/client-page.ts'

function states({ connection }: SsePusher): string[] {
  const told: string[] = []
  connection.bind<{ previous: string; current: string }>('state_change', ({ previous, current }) =>
    told.push(`${previous} → ${current}`),
  )
  return told
}

describe('the connection as pusher-js tells it', () => {
  it('is initialized until there is a channel, then connecting, then connected with its socket id', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const { connection } = pusher
    const told = states(pusher)
    const connected = vi.fn()
    connection.bind('connected', (data) => connected(data, connection.socket_id))
    await pass(5000)
    expect([connection.state, page.gateway.requests]).toEqual(['initialized', []])
    expect(connection.socket_id).toBeUndefined()

    pusher.subscribe('orders')
    await page.open()
    expect(told).toEqual(['initialized → connecting', 'connecting → connected'])
    expect(connected.mock.calls).toEqual([[{ socket_id: '7.1' }, '7.1']])
    expect(connection.lastEventAt).toBe(Date.now())
  })

  it('says connecting while it reconnects, unavailable after 10 seconds, and connected when it is back', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    pusher.subscribe('orders')
    const stream = await page.open()
    const told = states(pusher)
    stream.cut()
    page.gateway.script = (request) => request.cut()
    expect([pusher.connection.state, pusher.connection.status]).toEqual(['connecting', 'reconnecting'])
    await pass(9_999)
    expect(told).toEqual(['connected → connecting'])
    await pass(1)
    expect(told).toEqual(['connected → connecting', 'connecting → unavailable'])
    expect(pusher.connection.status).toBe('reconnecting')

    page.gateway.script = (request) => (request.kind === 'stream' ? request.welcome() : request.connect().end())
    await pass(30_000)
    expect(told.slice(2)).toEqual(['unavailable → connected'])
  })

  it('has one word for a first attempt and a later one, and says it once', () => {
    const connection = new Connection({} as Engine)
    const told = vi.fn()
    connection.bind('connecting', told)
    connection.turn('connecting')
    connection.turn('reconnecting')
    connection.turn('failed')
    expect(told).toHaveBeenCalledTimes(1)
    expect([connection.state, connection.status]).toEqual(['failed', 'failed'])
  })

  it('tells in how many seconds it tries again, while there is no stream', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told: unknown[] = []
    pusher.connection.bind('connecting_in', (seconds) => told.push(seconds))
    pusher.subscribe('orders')
    const stream = await page.open()
    page.gateway.script = (request) => request.refuse(503)
    pusher.subscribe('invoices')
    await pass(1000)
    // The stream that is there goes on; only what was to replace it has failed.
    expect(told).toEqual([])

    page.gateway.script = (request) => request.welcome()
    await page.gateway.live(20_000)
    stream.cut()
    page.gateway.last().bye('drain', 7_400).end()
    expect(told).toEqual([8])
    page.gateway.script = (request) => request.cut()
    vi.spyOn(Math, 'random').mockReturnValue(0)
    await pass(20_000)
    expect(told.length).toBeGreaterThan(1)
    expect(Math.min(...(told as number[]))).toBe(1)
  })

  it('is not called unavailable once it is disconnected', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    pusher.subscribe('orders')
    await pass(50)
    const told = states(pusher)
    pusher.disconnect()
    await pass(20_000)
    expect(told).toEqual(['connecting → disconnected'])
  })

  it('stays connected when channels come and go, and when the last one is left', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    pusher.subscribe('a')
    await page.open()
    const told = states(pusher)
    pusher.subscribe('b')
    await page.open()
    pusher.unsubscribe('a')
    pusher.unsubscribe('b')
    await pass(20_000)
    expect(page.gateway.open).toEqual([])
    expect(told).toEqual([])
  })

  it('tells its transport, and why', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told: unknown[] = []
    pusher.connection.bind('transport_change', (change) => told.push(change))
    expect(pusher.connection.transport).toBeNull()
    pusher.subscribe('a')
    await page.open()
    pusher.subscribe('b')
    await page.open()
    expect(told).toEqual([{ transport: 'eventsource', reason: 'default' }])
    expect(pusher.connection).toMatchObject({ transport: 'eventsource', reason: 'default' })
  })

  it('passes on every message with its channel, and every error', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told: unknown[] = []
    pusher.connection.bind('message', (message) => told.push(message)).bind('error', (error) => told.push(error))
    pusher.subscribe('a')
    const stream = await page.open()
    stream.message('a', { id: 1 })
    stream.write('event: gap\ndata: nonsense\n\n')
    const data = { code: null, message: expect.stringContaining('gap') }
    expect(told).toEqual([
      { event: 'E', channel: 'a', data: { id: 1 } },
      { type: 'PusherError', error: { data } },
    ])
  })

  it('opens without a channel only when it is to be kept', async () => {
    const page = new ClientPage()
    const { connection } = page.pusher({ keepAlive: true })
    await page.open()
    expect(connection.socket_id).toBe('7.1')
    await pass(30_000)
    expect(page.gateway.open).toHaveLength(1)
  })
})
