import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway, type FakeRequest, type Script } from '../../support/fake-gateway.ts'
import { FakeStorage } from '../../support/fake-storage.ts'

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('sessionStorage', new FakeStorage())
  return () => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  }
})

/** A path that lets nothing of a stream through, and every answer with an end at once. */
const holdsBack: Script = (request) => {
  if (request.kind === 'probe') request.connect({ mode: 'poll' }).end()
  if (request.kind !== 'poll') return
  const answer = () => request.isOpen && request.welcome({ mode: 'poll' }).ping().end()
  if (request.cursor === null) answer()
  else setTimeout(answer, 25_000)
}

/** The same, and the head of a stream passes. */
const holdsBackBodies: Script = (request) => (request.kind === 'stream' ? request.write('') : holdsBack(request))

function start(via: 'eventsource' | 'fetch', script: Script, options = {}) {
  const gateway = new FakeGateway(script)
  if (via === 'fetch') gateway.withoutEventSource()
  const page = new EnginePage(options)
  page.engine.join('orders')
  return { gateway, page }
}

const kinds = (requests: readonly FakeRequest[]) => requests.map(({ kind }) => kind)

describe.each(['eventsource', 'fetch'] as const)('a path that holds streams back, by %s', (via) => {
  it.each([
    ['wholly', holdsBack],
    ['but for the head', holdsBackBodies],
  ])('is found out %s, and polls bring the first event within 3 seconds', async (_how, script) => {
    const { gateway, page } = start(via, script)
    await pass(1490)
    expect(kinds(gateway.requests)).toEqual(['stream'])
    await pass(20)
    expect(kinds(gateway.requests)).toEqual(['stream', 'probe'])
    expect(gateway.last('probe')).toMatchObject({ channels: [], cursor: null, socketId: null })
    await pass(500)
    expect(kinds(gateway.requests)).toEqual(['stream', 'probe', 'poll'])
    expect(gateway.of('stream')[0]?.isOpen).toBe(false)
    expect(page.told).toEqual([
      'disconnected → connecting',
      'transport poll: streams are held back on the way',
      'connecting → connected',
      'subscribed orders',
    ])
    await pass(990)
    gateway.last('poll').welcome().message('orders', 1).end()
    await pass()
    expect(page.messages).toEqual(['orders 1'])
  })

  it('is not suspected where the gateway is slow with everything', async () => {
    const slowly =
      (script: Script): Script =>
      (request) =>
        setTimeout(() => request.isOpen && script(request), 4000)
    const { gateway, page } = start(
      via,
      slowly((request) => (request.kind === 'probe' ? request.connect().end() : request.welcome())),
    )
    await pass(20_000)
    expect(page.transport).toBe(via)
    expect(kinds(gateway.requests)).toEqual(['stream', 'probe'])
    expect(gateway.open).toHaveLength(1)
  })

  it('is not suspected where a probe takes a second', async () => {
    const { gateway, page } = start(via, (request) => {
      if (request.kind === 'probe') setTimeout(() => request.connect().end(), 1000)
      else setTimeout(() => request.welcome(), 4000)
    })
    await pass(20_000)
    expect(page.transport).toBe(via)
    expect(gateway.of('poll')).toEqual([])
  })

  it('leaves no stream beside the poll', async () => {
    const { gateway, page } = start(via, (request) => request.welcome())
    await pass()
    gateway.script = holdsBack
    page.engine.join('invoices')
    await pass(3000)
    expect(kinds(gateway.open)).toEqual(['poll'])
  })

  it('is not suspected where the head comes early and the first frame a little later', async () => {
    const { gateway, page } = start(via, (request) => {
      if (request.kind === 'probe') request.connect().end()
      else setTimeout(() => request.welcome(), 1900)
    })
    await pass(1000)
    gateway.last().write('')
    await pass(5000)
    expect(page.transport).toBe(via)
    expect(gateway.of('poll')).toEqual([])
  })

  it.each<[string, Script]>([
    ['refused', (request) => request.kind === 'probe' && request.refuse(503)],
    ['refused softly', (request) => request.kind === 'probe' && request.bye('overload', 1000).end()],
    ['answered by somebody else', (request) => request.kind === 'probe' && request.html()],
    ['cut', (request) => request.kind === 'probe' && request.cut()],
    ['held back as well', () => {}],
  ])('is not suspected when the probe is %s', async (_what, script) => {
    const { gateway } = start(via, script)
    await pass(60_000)
    expect(gateway.of('probe').length).toBeGreaterThan(0)
    expect(gateway.of('poll')).toEqual([])
  })

  it('is remembered in this tab for 30 minutes: the next page polls from its beginning', async () => {
    const { page } = start(via, holdsBack)
    await pass(3000)
    page.engine.disconnect()
    await pass(29 * 60_000)
    const soon = start(via, holdsBack)
    await pass(1)
    expect(kinds(soon.gateway.requests)).toEqual(['poll'])
    soon.page.engine.disconnect()
    await pass(2 * 60_000)
    const late = start(via, holdsBack)
    await pass(1)
    expect(kinds(late.gateway.requests)).toEqual(['stream'])
  })

  it('is known for one gateway, not for all', async () => {
    const { page } = start(via, holdsBack)
    await pass(3000)
    page.engine.disconnect()
    const other = start(via, holdsBack, { url: 'https://other.test' })
    await pass(1)
    expect(kinds(other.gateway.requests)).toEqual(['stream'])
  })

  it('is tried again every 5 minutes, for 1.5 seconds, without a word to the page', async () => {
    const { gateway, page } = start(via, holdsBack)
    await pass(3000)
    page.news()
    for (let minute = 0; minute < 11; minute++) {
      await pass(58_000)
      gateway.last('poll').welcome().message('orders', minute).end()
      await pass(2000)
    }
    const trials = gateway.of('stream').slice(1)
    expect(trials).toHaveLength(2)
    expect((trials[1] as FakeRequest).at - (trials[0] as FakeRequest).at).toBeGreaterThan(5 * 60_000)
    expect(gateway.of('probe')).toHaveLength(1)
    const [trial] = trials
    const after = gateway.requests[gateway.requests.indexOf(trial as FakeRequest) + 1] as FakeRequest
    expect(after.kind).toBe('poll')
    expect(after.at - (trial as FakeRequest).at).toBe(1500)
    expect(page.news()).toEqual(Array.from({ length: 11 }, (_, minute) => `message orders ${minute}`))
  })

  it('is forgotten when a stream passes again', async () => {
    const { gateway, page } = start(via, holdsBack)
    await pass(3000)
    page.news()
    gateway.script = (request) => (request.kind === 'stream' ? request.welcome() : holdsBack(request))
    await gateway.live(6 * 60_000)
    expect(page.news()).toEqual([`transport ${via}: ${via === 'fetch' ? 'EventSource cannot serve here' : 'default'}`])
    expect(kinds(gateway.open)).toEqual(['stream'])
    expect(gateway.last().cursor).not.toBeNull()
    page.engine.disconnect()
    const next = start(via, () => {})
    await pass(1)
    expect(kinds(next.gateway.requests)).toEqual(['stream'])
  })

  it('goes back to polls when the trial fails in another way', async () => {
    const { gateway, page } = start(via, holdsBack)
    await pass(3000)
    page.news()
    gateway.script = (request) => (request.kind === 'stream' ? request.cut() : holdsBack(request))
    await pass(6 * 60_000)
    expect(gateway.of('stream')).toHaveLength(2)
    expect(kinds(gateway.open)).toEqual(['poll'])
    expect(page.news()).toEqual([])
  })

  it('is not looked for where a transport was asked for', async () => {
    const { gateway } = start(via, holdsBack, { transport: via })
    await pass(60_000)
    expect(gateway.of('probe')).toEqual([])
    expect(gateway.of('poll')).toEqual([])
  })
})

