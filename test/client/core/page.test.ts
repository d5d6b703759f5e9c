import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

async function start(...channels: string[]) {
  const gateway = new FakeGateway((request) => (request.kind === 'leave' ? request.accept() : request.welcome()))
  const page = new EnginePage()
  for (const channel of channels) page.engine.join(channel)
  await pass()
  page.news()
  return { gateway, page }
}

describe('a page that is hidden away', () => {
  it('closes its stream, and goes on with its identity and its cursor when it is shown again', async () => {
    const { gateway, page } = await start('orders')
    gateway.last().ping('1.4.0')
    await pass()
    page.fire('pagehide')
    expect(gateway.open).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
    await pass(60_000)
    page.fire('pageshow')
    await pass()
    expect(gateway.of('stream')).toHaveLength(2)
    expect(gateway.last()).toMatchObject({ socketId: '7.1', cursor: '1.4.0', fresh: [] })
    expect(page.engine.socketId).toBe('7.1')
    expect(page.news()).toEqual([])
  })

  it('asks for nothing while it is away, whatever its code does', async () => {
    const { gateway, page } = await start('orders')
    page.engine.join('invoices')
    page.fire('pagehide')
    page.engine.join('more')
    page.engine.leave('orders')
    page.fire('online')
    page.see(true)
    await pass(60_000)
    expect(gateway.requests).toHaveLength(1)
    page.fire('pageshow')
    await pass()
    expect(gateway.last().channels).toEqual(['invoices', 'more'])
  })

  it('says goodbye to those on its presence channels', async () => {
    const { gateway, page } = await start('orders', 'presence-room')
    page.fire('pagehide')
    await pass()
    const leave = gateway.last('leave')
    expect(leave).toMatchObject({ method: 'POST', path: '/sse/leave', keepalive: true })
    expect(JSON.parse(leave.body)).toEqual({ socketId: '7.1', key: 'key-of-7.1' })
    expect(leave.headers.get('content-type')).toBe('text/plain')
  })

  it('has nobody to say goodbye to without a presence channel', async () => {
    const { gateway, page } = await start('orders', 'private-x')
    page.fire('pagehide')
    await pass()
    expect(gateway.of('leave')).toEqual([])
  })

  it('comes back after the gateway has taken its goodbye for the new stream', async () => {
    const { gateway, page } = await start('presence-room')
    page.fire('pagehide')
    page.fire('pageshow')
    await pass()
    gateway.last().bye('left', 1000).end()
    await pass(1300)
    expect(page.state).toBe('connected')
    expect(gateway.last().socketId).toBe('7.1')
  })

  it('asks again for what was refused for now', async () => {
    const { gateway, page } = await start('orders')
    gateway.script = (request) => request.connect().deny('private-x', 503, { retry: true, retryAfterMs: 60_000 })
    page.engine.join('private-x')
    await pass(100)
    page.fire('pagehide')
    page.fire('pageshow')
    gateway.script = (request) => request.welcome()
    await pass()
    expect(gateway.last().channels).toEqual(['orders', 'private-x'])
    expect(page.told).toContain('subscribed private-x')
  })
})

describe('the first showing of a page', () => {
  it('is nothing to the stream', async () => {
    const { gateway, page } = await start('orders')
    page.fire('pageshow')
    await pass(1000)
    expect(gateway.requests).toHaveLength(1)
  })
})

describe.each<[string, (page: EnginePage) => void]>([
  ['gets its network back', (page) => page.fire('online')],
  ['is seen again', (page) => page.see(true)],
  ['is thawed', (page) => page.document.dispatchEvent(new Event('resume'))],
])('a page that %s', (_what, happen) => {
  it.each([0, 500, 1500])('tries again within a second, %i ms after the last attempt', async (ms) => {
    const { gateway, page } = await start('orders')
    gateway.script = (request) => request.kind === 'stream' && request.cut()
    gateway.last().cut()
    await pass(5 * 60_000)
    const asked = gateway.of('stream').length
    while (gateway.of('stream').length === asked) await pass(10)
    await pass(ms)
    gateway.script = (request) => request.welcome()
    happen(page)
    await pass(2000)
    expect(page.state).toBe('connected')
  })

  it('looks after a stream that has been silent for longer than a heartbeat, beside it', async () => {
    const { gateway, page } = await start('orders')
    await pass(18_000)
    const live = gateway.last()
    gateway.script = () => {}
    happen(page)
    happen(page)
    await pass()
    expect(gateway.requests).toHaveLength(2)
    expect(live.isOpen).toBe(true)
    expect(page.news()).toEqual([])
  })

  it('leaves a stream alone that is well', async () => {
    const { gateway, page } = await start('orders')
    await gateway.live(60_000)
    happen(page)
    await pass(5000)
    expect(gateway.requests).toHaveLength(1)
  })

  it('asks again for a poll that was lost in a sleep, and for no other', async () => {
    const gateway = new FakeGateway((request) => request.cursor === null && request.welcome().end())
    const page = new EnginePage({ transport: 'poll' })
    page.engine.join('orders')
    await pass(20_000)
    happen(page)
    await pass()
    expect(gateway.requests).toHaveLength(2)
    vi.setSystemTime(Date.now() + 60_000)
    happen(page)
    await pass()
    expect(gateway.requests).toHaveLength(3)
    expect(gateway.open).toHaveLength(1)
  })

  it('tries again after it has failed', async () => {
    const { gateway, page } = await start('orders')
    gateway.script = (request) => request.html()
    gateway.last().cut()
    await pass(10 * 60_000)
    expect(page.state).toBe('failed')
    gateway.script = (request) => request.welcome()
    happen(page)
    await pass()
    expect(page.state).toBe('connected')
  })
})

describe('a page that is hidden', () => {
  it('is left as it is', async () => {
    const { gateway, page } = await start('orders')
    await pass(18_000)
    page.see(false)
    page.document.dispatchEvent(new Event('freeze'))
    await pass()
    expect(gateway.requests).toHaveLength(1)
    expect(gateway.open).toHaveLength(1)
  })
})
