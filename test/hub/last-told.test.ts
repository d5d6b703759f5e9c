import { describe, expect, it } from 'vitest'
import { parseBroadcast } from '../../src/channels/broadcast.ts'
import { cachedFrame } from '../../src/hub/frames.ts'
import type { LastTold } from '../../src/hub/last-told.ts'
import { at, laravel } from '../support/history.ts'
import type { ReadFrame } from '../support/sse.ts'
import { broadcastsOf, DENIAL, framesNamed, GRANT, Stage } from '../support/stage.ts'

const NAME = 'cache-a'
const RECALLED = { recalled: [NAME] }

/** What a store would have of this broadcast. */
function lastOf(position: string, { data = position as unknown, socket = null as string | null } = {}): LastTold {
  const broadcast = parseBroadcast(laravel(data, socket))
  if (broadcast === null) throw new Error('That is no broadcast.')
  return { frame: cachedFrame(NAME, broadcast), position: at(position), socket }
}

/** `subscribed`, and of broadcasts their id, their data and whether they are cached ones. */
function storyOf(frames: readonly ReadFrame[]): unknown[] {
  return frames
    .filter(({ event }) => event === undefined || event === 'subscribed' || event === 'cache_miss')
    .map(({ event, id, data }) => {
      if (event !== undefined) return event
      const { data: value, cached = false } = JSON.parse(data)
      return [id, value, cached]
    })
}

