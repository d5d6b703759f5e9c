import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

/** A gateway that grants everything, and a page on it. */
async function start(via: 'eventsource' | 'fetch', ...channels: string[]) {
  const gateway = new FakeGateway((request) => request.kind === 'stream' && request.welcome())
  if (via === 'fetch') gateway.withoutEventSource()
  const page = new EnginePage()
  for (const channel of channels) page.engine.join(channel)
  await pass()
  return { gateway, page }
}

describe.each(['eventsource', 'fetch'] as const)('a stream by %s', (via) => {
  it('connects, and knows its socket id when it says so', async () => {
    const gateway = new FakeGateway((request) => request.welcome())
    if (via === 'fetch') gateway.withoutEventSource()
    const ids: (string | null)[] = []
    const page = new EnginePage({}, { onState: () => ids.push(page.engine.socketId) })
    expect([page.state, page.transport, page.engine.lastEventAt]).toEqual(['disconnected', null, 0])
    page.engine.join('orders')
    await pass()
    expect(ids).toEqual([null, '7.1'])
    expect([page.state, page.transport, page.engine.lastEventAt]).toEqual(['connected', via, Date.now()])
    expect(gateway.requests.map(({ via }) => via)).toEqual([via])
    expect(gateway.last()).toMatchObject({ channels: ['orders'], fresh: ['orders'], cursor: null, socketId: null })
  })

  it('reads on until the next one has said `connected`', async () => {
    const { gateway, page } = await start(via, 'orders')
    const old = gateway.last()
    gateway.script = () => {}
    page.engine.join('invoices')
    await pass(50)
    const next = gateway.last()
    expect(gateway.open).toEqual([old, next])
    expect(next).toMatchObject({ channels: ['orders', 'invoices'], fresh: ['invoices'], socketId: '7.1' })
    expect(next.parameters.get('key')).toBe('key-of-7.1')
    old.message('orders', 1)
    await pass(200)
    expect(page.messages).toEqual(['orders 1'])
    next.connect()
    await pass()
    expect(gateway.open).toEqual([next])
    old.message('orders', 2)
    next.grant('orders').grant('invoices').message('orders', 3)
    await pass()
    expect(page.messages).toEqual(['orders 1', 'orders 3'])
    expect(page.told.filter((line) => line.includes('→'))).toEqual([
      'disconnected → connecting',
      'connecting → connected',
    ])
  })

  it('gives up an older attempt, whose late `connected` changes nothing', async () => {
    const { gateway, page } = await start(via, 'a')
    const live = gateway.last()
    gateway.script = () => {}
    page.engine.join('b')
    await pass(50)
    const older = gateway.last()
    page.engine.join('c')
    await pass(50)
    const newer = gateway.last()
    expect(newer.channels).toEqual(['a', 'b', 'c'])
    expect(gateway.open).toEqual([live, newer])
    older.connect({ socketId: '9.9' }).grant('b').message('b', 'late')
    await pass()
    expect(page.engine.socketId).toBe('7.1')
    expect(gateway.open).toEqual([live, newer])
    newer.connect()
    await pass()
    expect(gateway.open).toEqual([newer])
    expect(page.messages).toEqual([])
  })

  it('comes back after a cut with the last id it got, also of an undecided stream', async () => {
    const { gateway, page } = await start(via, 'orders')
    gateway.last().message('orders', 1, '1.5.0~1.6.2')
    await pass()
    gateway.last().cut()
    await pass()
    expect(page.state).toBe('reconnecting')
    await pass(1000)
    expect(gateway.last()).toMatchObject({ cursor: '1.5.0~1.6.2', fresh: [], socketId: '7.1' })
    expect(page.state).toBe('connected')
    // Told from 1.5.0 on, of which the page has had a part.
    gateway.last().message('orders', 0, '1.6.1').message('orders', 1, '1.6.2').message('orders', 2, '1.6.3')
    await pass()
    expect(page.messages).toEqual(['orders 1', 'orders 2'])
  })

  it('drops an event that was cut in the middle, and tells it once when it comes again', async () => {
    const { gateway, page } = await start(via, 'orders')
    gateway.last().write('id: 1.8.0\ndata: {"channel":"orders","event":"E",')
    await pass()
    gateway.last().cut()
    await pass(1000)
    expect(page.messages).toEqual([])
    expect(gateway.last().cursor).toBe('1.1.0')
    gateway.last().message('orders', 8, '1.8.0')
    await pass()
    expect(page.messages).toEqual(['orders 8'])
  })

  it('takes the cursor of the stream that took over, and keeps its own while that has none', async () => {
    const { gateway, page } = await start(via, 'orders')
    gateway.last().ping('1.9.0')
    await pass()
    gateway.script = (request) => request.connect({ resume: 'gap' }, '')
    gateway.last().cut()
    await pass(1000)
    gateway.last().cut()
    await pass(10_000)
    // The gap was not told yet: it is to be told next time.
    expect(gateway.last().cursor).toBe('1.9.0')
    gateway.last().frame('gap', { channels: null, reason: 'restart' }, '2.0.0')
    await pass()
    expect(page.told).toContain('gap null restart')
    gateway.last().cut()
    await pass(10_000)
    expect(gateway.last().cursor).toBe('2.0.0')
  })

  it('says that it reconnects, and afterwards that it is connected, once each', async () => {
    const { gateway, page } = await start(via, 'orders')
    await gateway.live(20_000)
    page.news()
    gateway.script = (request) => (gateway.requests.length > 6 ? request.welcome() : request.refuse(502))
    gateway.last().cut()
    await gateway.live(120_000)
    const states = page.news().filter((line) => line.includes('→'))
    expect(states).toEqual(['connected → reconnecting', 'reconnecting → connected'])
    expect(page.engine.socketId).toBe('7.1')
  })

  it('goes on with the old stream while the one that is to replace it fails, and tries again', async () => {
    const { gateway, page } = await start(via, 'orders')
    const live = gateway.last()
    gateway.script = (request) => request.refuse(503)
    page.engine.join('invoices')
    await gateway.live(30_000)
    expect(gateway.of('stream').length).toBeGreaterThan(2)
    live.message('orders', 1)
    await pass()
    expect(page.messages).toEqual(['orders 1'])
    expect(page.state).toBe('connected')
    gateway.script = (request) => request.welcome()
    await gateway.live(40_000)
    expect(live.isOpen).toBe(false)
    expect(page.told).toContain('subscribed invoices')
  })

  it('waits for the next one, and says nothing, when the old one ends before it', async () => {
    const { gateway, page } = await start(via, 'orders')
    page.news()
    gateway.script = () => {}
    page.engine.join('invoices')
    await pass(50)
    gateway.requests[0]?.cut()
    await pass(1200)
    expect(gateway.open).toEqual([gateway.last()])
    expect(gateway.requests).toHaveLength(2)
    gateway.last().welcome()
    await pass()
    expect(page.news()).toEqual(['subscribed invoices'])
  })

  it('takes a second `connected` on a stream for nothing', async () => {
    const { gateway, page } = await start(via, 'orders')
    gateway.last().connect({ socketId: '9.9' }).message('orders', 1)
    await pass()
    expect(page.messages).toEqual(['orders 1'])
    expect(page.engine.socketId).toBe('7.1')
  })

  it('leaves no timer and no request behind', async () => {
    const { gateway, page } = await start(via, 'orders', 'presence-room')
    page.engine.join('invoices')
    await pass(50)
    page.engine.leave('orders')
    page.engine.disconnect()
    expect(vi.getTimerCount()).toBe(0)
    expect(gateway.open.filter(({ kind }) => kind !== 'leave')).toEqual([])
    expect(page.state).toBe('disconnected')
    expect(page.engine.socketId).toBeNull()
  })
})

