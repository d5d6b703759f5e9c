import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { broadcastsOf, framesNamed, GRANT, type Page, Stage } from '../support/stage.ts'

const ids = (page: Page) => broadcastsOf(page.outlet.frames).map(([id]) => id)
const gaps = (page: Page) => framesNamed(page.outlet.frames, 'gap')
const BIG = 'x'.repeat(20_000)

/** The reader takes everything, turn by turn, until the replay is through. */
async function readAll({ outlet, subscriber }: Page): Promise<void> {
  outlet.isStuck = false
  outlet.drain()
  for (let turn = 0; turn < 100 && !subscriber.isLive; turn += 1) await nextTurn()
}

describe('a cursor', () => {
  it('ahead of this gateway waits, and skips what its owner has seen elsewhere', async () => {
    const stage = new Stage()
    stage.publish('a')
    const page = stage.open(['a'], { lastEventId: '1.2.3' })
    expect(page.connectedId).toBe('1.2.3')
    stage.publish('a')
    stage.publish('a')
    await stage.flush()
    page.subscriber.ping(1)
    expect(page.outlet.news().map(({ event, id }) => [event, id])).toEqual([
      ['subscribed', undefined],
      ['ping', undefined],
    ])
    const next = stage.publish('a')
    await stage.flush()
    expect(next).toBe('1.2.4')
    expect(ids(page)).toEqual([next])
    expect(gaps(page)).toEqual([])
  })

  it('ahead, with an answer that comes before this gateway has caught up', async () => {
    const stage = new Stage()
    const page = stage.open(['a', 'private-x'], { lastEventId: '1.2.2' })
    stage.publish('private-x')
    page.subscriber.grant('private-x', GRANT)
    stage.publish('private-x')
    const next = stage.publish('private-x')
    await stage.flush()
    expect(broadcastsOf(page.outlet.frames).map(([, data]) => data)).toEqual([next])
    expect(page.subscriber).toMatchObject({ isLive: true, isPlain: true })
  })

  it.each(['9.1.1', 'garbage', '1.2.3~', '~', '1.500.0'])(
    'that this gateway cannot place (%s) is told a gap, then goes on',
    async (lastEventId) => {
      const stage = new Stage()
      const head = stage.publish('a')
      const page = stage.open(['a'], { lastEventId: lastEventId.replace('1.2.3~', 'x~1.2.3') })
      expect(page.connectedId).toBeNull()
      expect(page.outlet.frames.map(({ event }) => event)).toEqual(['gap', 'subscribed'])
      expect(gaps(page)).toEqual([{ id: head, data: { channels: null, reason: 'restart' } }])
      const live = stage.publish('a')
      await stage.flush()
      expect(ids(page)).toEqual([live])
    },
  )

  it('older than what is kept is told a gap that names the channel, once', async () => {
    const stage = new Stage({ maxMessages: 1 })
    const cursor = stage.publish('a')
    const other = stage.publish('b')
    const dropped = stage.publish('a')
    const kept = stage.publish('a')
    const page = stage.open(['a', 'b'], { lastEventId: cursor })
    expect(gaps(page)).toEqual([{ id: dropped, data: { channels: ['a'], reason: 'expired' } }])
    expect(ids(page)).toEqual([other, kept])
    const again = stage.open(['a', 'b'], { lastEventId: dropped })
    expect([gaps(again), ids(again)]).toEqual([[], [kept]])
  })
})

describe('a hole', () => {
  it('is told to live streams once, with the place to go on from, and before what follows', async () => {
    const stage = new Stage()
    const page = stage.open(['a'])
    const before = stage.publish('a')
    const hole = stage.hole()
    const after = stage.publish('a')
    await stage.flush()
    expect(page.outlet.frames.map(({ event, id }) => event ?? id)).toEqual(['subscribed', before, 'gap', after])
    expect(gaps(page)).toEqual([{ id: hole, data: { channels: null, reason: 'relay-lost' } }])
    const again = stage.open(['a'], { lastEventId: hole })
    expect([gaps(again), ids(again)]).toEqual([[], [after]])
  })

  it('is told to somebody who comes back from before it, where it lies', () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const before = stage.publish('a')
    stage.hole()
    const after = stage.publish('a')
    const { outlet } = stage.open(['a'], { lastEventId: cursor })
    expect(outlet.frames.map(({ event, id }) => event ?? id)).toEqual(['subscribed', before, 'gap', after])
  })

  it('is not told again when a late answer comes', () => {
    const stage = new Stage()
    const page = stage.open(['a', 'private-x'])
    stage.hole()
    page.subscriber.grant('private-x', GRANT)
    expect(gaps(page)).toHaveLength(1)
  })

  it('is not told twice to a reader who is still taking the replay when an answer comes', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    stage.hole()
    for (let count = 0; count < 100; count += 1) stage.publish('a', { data: BIG })
    const page = stage.prepare(['a', 'private-x'], { lastEventId: cursor })
    page.outlet.isStuck = true
    stage.hub.add(page.subscriber)
    page.subscriber.begin()
    page.subscriber.grant('private-x', GRANT)
    await readAll(page)
    expect(gaps(page)).toHaveLength(1)
    expect(ids(page)).toHaveLength(100)
  })

  it('is followed by what was heard in it, without an id, live and in replay', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const page = stage.open(['a'])
    stage.hole()
    stage.publishUnplaced('a', 'in the hole')
    const after = stage.publish('a')
    await stage.flush()
    const expected = [
      [undefined, 'in the hole'],
      [after, after],
    ]
    expect(broadcastsOf(page.outlet.frames)).toEqual(expected)
    expect(broadcastsOf(stage.open(['a'], { lastEventId: cursor }).outlet.frames)).toEqual(expected)
  })
})

