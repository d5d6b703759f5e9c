import { describe, expect, it } from 'vitest'
import { broadcastsOf, DENIAL, framesNamed, GRANT, type Page, Stage } from '../support/stage.ts'

const ids = (page: Page) => broadcastsOf(page.outlet.frames).map(([id]) => id)

describe('the fan-out', () => {
  it('writes once per page and turn, whatever came in', async () => {
    const stage = new Stage()
    const page = stage.open(['a', 'b'])
    page.outlet.news()
    const published = ['a', 'b', 'a', 'b', 'b'].map((name) => stage.publish(name))
    expect(page.outlet.writes).toEqual([])
    await stage.flush()
    expect(page.outlet.writes).toHaveLength(1)
    expect(ids(page)).toEqual(published)
  })

  it('encodes once: all who listen to one channel are handed the same bytes', async () => {
    const stage = new Stage()
    const pages = [stage.open(['a']), stage.open(['a'])]
    const batches: unknown[] = []
    for (const { outlet } of pages) outlet.writeBatch = (batch) => void batches.push(batch.chunk)
    stage.publish('a')
    stage.publish('a')
    await stage.flush()
    expect(batches).toHaveLength(2)
    expect(batches[0]).toBe(batches[1])
  })

  it('names each channel of an event that was published on several, in order', async () => {
    const stage = new Stage()
    const [both, one] = [stage.open(['a', 'b']), stage.open(['b'])]
    stage.publish('a', { data: 'x' })
    stage.publish('b', { data: 'x' })
    await stage.flush()
    const channelsOf = ({ outlet }: Page) =>
      outlet.frames.flatMap(({ event, data }) => (event ? [] : [JSON.parse(data).channel]))
    expect([channelsOf(both), channelsOf(one)]).toEqual([['a', 'b'], ['b']])
  })

  it('reaches nobody who has left or was refused', async () => {
    const stage = new Stage()
    const [left, refused] = [stage.open(['a']), stage.open(['private-x'])]
    left.subscriber.close('client')
    refused.subscriber.deny('private-x', DENIAL)
    const before = refused.outlet.frames.length
    stage.publish('a')
    stage.publish('private-x')
    await stage.flush()
    expect([ids(left), refused.outlet.frames.length]).toEqual([[], before])
  })

  it('gives a page its own message on no channel, and everything around it', async () => {
    const stage = new Stage()
    const [sender, other] = [stage.open(['a', 'b'], { socketId: '5.5' }), stage.open(['a', 'b'])]
    const first = stage.publish('a')
    const own = stage.publish('b', { socket: '5.5' })
    const last = stage.publish('a')
    await stage.flush()
    expect([ids(sender), ids(other)]).toEqual([
      [first, last],
      [first, own, last],
    ])
  })

  it('ends a page that is too slow, and nobody else notices', async () => {
    const stage = new Stage()
    const slow = stage.open(['a'], { backlogBytes: 1000 })
    const others = [stage.open(['a']), stage.open(['a'])]
    slow.outlet.isStuck = true
    const published: string[] = []
    for (let turn = 0; turn < 20; turn += 1) {
      published.push(stage.publish('a', { data: 'x'.repeat(200) }))
      await stage.flush()
    }
    expect(slow.ended).toEqual(['slow'])
    const bye = slow.outlet.frames.at(-1)
    expect([bye?.event, JSON.parse(bye?.data ?? '').reason]).toEqual(['bye', 'slow'])
    expect(slow.outlet.frames.length).toBeLessThan(12)
    for (const other of others) expect(ids(other)).toEqual(published)
    expect(stage.hub.size).toBe(2)
  })

  it('lets a slow page go on where it broke off', async () => {
    const stage = new Stage()
    const slow = stage.open(['a'], { backlogBytes: 300 })
    slow.outlet.isStuck = true
    const published: string[] = []
    for (let turn = 0; turn < 10; turn += 1) {
      published.push(stage.publish('a'))
      await stage.flush()
    }
    const lastEventId = ids(slow).at(-1) as string
    const again = stage.open(['a'], { lastEventId })
    expect([...ids(slow), ...ids(again)]).toEqual(published)
  })
})