describe('a change of streams under load', () => {
  it('loses, repeats and reorders nothing over 60 changes at 100 events a second', async () => {
    const history: [id: string, data: number][] = []
    const gateway = new FakeGateway(async (request) => {
      const cursor = request.cursor
      await new Promise((resolve) => setTimeout(resolve, 5 + (history.length % 30)))
      if (!request.isOpen) return
      request.welcome()
      const from = history.findIndex(([id]) => id === cursor)
      if (cursor !== null) for (const [id, data] of history.slice(from + 1)) request.message('orders', data, id)
    })
    const page = new EnginePage()
    page.engine.join('orders')
    await pass(100)
    history.push([gateway.last().cursor ?? '1.1.0', -1])
    for (let change = 0; change < 60; change++) {
      page.engine.join(`extra-${change}`)
      for (let event = 0; event < 10; event++) {
        const id = gateway.nextPosition()
        history.push([id, history.length - 1])
        for (const request of gateway.open) if (request.isConnected) request.message('orders', history.length - 2, id)
        await pass(10)
      }
    }
    await pass(1000)
    expect(page.messages).toEqual(Array.from({ length: 600 }, (_, at) => `orders ${at}`))
    expect(gateway.of('stream').length).toBeGreaterThan(50)
    expect(gateway.open).toHaveLength(1)
  })
})