describe('a replay larger than its window', () => {
  function slowReader(stage: Stage, count: number, backlogBytes?: number, { pendingBytes = 0 } = {}) {
    const cursor = stage.publish('a')
    const missed = Array.from({ length: count }, () => stage.publish('a', { data: BIG }))
    const options = { lastEventId: cursor, ...(backlogBytes === undefined ? {} : { backlogBytes }) }
    const page = stage.prepare(['a'], options)
    page.outlet.isStuck = true
    page.outlet.pendingBytes = pendingBytes
    stage.hub.add(page.subscriber)
    page.subscriber.begin()
    return { page, missed }
  }

  it('is paced by its reader and never counts as backlog', async () => {
    const stage = new Stage()
    const { page, missed } = slowReader(stage, 300, 100_000)
    let turns = 0
    for (; page.outlet.isAwaited; turns += 1) {
      page.outlet.drain()
      await nextTurn()
    }
    expect(turns).toBeGreaterThan(2)
    expect([page.ended, page.subscriber.isLive]).toEqual([[], true])
    expect(ids(page)).toEqual(missed)
  })

  it('does not make a slow reader of somebody who has just come back', async () => {
    const stage = new Stage()
    const { page, missed } = slowReader(stage, 1, 10_000, { pendingBytes: 60_000 })
    const live = stage.publish('a')
    await stage.flush()
    expect(page.ended).toEqual([])
    await readAll(page)
    await stage.flush()
    expect(ids(page)).toEqual([...missed, live])
  })

  it('keeps what comes meanwhile behind it', async () => {
    const stage = new Stage()
    const { page, missed } = slowReader(stage, 100)
    const live = [stage.publish('a'), stage.publish('a')]
    await stage.flush()
    await readAll(page)
    const last = stage.publish('a')
    await stage.flush()
    expect(ids(page)).toEqual([...missed, ...live, last])
  })

  it('does not hold up the event loop: it goes on in the next turn', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const missed = Array.from({ length: 2000 }, () => stage.publish('a'))
    const page = stage.open(['a'], { lastEventId: cursor })
    expect(ids(page).length).toBeLessThan(1000)
    await readAll(page)
    expect(ids(page)).toEqual(missed)
  })

  it('takes in a channel that is granted while it waits', async () => {
    const stage = new Stage()
    const cursor = stage.publish('a')
    const hidden = stage.publish('private-x')
    for (let count = 0; count < 20; count += 1) stage.publish('a', { data: BIG })
    const page = stage.prepare(['a', 'private-x'], { lastEventId: cursor })
    page.outlet.isStuck = true
    stage.hub.add(page.subscriber)
    page.subscriber.begin()
    expect(page.outlet.isAwaited).toBe(true)
    page.subscriber.grant('private-x', GRANT)
    await readAll(page)
    expect(ids(page)).toHaveLength(21)
    expect(ids(page)).toContain(`${cursor}~${hidden}`)
    expect(page.subscriber.isPlain).toBe(true)
  })

  it('that the log outruns becomes a gap `overflow`, never a silent loss', async () => {
    const stage = new Stage({ maxMessages: 100 })
    const { page, missed } = slowReader(stage, 100)
    const told = ids(page).length
    expect(told).toBeGreaterThan(0)
    const newer = Array.from({ length: 100 }, () => stage.publish('a'))
    await readAll(page)
    expect(gaps(page)).toEqual([{ id: missed.at(-1), data: { channels: ['a'], reason: 'overflow' } }])
    expect(ids(page)).toEqual([...missed.slice(0, told), ...newer])
  })

  it('that the log outruns says `overflow` also when an answer comes meanwhile', async () => {
    const stage = new Stage({ maxMessages: 100 })
    const cursor = stage.publish('a')
    for (let count = 0; count < 100; count += 1) stage.publish('a', { data: BIG })
    const page = stage.prepare(['a', 'private-x'], { lastEventId: cursor })
    page.outlet.isStuck = true
    stage.hub.add(page.subscriber)
    page.subscriber.begin()
    for (let count = 0; count < 100; count += 1) stage.publish('a')
    page.subscriber.grant('private-x', GRANT)
    await readAll(page)
    expect(gaps(page).map(({ data }) => data)).toEqual([{ channels: ['a'], reason: 'overflow' }])
  })

  it('stops with its stream', () => {
    const stage = new Stage()
    const { page } = slowReader(stage, 100)
    const { length } = page.outlet.writes
    page.subscriber.close('client')
    page.outlet.drain()
    expect(page.outlet.writes).toHaveLength(length)
  })
})