describe('a fan-out that takes several turns', () => {
  const CROWD = 2500

  it('brings every message to everybody once and in order, also those that arrive between slices', async () => {
    const stage = new Stage()
    const pages = Array.from({ length: CROWD }, (_, index) => stage.open(index % 3 === 0 ? ['a', 'b'] : ['a']))
    const published: { id: string; name: string }[] = []
    const publish = (name: string) => published.push({ id: stage.publish(name), name })
    publish('a')
    for (let turn = 0; turn < 6; turn += 1) {
      await stage.flush()
      publish(turn % 2 === 0 ? 'a' : 'b')
    }
    const reached = pages.filter(({ outlet }) => broadcastsOf(outlet.frames).length > 0).length
    expect(reached).toBeGreaterThan(0)
    for (let turn = 0; turn < 30; turn += 1) await stage.flush()
    const all = published.map(({ id }) => id)
    const onA = published.filter(({ name }) => name === 'a').map(({ id }) => id)
    const wrong = pages.filter((page, index) => `${ids(page)}` !== `${index % 3 === 0 ? all : onA}`)
    expect(wrong).toEqual([])
  })

  it('does not serve everybody in one turn', async () => {
    const stage = new Stage()
    const pages = Array.from({ length: CROWD }, () => stage.open(['a']))
    stage.publish('a')
    await stage.flush()
    const served = pages.filter((page) => ids(page).length > 0).length
    expect(served).toBeGreaterThan(500)
    expect(served).toBeLessThan(CROWD)
  })

  it('lets a small channel have its turn beside a crowded one', async () => {
    const stage = new Stage()
    for (let count = 0; count < CROWD; count += 1) stage.open(['crowded'])
    const page = stage.open(['small'])
    stage.publish('crowded')
    const id = stage.publish('small')
    await stage.flush()
    expect(ids(page)).toEqual([id])
  })

  it('survives that everybody leaves in the middle of it, and goes on with who comes then', async () => {
    const stage = new Stage()
    const pages = Array.from({ length: CROWD }, () => stage.open(['a']))
    stage.publish('a')
    await stage.flush()
    stage.publish('a')
    for (const { subscriber } of pages) subscriber.close('client')
    expect([stage.hub.size, stage.hub.channelCount]).toEqual([0, 0])
    const page = stage.open(['a'])
    const id = stage.publish('a')
    for (let turn = 0; turn < 5; turn += 1) await stage.flush()
    expect(ids(page)).toEqual([id])
  })

  it('keeps the order for a page that is granted a channel in the middle of it', async () => {
    const stage = new Stage()
    for (let count = 0; count < CROWD; count += 1) stage.open(['a'])
    const page = stage.open(['a', 'private-x'])
    const first = stage.publish('a')
    await stage.flush()
    const second = stage.publish('private-x')
    page.subscriber.grant('private-x', GRANT)
    const third = stage.publish('a')
    for (let turn = 0; turn < 10; turn += 1) await stage.flush()
    expect(broadcastsOf(page.outlet.frames).map(([, data]) => data)).toEqual([first, second, third])
  })
})

describe('who listens to what', () => {
  it('is forgotten with the last who listens', () => {
    const stage = new Stage()
    const [one, two] = [stage.open(['a', 'b']), stage.open(['b'])]
    expect([stage.hub.size, stage.hub.channelCount, stage.hub.has('a')]).toEqual([2, 2, true])
    one.subscriber.close('client')
    expect([stage.hub.channelCount, stage.hub.has('a'), stage.hub.has('b')]).toEqual([1, false, true])
    two.subscriber.close('client')
    expect([stage.hub.size, stage.hub.channelCount]).toEqual([0, 0])
  })

  it('is shown by channel, each socket once, and by page, without what is undecided', () => {
    const stage = new Stage()
    const page = stage.open(['a', 'b', 'private-x'], { socketId: '1.1' })
    const again = stage.open(['a'], { socketId: '1.1' })
    stage.open(['a'], { socketId: '2.2' })
    expect([...stage.hub.channels()]).toEqual(['a', 'b'])
    expect([stage.hub.socketsOn('a'), stage.hub.socketsOn('other')]).toEqual([new Set(['1.1', '2.2']), new Set()])
    expect([...page.subscriber.granted()]).toEqual(['a', 'b'])
    again.subscriber.close('client')
    expect(stage.hub.socketsOn('a')).toEqual(new Set(['1.1', '2.2']))
    page.subscriber.close('client')
    expect(stage.hub.socketsOn('a')).toEqual(new Set(['2.2']))
  })

  it('ends for all with a time of its own to come back for each', () => {
    const stage = new Stage()
    const pages = [stage.open(['a']), stage.open(['a'])]
    let next = 100
    stage.hub.endAll('expired', () => next++)
    expect(pages.map(({ ended, outlet }) => [ended, framesNamed(outlet.frames, 'bye')[0]?.data])).toEqual([
      [['expired'], { reason: 'expired', retryAfterMs: 100 }],
      [['expired'], { reason: 'expired', retryAfterMs: 101 }],
    ])
  })
})
