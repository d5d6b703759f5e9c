import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Engine, type EngineListener } from '../../../client/src/core/engine.ts'
import { EnginePage, GATEWAY_URL, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

const welcoming = () => new FakeGateway((request) => (request.kind === 'stream' ? request.welcome() : request.accept()))

async function start(...channels: string[]) {
  const gateway = welcoming()
  const page = new EnginePage()
  for (const channel of channels) page.engine.join(channel)
  await pass()
  page.news()
  return { gateway, page }
}

describe('joining and leaving', () => {
  it('makes one request of eight channels in one tick', async () => {
    const { gateway } = await start('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
    await pass(1000)
    expect(gateway.requests).toHaveLength(1)
    expect(gateway.last().channels).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  })

  it('makes one request of changes that follow within 50 ms', async () => {
    const { gateway, page } = await start('a')
    for (const name of ['b', 'c', 'd']) {
      page.engine.join(name)
      await pass(10)
    }
    await pass(1000)
    expect(gateway.requests.map(({ channels }) => channels)).toEqual([['a'], ['a', 'b', 'c', 'd']])
  })

  it.each(['orders', 'private-orders', 'presence-orders'])(
    'makes no request of leaving and joining %s in one tick',
    async (name) => {
      const { gateway, page } = await start(name)
      const before = page.engine.subscription(name)
      page.engine.leave(name)
      expect(page.engine.join(name)).toBe(before)
      await pass(10_000)
      expect(gateway.requests).toHaveLength(1)
      expect(page.engine.subscription(name)?.status).toBe('subscribed')
      expect(page.news()).toEqual([])
    },
  )

  it('makes no request of joining and leaving in one tick', async () => {
    const { gateway, page } = await start()
    page.engine.join('presence-a')
    page.engine.leave('presence-a')
    page.engine.join('b')
    page.engine.leave('b')
    await pass(60_000)
    expect(gateway.requests).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('asks for a channel with a comma in its name by itself', async () => {
    const { gateway } = await start('a,b', 'c')
    expect(gateway.last().parameters.get('channels')).toBe('c')
    expect(gateway.last().parameters.getAll('channel')).toEqual(['a,b'])
  })

  it('lingers five seconds on a channel that was left, in silence', async () => {
    const { gateway, page } = await start('a', 'b')
    page.engine.leave('b')
    gateway.last().message('b', 1)
    gateway.last().grant('b')
    await pass(4990)
    expect(gateway.requests).toHaveLength(1)
    expect(page.news()).toEqual([])
    await pass(10)
    expect(gateway.requests).toHaveLength(2)
    expect(gateway.last().channels).toEqual(['a'])
    expect(page.engine.subscription('b')).toBeUndefined()
    expect(page.news()).toEqual([])
  })

  it('finds a channel as it was that it comes back to within that time', async () => {
    const { gateway, page } = await start('a', 'private-b')
    page.engine.leave('private-b')
    await pass(3000)
    expect(page.engine.join('private-b').status).toBe('subscribed')
    await pass(60_000)
    gateway.last().message('private-b', 1)
    await pass()
    expect(gateway.of('stream')[0]?.channels).toEqual(gateway.last().channels)
    expect(page.messages).toEqual(['private-b 1'])
  })

  it('asks anew for one that it comes back to later', async () => {
    const { gateway, page } = await start('a', 'b')
    page.engine.leave('b')
    await pass(6000)
    page.engine.join('b')
    await pass(50)
    expect(gateway.last()).toMatchObject({ channels: ['a', 'b'], fresh: ['b'] })
    expect(page.news()).toEqual(['subscribed b'])
  })

  it('leaves a presence channel at once', async () => {
    const { gateway, page } = await start('a', 'presence-room')
    page.engine.leave('presence-room')
    await pass(50)
    expect(gateway.last().channels).toEqual(['a'])
  })

  it('leaves the last presence channel at once, and closes the stream when nobody comes', async () => {
    const { gateway, page } = await start('presence-room')
    page.engine.leave('presence-room')
    await pass(50)
    expect(gateway.last().channels).toEqual([])
    await pass(4900)
    expect(gateway.open).toHaveLength(1)
    await pass(200)
    expect(gateway.open).toEqual([])
    expect(page.news()).toEqual([])
  })

  it('closes the stream when the last channel has been left for five seconds, and says nothing', async () => {
    const { gateway, page } = await start('a')
    page.engine.leave('a')
    await pass(5000)
    expect(gateway.requests).toHaveLength(1)
    expect(gateway.open).toEqual([])
    expect(page.news()).toEqual([])
    expect(page.state).toBe('connected')
    expect(page.engine.socketId).toBe('7.1')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('begins again after that, as the same page that has missed nothing', async () => {
    const { gateway, page } = await start('a')
    page.engine.leave('a')
    await pass(60_000)
    page.engine.join('b')
    await pass()
    expect(gateway.last()).toMatchObject({ channels: ['b'], socketId: '7.1', cursor: null })
    expect(page.news()).toEqual(['subscribed b'])
  })

  it('keeps the stream without any channel where that is wanted', async () => {
    const gateway = welcoming()
    const page = new EnginePage({ keepAlive: true })
    page.engine.connect()
    await pass()
    expect(gateway.last().channels).toEqual([])
    expect(page.engine.socketId).toBe('7.1')
    page.engine.join('a')
    await pass(50)
    page.engine.leave('a')
    await gateway.live(60_000)
    expect(gateway.last().channels).toEqual([])
    expect(gateway.open).toHaveLength(1)
  })
})

describe('disconnecting and connecting', () => {
  it('keeps the channels, and tells what was missed', async () => {
    const { gateway, page } = await start('a', 'b')
    gateway.last().message('a', 1, '1.3.0')
    await pass()
    page.engine.disconnect()
    await pass(60_000)
    expect(gateway.open).toEqual([])
    expect(page.news()).toEqual(['message a 1', 'connected → disconnected'])
    page.engine.connect()
    await pass()
    expect(gateway.last()).toMatchObject({ channels: ['a', 'b'], cursor: '1.3.0', fresh: [] })
    gateway.last().message('a', 2, '1.4.0')
    await pass()
    expect(page.news()).toEqual([
      'disconnected → connecting',
      'connecting → connected',
      'subscribed a',
      'subscribed b',
      'message a 2',
    ])
  })

  it('is somebody else afterwards, and gives back what was granted', async () => {
    const { gateway, page } = await start('private-a')
    page.engine.disconnect()
    expect(page.engine.socketId).toBeNull()
    await pass()
    expect(JSON.parse(gateway.last('leave').body)).toEqual({ socketId: '7.1', key: 'key-of-7.1' })
    page.engine.connect()
    await pass()
    expect(gateway.last().socketId).toBeNull()
    expect(page.engine.socketId).toBe('7.2')
  })

  it('has nothing to give back on public channels', async () => {
    const { gateway, page } = await start('a')
    page.engine.disconnect()
    await pass()
    expect(gateway.of('leave')).toEqual([])
  })

  it('stays disconnected whatever is joined, until it connects', async () => {
    const { gateway, page } = await start('a')
    page.engine.disconnect()
    page.engine.join('b')
    page.engine.leave('a')
    page.fire('online')
    page.fire('pageshow')
    await pass(60_000)
    expect(gateway.requests).toHaveLength(1)
    expect(page.state).toBe('disconnected')
    page.engine.connect()
    await pass()
    expect(gateway.last().channels).toEqual(['b'])
  })

  it('asks again for what was refused to the one who was here before', async () => {
    const { gateway, page } = await start('private-a')
    gateway.script = (request) =>
      request.kind === 'stream' && request.connect().grant('private-a').deny('private-b', 403)
    page.engine.join('private-b')
    await pass(100)
    page.engine.disconnect()
    gateway.script = (request) => request.kind === 'stream' && request.welcome()
    page.engine.connect()
    await pass()
    expect(page.news()).toContain('subscribed private-b')
  })

  it('does nothing twice', async () => {
    const { gateway, page } = await start('a')
    page.engine.connect()
    await pass(1000)
    expect(gateway.requests).toHaveLength(1)
    page.engine.disconnect()
    page.engine.disconnect()
    expect(page.news()).toEqual(['connected → disconnected'])
  })

  it('says nothing when it had not connected', async () => {
    const { gateway, page } = await start()
    page.engine.disconnect()
    await pass(1000)
    expect(page.news()).toEqual([])
    expect(gateway.requests).toEqual([])
  })

  it('ends what is on its way', async () => {
    const gateway = new FakeGateway()
    const page = new EnginePage()
    page.engine.join('a')
    await pass(2000)
    expect(gateway.open.map(({ kind }) => kind)).toEqual(['stream', 'probe'])
    page.engine.disconnect()
    await pass()
    expect(gateway.open).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a whisper', () => {
  it('goes out with the proof of who says it', async () => {
    const gateway = welcoming()
    const headers = { Authorization: 'Bearer ada' }
    const page = new EnginePage({ headers: () => headers, withCredentials: true })
    page.engine.join('private-a')
    await pass()
    expect(page.engine.whisper('private-a', 'client-typing', { at: 1 })).toBe(true)
    await pass()
    const whisper = gateway.last('whisper')
    expect(whisper).toMatchObject({ method: 'POST', path: '/sse/whisper', withCredentials: true })
    expect(whisper.headers.get('authorization')).toBe('Bearer ada')
    expect(whisper.headers.get('content-type')).toBe('application/json')
    expect(JSON.parse(whisper.body)).toEqual({
      channel: 'private-a',
      event: 'client-typing',
      data: { at: 1 },
      socketId: '7.1',
      key: 'key-of-7.1',
    })
    expect(page.errors).toEqual([])
  })

  it('is now or never: not before the channel is there, and not after', async () => {
    const { gateway, page } = await start('private-a')
    gateway.script = (request) => request.kind === 'stream' && request.connect()
    page.engine.join('private-b')
    await pass(100)
    expect(page.engine.whisper('private-b', 'client-x', null)).toBe(false)
    expect(page.engine.whisper('private-c', 'client-x', null)).toBe(false)
    page.engine.disconnect()
    expect(page.engine.whisper('private-a', 'client-x', null)).toBe(false)
    await pass()
    expect(gateway.of('whisper')).toEqual([])
  })

  it('that is refused or lost is reported, not thrown', async () => {
    const { gateway, page } = await start('private-a')
    gateway.script = (request) => request.refuse(429, { message: 'Too many whispers.' })
    page.engine.whisper('private-a', 'client-x', null)
    await pass()
    gateway.script = (request) => request.cut()
    page.engine.whisper('private-a', 'client-x', null)
    await pass()
    expect(page.errors.map(({ message }) => message)).toEqual([
      '/whisper was refused with 429: Too many whispers.',
      'network error',
    ])
  })
})

describe('what the page’s own code does wrong', () => {
  const names: (keyof EngineListener)[] = [
    'onState',
    'onSubscribed',
    'onRefused',
    'onMessage',
    'onMember',
    'onGap',
    'onTransport',
    'onAuthError',
    'log',
  ]

  it.each([false, true])(
    'does not end the stream (and is not thrown, when the report fails too: %s)',
    async (isReportBroken) => {
      const thrown: string[] = []
      const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
      const faults = Object.fromEntries(
        names.map((name) => [
          name,
          () => {
            throw new Error(name)
          },
        ]),
      )
      const gateway = new FakeGateway((request) => request.kind === 'stream' && request.connect())
      const page = new EnginePage(
        {},
        {
          ...faults,
          onError: ({ message }) => {
            thrown.push(message)
            if (isReportBroken) throw new Error('onError')
          },
        },
      )
      for (const name of ['presence-a', 'private-b', 'private-c']) page.engine.join(name)
      await pass()
      const ada = { id: '1', info: null }
      gateway.last().grant('presence-a', { members: [], me: '7' }).deny('private-b', 403).deny('private-c', 401)
      gateway.last().frame('joining', { channel: 'presence-a', member: ada })
      gateway.last().frame('leaving', { channel: 'presence-a', member: ada })
      gateway.last().message('presence-a', 1).frame('gap', { channels: null, reason: 'overflow' })
      await pass(100)
      expect([...new Set(thrown)].sort()).toEqual([...names].sort())
      expect(printed).toHaveBeenCalledTimes(isReportBroken ? thrown.length : 0)
      expect(page.state).toBe('connected')
      gateway.last().cut()
      await pass(1000)
      expect(page.state).toBe('connected')
      expect(gateway.open).toHaveLength(1)
      printed.mockRestore()
    },
  )

  it('in its headers is reported, and the request goes without them', async () => {
    const gateway = welcoming()
    const page = new EnginePage({
      headers: () => {
        throw new Error('no token')
      },
    })
    page.engine.join('a')
    await pass()
    expect(page.errors.map(({ message }) => message)).toContain('no token')
    expect(gateway.open).toHaveLength(1)
  })
})

describe('a frame that cannot be read', () => {
  it.each([
    ['broken JSON', 'data: {"channel":\n\n'],
    ['no JSON', 'data: hello\n\n'],
    ['null', 'data: null\n\n'],
    ['an unknown name', 'event: surprise\ndata: {}\n\n'],
    ['a list that is none', 'event: subscribed\ndata: {"channel":"a","members":7}\n\n'],
    ['a member that is none', 'event: joining\ndata: {"channel":"a"}\n\n'],
    ['a broken goodbye', 'event: bye\ndata: null\n\n'],
  ])('(%s) is left out and reported, and the stream goes on', async (_what, text) => {
    const gateway = welcoming().withoutEventSource()
    const page = new EnginePage()
    page.engine.join('a')
    await pass()
    page.news()
    gateway.last().write(text).message('a', 1)
    await pass()
    expect(page.errors).toHaveLength(1)
    expect(page.messages).toEqual(['a 1'])
    expect(gateway.open).toHaveLength(1)
  })

  it('that is of a channel nobody has is nothing to speak of', async () => {
    const { gateway, page } = await start('a')
    gateway
      .last()
      .message('b', 1)
      .grant('b')
      .deny('b', 403)
      .frame('joining', { channel: 'b', member: { id: '1' } })
    gateway.last().frame('', {}).frame('', []).frame('', 7)
    await pass()
    expect(page.news()).toEqual([])
  })
})

describe('a page that is rendered on a server', () => {
  it('asks nothing and waits for nothing', async () => {
    const gateway = welcoming()
    const told: string[] = []
    const listener = new Proxy({} as EngineListener, { get: (_, name) => () => told.push(String(name)) })
    expect(typeof self).toBe('undefined')
    const engine = new Engine({ url: GATEWAY_URL, keepAlive: true }, listener)
    for (const name of ['orders', 'private-a', 'presence-b']) engine.join(name)
    engine.connect()
    expect(engine.whisper('private-a', 'client-x', 1)).toBe(false)
    engine.leave('orders')
    engine.leave('presence-b')
    expect(vi.getTimerCount()).toBe(0)
    await pass(60_000)
    engine.disconnect()
    expect(vi.getTimerCount()).toBe(0)
    expect(gateway.requests).toEqual([])
    expect([engine.socketId, told]).toEqual([null, []])
  })
})
