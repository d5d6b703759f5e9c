import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

async function start(...channels: string[]) {
  const gateway = new FakeGateway(
    (request) => request.cursor === null && request.welcome({ mode: 'poll' }).ping().end(),
  )
  const page = new EnginePage({ transport: 'poll' })
  for (const channel of channels) page.engine.join(channel)
  await pass(1000)
  page.news()
  return { gateway, page }
}

describe('polls', () => {
  it('wait at most 25 seconds, and bring cursor and identity along', async () => {
    const { gateway } = await start('orders')
    expect(gateway.last('poll')).toMatchObject({ cursor: '1.1.0', socketId: '7.1', channels: ['orders'], fresh: [] })
    expect(gateway.last('poll').parameters.get('wait')).toBe('25')
  })

  it('follow one another: never two at a time, and the state stays connected', async () => {
    const { gateway, page } = await start('orders')
    for (let time = 0; time < 20; time++) {
      expect(gateway.open).toHaveLength(1)
      gateway.last('poll').welcome().message('orders', time).end()
      await pass(time % 2 === 0 ? 100 : 2000)
    }
    expect(page.messages).toEqual(Array.from({ length: 20 }, (_, time) => `orders ${time}`))
    expect(page.told.filter((line) => line.includes('→'))).toEqual([])
    expect(page.transport).toBe('poll')
  })

  it('follow after 100 ms when the last brought something', async () => {
    const { gateway } = await start('orders')
    gateway.last('poll').welcome().message('orders', 1).end()
    await pass()
    gateway.last('poll').welcome().message('orders', 2).end()
    await pass(99)
    expect(gateway.open).toHaveLength(0)
    await pass(1)
    expect(gateway.open).toHaveLength(1)
  })

  it('follow after a second when the last brought nothing, and at once when that had waited', async () => {
    const { gateway } = await start('orders')
    gateway.last('poll').welcome().message('orders', 1).end()
    await pass()
    gateway.last('poll').welcome().ping().end()
    await pass(990)
    expect(gateway.open).toHaveLength(0)
    await pass(10)
    expect(gateway.open).toHaveLength(1)
    await pass(25_000)
    gateway.last('poll').welcome().ping().end()
    await pass(1)
    expect(gateway.open).toHaveLength(1)
  })

  it('never go beyond one request a second where they are answered with nothing', async () => {
    const { gateway } = await start('orders')
    gateway.script = (request) => request.welcome().ping().end()
    gateway.requests.splice(0)
    await pass(60_000)
    expect(gateway.requests.length).toBeLessThanOrEqual(60)
  })

  it('do not wait for news while a channel is not decided, and go on soon when it is', async () => {
    const { gateway } = await start('orders')
    gateway.script = () => {}
    gateway.requests[0]?.end()
    expect(gateway.requests[0]?.parameters.get('wait')).toBe('0')
    expect((gateway.requests[1]?.at ?? 0) - (gateway.requests[0]?.at ?? 0)).toBe(100)
    expect(gateway.requests[1]?.parameters.get('wait')).toBe('25')
  })

  it('go on soon when all they asked for is decided and more channels are wanted by then', async () => {
    const { gateway, page } = await start('orders')
    page.engine.join('invoices')
    await pass(50)
    const deciding = gateway.last('poll').welcome()
    page.engine.join('refunds')
    deciding.ping().end()
    await pass(100)
    expect(gateway.open.map(({ channels }) => channels)).toEqual([['orders', 'invoices', 'refunds']])
  })

  it('go on at a second’s pace while it stays undecided', async () => {
    const gateway = new FakeGateway((request) => request.connect().ping().end())
    const page = new EnginePage({ transport: 'poll' })
    page.engine.join('private-a')
    await pass(10_500)
    expect(gateway.requests).toHaveLength(11)
  })

  it('are given up by a change of channels, which the next brings', async () => {
    const { gateway, page } = await start('orders')
    const waiting = gateway.last('poll')
    page.engine.join('invoices')
    await pass(50)
    expect(waiting.isOpen).toBe(false)
    expect(gateway.open).toHaveLength(1)
    expect(gateway.last('poll')).toMatchObject({
      channels: ['orders', 'invoices'],
      fresh: ['invoices'],
      cursor: '1.1.0',
    })
    gateway.last('poll').welcome().end()
    await pass()
    expect(page.news()).toEqual(['subscribed invoices'])
  })

  it('go on after one that was cut in the middle, and tell nothing twice', async () => {
    const { gateway, page } = await start('orders')
    gateway.last('poll').welcome().message('orders', 1).write('id: 1.9.9\ndata: {"chan')
    await pass()
    gateway.last('poll').cut()
    await pass(2000)
    expect(page.state).toBe('reconnecting')
    gateway.last('poll').welcome().message('orders', 2).end()
    await pass()
    expect(page.messages).toEqual(['orders 1', 'orders 2'])
  })

  it('go on after a `bye`, as they were told', async () => {
    const { gateway, page } = await start('orders')
    gateway.last('poll').welcome().bye('drain', 3000).end()
    await pass(2900)
    expect(gateway.open).toHaveLength(0)
    await pass(1000)
    expect(gateway.open).toHaveLength(1)
    expect(page.state).toBe('reconnecting')
  })

  it('do not ask again and again for a channel that is refused for now', async () => {
    const { gateway, page } = await start('orders', 'private-x')
    gateway.script = (request) => {
      if (!request.channels.includes('private-x')) return
      request.connect().grant('orders').deny('private-x', 503, { retry: true, retryAfterMs: 10_000 }).ping().end()
    }
    page.engine.join('more')
    await pass(60_000)
    const asked = gateway.of('poll').filter(({ channels }) => channels.includes('private-x'))
    expect(asked.length).toBeGreaterThan(3)
    expect(asked.length).toBeLessThan(10)
  })

  it('do not ask for a channel while the page logs in for it', async () => {
    const { gateway, page } = await start('orders')
    page.logIn = () => new Promise(() => {})
    gateway.script = (request) => {
      if (!request.channels.includes('private-x')) return
      request.connect().grant('orders').deny('private-x', 401).ping().end()
    }
    page.engine.join('private-x')
    await pass(60_000)
    expect(gateway.of('poll').filter(({ channels }) => channels.includes('private-x'))).toHaveLength(1)
    expect(page.logins).toHaveLength(1)
  })
})