describe('an EventSource that dies before it has connected', () => {
  it('has its status learnt by a probe that nobody is asked a login for', async () => {
    const { gateway, page } = start('eventsource', (request) =>
      request.refuse(503, { headers: { 'retry-after': '30' } }),
    )
    await pass(1000)
    expect(kinds(gateway.requests)).toEqual(['stream', 'probe'])
    expect(gateway.last('probe')).toMatchObject({ channels: [], via: 'fetch' })
    await pass(29_000)
    expect(gateway.requests).toHaveLength(2)
    expect(page.log).toContain('refused: 503')
  })

  it('has its next attempt made by fetch when all is well otherwise, which sees what is wrong', async () => {
    const { gateway, page } = start('eventsource', (request) => {
      if (request.kind === 'probe') request.connect().end()
      else request.refuse(400, { message: 'This stream asks for too many channels.' })
    })
    await pass(20_000)
    expect(gateway.requests.slice(0, 3).map(({ via, kind }) => `${kind} by ${via}`)).toEqual([
      'stream by eventsource',
      'probe by fetch',
      'stream by fetch',
    ])
    expect(page.errors[0]?.message).toContain('This stream asks for too many channels.')
    expect(page.told).toContain('refused orders 400 for now')
  })

  it('goes back to EventSource once it is well', async () => {
    const { gateway } = start('eventsource', (request) => {
      if (request.kind === 'probe') request.connect().end()
      else if (request.via === 'eventsource') request.cut()
      else request.welcome()
    })
    await gateway.live(20_000)
    gateway.script = (request) => request.welcome()
    gateway.last().cut()
    await pass(1000)
    expect(gateway.last().via).toBe('eventsource')
  })

  it('is forgotten together with its probe by `disconnect`', async () => {
    const { gateway, page } = start('eventsource', (request) => request.kind === 'stream' && request.cut())
    await pass(1500)
    expect(kinds(gateway.open)).toEqual(['probe'])
    page.engine.disconnect()
    expect(gateway.open).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
