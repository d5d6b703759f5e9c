import { describe, expect, it } from 'vitest'
import { Frame } from '../../src/sse/frame.ts'
import { laravel } from '../support/history.ts'
import { broadcastsOf, DENIAL, framesNamed, GRANT, Stage } from '../support/stage.ts'

describe('what was missed', () => {
  it('is told before anything live, once and in order over several channels', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const missed = [stage.publish('b'), stage.publish('a'), stage.publish('b')]
    const { outlet } = stage.open(['a', 'b'], { lastEventId: cursor })
    const live = stage.publish('a')
    await stage.flush()
    expect(broadcastsOf(outlet.frames).map(([id]) => id)).toEqual([...missed, live])
  })

  it('is told although another channel of the request was refused at once', () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const missed = stage.publish('a')
    const page = stage.prepare(['a'], { lastEventId: cursor })
    stage.hub.add(page.subscriber)
    page.subscriber.deny('not a name', DENIAL)
    page.subscriber.begin()
    expect(broadcastsOf(page.outlet.frames)).toEqual([[missed, missed]])
  })

  it('leaves out what the page sent itself, live and in replay', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const theirs = stage.publish('a', { socket: '2.2' })
    stage.publish('a', { socket: '7.1' })
    const { outlet } = stage.open(['a'], { lastEventId: cursor, socketId: '7.1' })
    stage.publish('a', { socket: '7.1' })
    const live = stage.publish('a', { socket: '7.10' })
    await stage.flush()
    expect(broadcastsOf(outlet.frames).map(([id]) => id)).toEqual([theirs, live])
  })

  it('is nothing on a channel that the page has just joined', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    stage.publish('new')
    const missed = stage.publish('a')
    const { outlet } = stage.open(['a', 'new'], { lastEventId: cursor, fresh: ['new'] })
    const live = stage.publish('new')
    await stage.flush()
    expect(broadcastsOf(outlet.frames).map(([id]) => id)).toEqual([missed, live])
  })

  it('is nothing for a page that comes for the first time', () => {
    const stage = new Stage()
    const head = stage.publish('a')
    const { outlet, connectedId } = stage.open(['a'])
    expect(connectedId).toBe(head)
    expect(outlet.frames.map(({ event }) => event)).toEqual(['subscribed'])
  })
})

describe('a message that is not Laravel’s', () => {
  it('is passed over, and what follows arrives', async () => {
    const stage = new Stage()
    const { outlet } = stage.open(['a'])
    stage.hub.deliver(stage.history.append('a', Buffer.from('{"event":'), { epoch: 1, marker: 2, count: 1 }, true))
    await stage.flush()
    expect(broadcastsOf(outlet.frames)).toEqual([])
    stage.hub.deliver(stage.history.append('a', laravel('x'), { epoch: 1, marker: 2, count: 2 }, true))
    await stage.flush()
    expect(broadcastsOf(outlet.frames)).toEqual([['1.2.2', 'x']])
  })
})

describe('a ping', () => {
  it('carries the head, though only other channels were busy', async () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open(['quiet'])
    stage.open(['busy'])
    const head = stage.publish('busy')
    await stage.flush()
    subscriber.ping(5)
    expect(framesNamed(outlet.frames, 'ping')).toEqual([{ id: head, data: { time: 5 } }])
  })

  it('comes after what waits to be handed out, and that is told once', async () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open(['a'])
    const id = stage.publish('a')
    subscriber.ping(5)
    await stage.flush()
    const news = outlet.news()
    expect(news.map(({ event }) => event)).toEqual(['subscribed', undefined, 'ping'])
    expect(broadcastsOf(news)).toEqual([[id, id]])
    expect(framesNamed(news, 'ping')).toEqual([{ id: undefined, data: { time: 5 } }])
  })

  it('repeats no id: plain ids strictly increase', () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open(['a'])
    subscriber.ping(1)
    const head = stage.marker()
    subscriber.ping(2)
    subscriber.ping(3)
    expect(framesNamed(outlet.frames, 'ping').map(({ id }) => id)).toEqual([undefined, head, undefined])
  })
})

describe('a quiet channel beside busy ones', () => {
  it('is not said to have a gap when a late grant comes', async () => {
    const stage = new Stage({ maxMessages: 1, maxBytes: 700 })
    const { subscriber, outlet } = stage.open(['quiet', 'private-x'])
    for (const name of ['b1', 'b2', 'b3', 'b4', 'b5']) stage.publish(name)
    await stage.flush()
    subscriber.grant('private-x', GRANT)
    expect(
      framesNamed(outlet.frames, 'gap').flatMap(({ data }) => (data as { channels: string[] }).channels),
    ).not.toContain('quiet')
  })
})