describe('the last event of a cache channel', () => {
  it('is told right after the channel is granted, in the same write, without an id', () => {
    const stage = new Stage()
    const last = stage.publish(NAME)
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    expect(outlet.writes).toEqual([])
    subscriber.grant(NAME, GRANT, { last: lastOf(last) })
    expect(outlet.writes[0]).toBe(
      `event: subscribed\ndata: {"channel":"cache-a"}\n\n` +
        `data: {"channel":"cache-a","event":"App\\\\Events\\\\E","data":"${last}","cached":true}\n\n`,
    )
  })

  it('comes before what was published since the request, and that comes with its id', async () => {
    const stage = new Stage()
    const last = stage.publish(NAME)
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    const missed = stage.publish(NAME)
    subscriber.grant(NAME, GRANT, { last: lastOf(last) })
    const live = stage.publish(NAME)
    await stage.flush()
    expect(storyOf(outlet.frames)).toEqual([
      'subscribed',
      [undefined, last, true],
      [expect.stringContaining(missed), missed, false],
      [live, live, false],
    ])
  })

  it('is not told when it was published since the request: it comes by itself', async () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    const since = [stage.publish(NAME), stage.publish(NAME), stage.publish(NAME)]
    subscriber.grant(NAME, GRANT, { last: lastOf(since[1] as string) })
    await stage.flush()
    expect(broadcastsOf(outlet.frames).map(([, data]) => data)).toEqual(since)
    expect(storyOf(outlet.frames).filter((one) => Array.isArray(one) && one[2] === true)).toEqual([])
  })

  it('is not told when this gateway has not heard it yet: it comes by itself', async () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    subscriber.grant(NAME, GRANT, { last: lastOf('1.2.1') })
    expect(stage.publish(NAME)).toBe('1.2.1')
    await stage.flush()
    expect(storyOf(outlet.frames)).toEqual(['subscribed', ['1.2.1', '1.2.1', false]])
  })

  it('is told when it is newer than the request and not in the log any more', async () => {
    const stage = new Stage({ maxMessages: 0 })
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    const since = stage.publish(NAME)
    subscriber.grant(NAME, GRANT, { last: lastOf(since) })
    expect(storyOf(outlet.frames)).toEqual(['subscribed', [undefined, since, true]])
    expect(framesNamed(outlet.frames, 'gap')).toHaveLength(1)
  })

  it('is told when another gateway alone has heard it', () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    stage.hole()
    subscriber.grant(NAME, GRANT, { last: lastOf('1.2.7') })
    expect(storyOf(outlet.frames)).toEqual(['subscribed', [undefined, '1.2.7', true]])
  })

  it.each(['0.9.9', '2.1.1'])('is told when it is of another order (%s)', (position) => {
    const stage = new Stage()
    stage.publish(NAME)
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    subscriber.grant(NAME, GRANT, { last: lastOf(position) })
    expect(storyOf(outlet.frames)).toEqual(['subscribed', [undefined, position, true]])
  })

  it('is told to a page that has just joined, beside channels it goes on with', async () => {
    const stage = new Stage()
    const cursor = stage.publish('orders')
    const missed = stage.publish('orders')
    const last = stage.publish(NAME)
    const { subscriber, outlet } = stage.open(['orders', NAME], { ...RECALLED, lastEventId: cursor, fresh: [NAME] })
    subscriber.grant(NAME, GRANT, { last: lastOf(last) })
    await stage.flush()
    expect(storyOf(outlet.frames)).toEqual([
      'subscribed',
      [`${cursor}~${missed}`, missed, false],
      'subscribed',
      [undefined, last, true],
    ])
  })

  it('is told to a page that has heard more than this gateway, and what it has heard is not told again', async () => {
    const stage = new Stage()
    const options = { ...RECALLED, lastEventId: '1.2.3', fresh: [NAME] }
    const { subscriber, outlet } = stage.open(['orders', NAME], options)
    expect(subscriber.isAhead).toBe(true)
    subscriber.grant(NAME, GRANT, { last: lastOf('1.2.2') })
    for (const channel of ['orders', NAME, 'orders']) stage.publish(channel)
    const live = stage.publish(NAME)
    await stage.flush()
    expect(storyOf(outlet.frames)).toEqual([
      'subscribed',
      'subscribed',
      [undefined, '1.2.2', true],
      [expect.stringContaining(live), live, false],
    ])
  })

  it('that will still be told to such a page is not told as the last one', async () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open([NAME], { ...RECALLED, lastEventId: '1.2.1', fresh: [NAME] })
    subscriber.grant(NAME, GRANT, { last: lastOf('1.2.2') })
    stage.publish(NAME)
    const live = stage.publish(NAME)
    await stage.flush()
    expect(storyOf(outlet.frames)).toEqual(['subscribed', [expect.stringContaining(live), live, false]])
  })

  it('is not told to the page that has sent it, nor that there is none', () => {
    const stage = new Stage()
    const last = stage.publish(NAME, { socket: '7.1' })
    for (const [socketId, told] of [
      ['7.1', ['subscribed']],
      ['7.10', ['subscribed', [undefined, last, true]]],
    ] as const) {
      const { subscriber, outlet } = stage.open([NAME], { ...RECALLED, socketId })
      subscriber.grant(NAME, GRANT, { last: lastOf(last, { socket: '7.1' }) })
      expect(storyOf(outlet.frames)).toEqual(told)
    }
  })

  it('is said to be missing when there is none, and nothing is said when nobody knows', () => {
    const stage = new Stage()
    const page = stage.open([NAME], RECALLED)
    page.subscriber.grant(NAME, GRANT, { last: null })
    expect(page.outlet.writes[0]).toBe(
      'event: subscribed\ndata: {"channel":"cache-a"}\n\nevent: cache_miss\ndata: {"channel":"cache-a"}\n\n',
    )
    const other = stage.open([NAME], RECALLED)
    other.subscriber.grant(NAME, GRANT)
    expect(storyOf(other.outlet.frames)).toEqual(['subscribed'])
  })

  it('does not hold up other channels: they are told meanwhile, and ids are plain once it is known', async () => {
    const stage = new Stage()
    const start = stage.publish('orders')
    const page = stage.open(['orders', NAME], RECALLED)
    expect(page.connectedId).toBe(`${start}~${start}`)
    const live = stage.publish('orders')
    await stage.flush()
    expect(broadcastsOf(page.outlet.news())).toEqual([[`${start}~${live}`, live]])
    page.subscriber.grant(NAME, GRANT, { last: null })
    expect(page.outlet.news().map(({ event, id }) => [event, id])).toEqual([
      ['subscribed', undefined],
      ['cache_miss', undefined],
      ['ping', live],
    ])
  })

  it('of a public channel waits for nobody, once the page is gone', () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open([NAME], RECALLED)
    subscriber.close('client')
    subscriber.grant(NAME, GRANT, { last: lastOf('1.1.1') })
    expect(outlet.frames).toEqual([])
    expect(stage.hub.has(NAME)).toBe(false)
  })

  it('of a channel that is refused is not told', () => {
    const stage = new Stage()
    const { subscriber, outlet } = stage.open(['private-cache-a'])
    subscriber.deny('private-cache-a', DENIAL)
    subscriber.grant('private-cache-a', GRANT, { last: lastOf('1.1.1') })
    expect(storyOf(outlet.frames)).toEqual([])
  })

  it('ends no stream that is still reading it, however long it is', async () => {
    const stage = new Stage()
    const last = stage.publish(NAME)
    const { subscriber, outlet, ended } = stage.open([NAME], { ...RECALLED, backlogBytes: 1000 })
    outlet.isStuck = true
    subscriber.grant(NAME, GRANT, { last: lastOf(last, { data: 'x'.repeat(70_000) }) })
    stage.publish(NAME)
    await stage.flush()
    expect(ended).toEqual([])
  })
})
