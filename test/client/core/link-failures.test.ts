import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, GATEWAY_URL, pass } from '../../support/engine-page.ts'
import { FakeGateway, type FakeRequest, type Script } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

function start(via: 'eventsource' | 'fetch', script: Script) {
  const gateway = new FakeGateway(script)
  if (via === 'fetch') gateway.withoutEventSource()
  const page = new EnginePage()
  page.engine.join('orders')
  return { gateway, page }
}

/** The shortest time between two requests, but for the probe that goes beside one that waits. */
function shortestPauseMs(requests: readonly FakeRequest[]): number {
  return Math.min(...requests.slice(1).map(({ at }, before) => at - (requests[before] as FakeRequest).at))
}

describe.each(['eventsource', 'fetch'] as const)('what goes wrong with a request by %s', (via) => {
  it.each([500, 502, 503, 504, 408, 425, 429])('comes back from a %i', async (status) => {
    const { gateway, page } = start(via, (request) => request.refuse(status))
    await pass(20_000)
    expect(page.state).toBe('connecting')
    gateway.script = (request) => request.welcome()
    await gateway.live(60_000)
    expect(page.state).toBe('connected')
    expect(page.errors).toEqual([])
  })

  it('comes back when nobody answers at all', async () => {
    const { gateway, page } = start(via, (request) => request.cut())
    await pass(60_000)
    gateway.script = (request) => request.welcome()
    // The next attempt comes within 30 s; a first one that is doubted is followed by another.
    await gateway.live(60_000)
    expect(page.state).toBe('connected')
  })

  it('gives up a request that was not answered within 10 seconds', async () => {
    const { gateway, page } = start(via, () => {})
    await pass(9990)
    const [first] = gateway.of('stream')
    expect(first?.isOpen).toBe(true)
    await pass(20)
    expect(first?.isOpen).toBe(false)
    gateway.script = (request) => request.welcome()
    await pass(12_000)
    expect(page.state).toBe('connected')
  })

  it('does not come back before it was asked to, not even when the page is woken', async () => {
    const { gateway, page } = start(via, (request) => request.refuse(503, { headers: { 'retry-after': '20' } }))
    await pass(3000)
    const asked = gateway.of('stream').length
    expect(asked).toBe(1)
    for (let second = 3; second < 20; second++) {
      page.fire('online')
      await pass(1000)
    }
    expect(gateway.of('stream').length).toBe(1)
    gateway.script = (request) => request.welcome()
    await pass(10_000)
    expect(page.state).toBe('connected')
  })

  it('comes back after a `bye` at the very time it was given: the gateway spreads these itself', async () => {
    const { gateway, page } = start(via, (request) => request.welcome())
    await gateway.live(20_000)
    gateway.last().bye('drain', 4000).end()
    await pass(3999)
    expect([gateway.requests.length, page.retries]).toEqual([1, [4000]])
    await pass(1)
    expect(gateway.requests).toHaveLength(2)
  })

  it('asks for nothing more when the page disconnects at the word that the stream is lost', async () => {
    const gateway = new FakeGateway((request) => request.welcome())
    if (via === 'fetch') gateway.withoutEventSource()
    const page: EnginePage = new EnginePage(
      {},
      { onState: (state) => state === 'reconnecting' && page.engine.disconnect() },
    )
    page.engine.join('orders')
    await pass()
    gateway.last().cut()
    await pass(60_000)
    expect(gateway.requests).toHaveLength(1)
    expect(page.state).toBe('disconnected')
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['403', (request: FakeRequest) => request.refuse(403)],
    ['404', (request: FakeRequest) => request.html(404)],
    ['a page of somebody else', (request: FakeRequest) => request.html()],
  ])('tries five times after %s, then has failed until it is told to connect', async (_what, script) => {
    const { gateway, page } = start(via, script)
    await pass(10 * 60_000)
    expect(page.state).toBe('failed')
    expect(gateway.of('stream').length).toBe(5)
    expect(page.errors).toHaveLength(1)
    expect(page.errors[0]?.message).toContain(`${GATEWAY_URL}/stream answered with`)
    expect(page.told.filter((line) => line.startsWith('refused'))).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    gateway.script = (request) => request.welcome()
    page.engine.connect()
    await pass()
    expect(page.told.slice(-4).filter((line) => line.includes('→') || line.includes('subscribed'))).toEqual([
      'failed → connecting',
      'connecting → connected',
      'subscribed orders',
    ])
  })

  it('names the address and the option when somebody else answers', async () => {
    const { page } = start(via, (request) => request.html())
    await pass(5000)
    expect(page.errors.map(({ message }) => message)).toEqual([
      "https://gateway.test/sse/stream answered with 200: this is not the gateway; `url` must be the gateway's base address",
    ])
  })

  it.each([401, 419])('asks for a login once after a %i, and fails when it was no help', async (status) => {
    const { gateway, page } = start(via, (request) => request.refuse(status))
    page.logIn = async () => true
    await pass(60_000)
    expect(page.logins).toEqual([[{ channel: '*', status }]])
    expect(page.state).toBe('failed')
    expect(gateway.of('stream').length).toBe(2)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('goes on after a login that helped, and asks for one again another day', async () => {
    let isLoggedIn = false
    const { gateway, page } = start(via, (request) => (isLoggedIn ? request.welcome() : request.refuse(401)))
    page.logIn = async () => {
      isLoggedIn = true
      return true
    }
    await pass(5000)
    expect(page.state).toBe('connected')
    isLoggedIn = false
    gateway.last().cut()
    await pass(10_000)
    expect(page.logins).toHaveLength(2)
    expect(page.state).toBe('connected')
  })

  it('asks nothing while it waits for the login', async () => {
    const { gateway, page } = start(via, (request) => request.refuse(401))
    page.logIn = () => new Promise(() => {})
    await pass(3000)
    const asked = gateway.requests.length
    page.engine.join('invoices')
    page.fire('online')
    await pass(60_000)
    expect(gateway.requests.length).toBe(asked)
    expect(page.logins).toHaveLength(1)
  })

  it('asks once also when the stream that was there ends meanwhile', async () => {
    const { gateway, page } = start(via, (request) => request.kind === 'stream' && request.welcome())
    await pass()
    const live = gateway.last()
    gateway.script = (request) => request.refuse(401)
    let done = (_isNew: boolean) => {}
    page.logIn = () => new Promise((resolve) => (done = resolve))
    page.engine.join('invoices')
    await pass(3000)
    live.cut()
    await pass(60_000)
    expect(page.logins).toHaveLength(1)
    gateway.script = (request) => request.welcome()
    done(true)
    await pass(5000)
    expect(page.state).toBe('connected')
    expect(page.told).toContain('subscribed invoices')
  })

  it('keeps the stream that is there when the login was no help', async () => {
    const { gateway, page } = start(via, (request) => request.kind === 'stream' && request.welcome())
    await pass()
    const live = gateway.last()
    gateway.script = (request) => request.refuse(401)
    page.logIn = async () => true
    page.engine.join('invoices')
    await gateway.live(60_000)
    expect(live.isOpen).toBe(true)
    expect(page.state).toBe('connected')
    expect(page.logins).toHaveLength(1)
    expect(page.told.filter((line) => line.startsWith('refused'))).toEqual(['refused invoices 401'])
  })

  it('fails at once when there is nobody to ask, or asking fails', async () => {
    const { page } = start(via, (request) => request.refuse(401))
    page.logIn = async () => {
      throw new Error('The login page is away.')
    }
    await pass(5000)
    expect(page.state).toBe('failed')
    expect(page.errors.map(({ message }) => message)).toContain('The login page is away.')
  })

  it('refuses only the newcomer when there is a stream already', async () => {
    const { gateway, page } = start(via, (request) => request.kind === 'stream' && request.welcome())
    await pass()
    const live = gateway.last()
    gateway.script = (request) => (request.kind === 'probe' ? request.connect().end() : request.refuse(400))
    page.engine.join('one-too-many')
    await gateway.live(10 * 60_000)
    expect(page.state).toBe('connected')
    expect(live.isOpen).toBe(true)
    expect(page.told.filter((line) => line.startsWith('refused'))).toEqual(['refused one-too-many 400 for now'])
  })

  it('takes a soft refusal for what it is', async () => {
    const { gateway, page } = start(via, (request) => request.bye('overload', 8000).end())
    await pass(7900)
    expect(gateway.requests).toHaveLength(1)
    expect(page.state).toBe('connecting')
    gateway.script = (request) => request.welcome()
    await pass(2200)
    expect(page.state).toBe('connected')
    expect(page.errors).toEqual([])
  })

  it.each(['drain', 'slow', 'expired', 'left', 'shutdown', 'overload'])(
    'comes back after `bye` %s as it was told, with its cursor and identity',
    async (reason) => {
      const { gateway, page } = start(via, (request) => request.welcome())
      await gateway.live(20_000)
      gateway.last().message('orders', 1, '1.7.0').bye(reason, 4000).end()
      await pass(3990)
      expect(gateway.of('stream')).toHaveLength(1)
      expect(page.state).toBe('reconnecting')
      await pass(1100)
      expect(gateway.last()).toMatchObject({ cursor: '1.7.0', socketId: '7.1', fresh: [] })
      expect(page.state).toBe('connected')
    },
  )

  it('spreads pages that were all told the same seconds by a 503', async () => {
    const waits = new Set<number>()
    for (let page = 0; page < 20; page++) {
      const { gateway, page } = start(via, (request) => request.welcome())
      await gateway.live(20_000)
      gateway.script = (request) => request.refuse(503, { headers: { 'retry-after': '4' } })
      gateway.last().cut()
      await gateway.live(2100)
      const refusedAt = gateway.requests.at(-1)?.at ?? 0
      gateway.script = (request) => request.welcome()
      await gateway.live(7000)
      waits.add(gateway.last().at - refusedAt)
      page.engine.disconnect()
    }
    expect(waits.size).toBeGreaterThan(15)
  })

  it.each([
    ['somebody else goes on under its identity', 'replaced'],
    ['its user was sent away', 'terminated'],
  ] as const)('comes back only when it is told to, where %s', async (_, reason) => {
    const { gateway, page } = start(via, (request) => request.welcome())
    await pass()
    gateway.last().bye(reason, 1000).end()
    await pass(60_000)
    page.engine.join('invoices')
    page.fire('online')
    await pass(60_000)
    expect(gateway.requests).toHaveLength(1)
    expect(page.state).toBe('disconnected')
    expect(vi.getTimerCount()).toBe(0)
    page.engine.connect()
    await pass()
    expect(gateway.last().socketId).toBeNull()
    expect(page.state).toBe('connected')
  })

  it.each<[string, Script]>([
    ['a stream that ends at once', (request) => request.connect().end()],
    ['a stream that ends after its channels', (request) => request.welcome().end()],
    ['an empty answer', (request) => request.write('').end()],
    ['an answer of comments', (request) => request.write(':\n\n').end()],
    ['a `bye` that wants it back at once', (request) => request.bye('drain', 0).end()],
    ['a `bye` that wants it back before', (request) => request.welcome().bye('drain', -5).end()],
    ['a `bye` of nonsense', (request) => request.frame('bye', { retryAfterMs: 'soon' }).end()],
    ['`retry: 0`', (request) => request.write('retry: 0\n\n').end()],
    ['a 502', (request) => request.refuse(502)],
    ['a 503 that wants it back at once', (request) => request.refuse(503, { headers: { 'retry-after': '0' } })],
    ['a 429 without a word', (request) => request.refuse(429)],
    ['a line that breaks', (request) => request.cut()],
    ['a line that breaks after the beginning', (request) => request.welcome().cut()],
    [
      'a stream that breaks where probes are well',
      (request) => {
        if (request.kind === 'probe') request.connect().end()
        else request.cut()
      },
    ],
  ])('never asks more than once a second: %s', async (_what, script) => {
    const { gateway, page } = start(via, script)
    for (let minute = 0; minute < 5; minute++) {
      await pass(30_000)
      page.engine.join(`more-${minute}`)
      page.fire('online')
      await pass(15_000)
      page.see(true)
      await pass(15_000)
    }
    expect(gateway.requests.length).toBeGreaterThan(5)
    expect(shortestPauseMs(gateway.requests)).toBeGreaterThanOrEqual(1000)
    expect(page.state).not.toBe('failed')
  })
})

describe('a stream that never lives long', () => {
  it('is asked for less and less', async () => {
    const { gateway } = start('fetch', (request) => request.welcome().end())
    await pass(10 * 60_000)
    expect(gateway.requests.length).toBeLessThan(100)
  })
})

describe('a reconnect storm', () => {
  it('spreads 200 pages that lost one gateway over the first second', async () => {
    const gateway = new FakeGateway((request) => request.welcome()).withoutEventSource()
    const pages = Array.from({ length: 200 }, () => {
      const page = new EnginePage()
      page.engine.join('orders')
      return page
    })
    await gateway.live(20_000)
    const lostAt = Date.now()
    for (const request of gateway.requests.splice(0)) request.cut()
    await pass(1000)
    const waits = gateway.requests.map(({ at }) => at - lostAt)
    expect(waits).toHaveLength(200)
    const tenths = waits.map((ms) => Math.floor(ms / 100))
    for (let tenth = 1; tenth < 10; tenth++) {
      const size = tenths.filter((one) => one === tenth).length
      expect(size).toBeGreaterThan(5)
      expect(size).toBeLessThan(60)
    }
    for (const { engine } of pages) engine.disconnect()
  })

  it('never waits longer than 30 seconds, and begins anew after 10 good ones', async () => {
    const { gateway, page } = start('fetch', (request) => request.refuse(502))
    await pass(20 * 60_000)
    const pauses = gateway.requests.slice(1).map(({ at }, before) => at - (gateway.requests[before] as FakeRequest).at)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(30_000)
    expect(Math.max(...pauses)).toBeGreaterThan(15_000)
    gateway.script = (request) => request.welcome()
    await gateway.live(60_000)
    gateway.last().cut()
    const cutAt = Date.now()
    await pass(1000)
    expect(gateway.last().at - cutAt).toBeLessThanOrEqual(1000)
    expect(page.state).toBe('connected')
  })
})