describe('a late answer', () => {
  it('loses nothing: ids name the start until every channel is decided, then the head once, then plain ids', async () => {
    const stage = new Stage()
    const start = stage.publish('a')
    const page = stage.open(['a', 'private-x', 'private-y'])
    const hidden = stage.publish('private-x')
    const open = stage.publish('a')
    await stage.flush()
    expect(page.connectedId).toBe(`${start}~${start}`)
    expect(broadcastsOf(page.outlet.news())).toEqual([[`${start}~${open}`, open]])
    page.subscriber.grant('private-x', GRANT)
    expect(broadcastsOf(page.outlet.news())).toEqual([[`${start}~${hidden}`, hidden]])
    page.subscriber.deny('private-y', DENIAL)
    const news = page.outlet.news()
    expect(news.map(({ event, id }) => [event, id])).toEqual([
      ['denied', undefined],
      ['ping', open],
    ])
    const live = stage.publish('private-x')
    await stage.flush()
    expect(broadcastsOf(page.outlet.news())).toEqual([[live, live]])
  })

  it('leaves the whole of what came meanwhile to the next stream, when this one breaks off first', async () => {
    const stage = new Stage()
    const page = stage.open(['a', 'private-x'])
    const hidden = stage.publish('private-x')
    const open = stage.publish('a')
    await stage.flush()
    const lastEventId = page.outlet.frames.at(-1)?.id ?? null
    page.subscriber.close('client')
    const next = stage.open(['a', 'private-x'], { lastEventId })
    next.subscriber.grant('private-x', GRANT)
    const ids = broadcastsOf(next.outlet.frames).map(([id]) => id?.split('~')[1])
    expect(ids.toSorted()).toEqual([hidden, open].toSorted())
    expect(page.ended).toEqual(['client'])
  })

  it('on a channel that was just joined begins where the request came', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    stage.publish('private-new')
    const missed = stage.publish('a')
    const page = stage.open(['a', 'private-new'], { lastEventId: cursor, fresh: ['private-new'] })
    const meanwhile = stage.publish('private-new')
    page.subscriber.grant('private-new', GRANT)
    expect(broadcastsOf(page.outlet.frames).map(([, data]) => data)).toEqual([missed, meanwhile])
  })

  it('that comes twice or for a channel nobody asked for changes nothing', () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open(['private-x'])
    subscriber.grant('private-x', GRANT)
    outlet.news()
    subscriber.grant('private-x', GRANT)
    subscriber.grant('private-other', GRANT)
    expect(outlet.news()).toEqual([])
    expect(stage.hub.has('private-other')).toBe(false)
  })

  it('with a list longer than the backlog ends no stream that is still reading it; once it is read the bound holds', async () => {
    const stage = new Stage()
    const { subscriber, outlet, ended } = stage.open(['presence-room'], { backlogBytes: 1000 })
    const whisper = (text: string) => stage.hub.pass('presence-room', [new Frame(`data: {"data":"${text}"}\n\n`)])
    outlet.isStuck = true
    subscriber.grant('presence-room', GRANT, { list: { json: `["${'x'.repeat(70_000)}"]`, count: null } })
    whisper('first')
    whisper('second')
    expect(broadcastsOf(outlet.frames).map(([, data]) => data)).toEqual(['first', 'second'])
    outlet.drain()
    for (const text of ['x'.repeat(1001), 'third']) {
      whisper(text)
      await stage.flush()
    }
    expect(ended).toEqual(['slow'])
  })

  it('after the end is not told', () => {
    const stage = new Stage()
    const { subscriber, outlet, ended } = stage.open(['private-x'])
    subscriber.end('drain', 100)
    outlet.news()
    subscriber.grant('private-x', GRANT)
    subscriber.deny('private-x', DENIAL)
    subscriber.ping(1)
    subscriber.end('slow', 0)
    expect([outlet.news(), ended, stage.hub.size, stage.hub.channelCount]).toEqual([[], ['drain'], 0, 0])
  })
})

describe('a channel that is refused for now', () => {
  const LATER = { ...DENIAL, status: 503, retry: true, retryAfterMs: 5000 }

  it.each([
    ['Laravel is away', LATER],
    ['the login is over', { ...DENIAL, status: 401 }],
    ['the CSRF token is old', { ...DENIAL, status: 419 }],
  ])('is a gap for a page that had it before (%s): what it missed is not told another time', (_why, denial) => {
    const stage = new Stage()
    const cursor = stage.publish('private-a')
    const head = stage.publish('private-a')
    const { subscriber, outlet } = stage.open(['a', 'private-a'], { lastEventId: cursor })
    subscriber.deny('private-a', denial)
    expect(framesNamed(outlet.frames, 'gap').map(({ id, data }) => [id, data])).toEqual([
      [`${cursor}~${head}`, { channels: ['private-a'], reason: 'denied' }],
    ])
    expect(outlet.frames.at(-1)).toMatchObject({ event: 'ping', id: head })
  })

  it.each([
    ['comes for the first time', ['private-a'], {}, LATER],
    ['has just joined it', ['private-a'], { lastEventId: '1.2.1', fresh: ['private-a'] }, LATER],
    ['is refused for good', ['private-a'], { lastEventId: '1.2.1' }, DENIAL],
  ] as const)('is none for a page that %s', (_who, names, options, denial) => {
    const stage = new Stage()
    stage.publish('private-a')
    stage.publish('private-a')
    const { subscriber, outlet } = stage.open(names, options)
    subscriber.deny('private-a', denial)
    expect(framesNamed(outlet.frames, 'gap')).toEqual([])
  })
})
