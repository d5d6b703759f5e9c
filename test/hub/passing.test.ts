import { describe, expect, it } from 'vitest'
import { whisperFrame } from '../../src/hub/frames.ts'
import { broadcastsOf, framesNamed, GRANT, type Page, Stage } from '../support/stage.ts'

/** What is told now or never, by the text it carries. */
const passing = (text: string) => whisperFrame('a', 'client-e', JSON.stringify(text), null)

/** The data of everything that was told, in order. */
const told = ({ outlet }: Page) => broadcastsOf(outlet.frames).map(([, data]) => data)

describe('what is told now or never', () => {
  it('has its place among the broadcasts, but no id, and leaves with them in one write', async () => {
    const stage = new Stage()
    const page = stage.open(['a', 'b'])
    page.outlet.news()
    stage.hub.pass('a', [passing('one'), passing('two')])
    const first = stage.publish('a')
    stage.hub.pass('b', [passing('three')])
    const second = stage.publish('b')
    stage.hub.pass('a', [passing('four')])
    expect(page.outlet.writes).toEqual([])
    await stage.flush()
    expect(page.outlet.writes).toHaveLength(1)
    expect(broadcastsOf(page.outlet.frames)).toEqual([
      [undefined, 'one'],
      [undefined, 'two'],
      [first, first],
      [undefined, 'three'],
      [second, second],
      [undefined, 'four'],
    ])
  })

  it('goes to who is on the channel, and to nobody who has left or is not decided', async () => {
    const stage = new Stage()
    const [listens, elsewhere, left] = [stage.open(['a']), stage.open(['b']), stage.open(['a'])]
    const undecided = stage.open(['private-x'])
    left.subscriber.close('client')
    for (const channel of ['a', 'private-x']) stage.hub.pass(channel, [passing(channel)])
    await stage.flush()
    undecided.subscriber.grant('private-x', GRANT)
    await stage.flush()
    expect([listens, elsewhere, left, undecided].map(told)).toEqual([['a'], [], [], []])
  })

  it('takes no place where nobody is on the channel, or where there is nothing to tell', async () => {
    const stage = new Stage()
    const page = stage.open(['a'])
    page.outlet.news()
    const { head } = stage.history
    stage.hub.pass('b', [passing('lost')])
    stage.hub.pass('a', [])
    expect(stage.history.head).toBe(head)
    expect(stage.hub.channelCount).toBe(1)
    const late = stage.open(['b'])
    await stage.flush()
    expect([page.outlet.writes, told(late)]).toEqual([[], []])
  })

  it('spares one socket on all its streams, and spares it nothing else', async () => {
    const stage = new Stage()
    const streams = [stage.open(['a', 'b'], { socketId: '5.5' }), stage.open(['a'], { socketId: '5.5' })]
    const other = stage.open(['a'], { socketId: '5.50' })
    const first = stage.publish('a')
    stage.hub.pass('a', [passing('mine'), passing('mine too')], '5.5')
    stage.hub.pass('a', [passing('of another')], '6.6')
    const last = stage.publish('a')
    await stage.flush()
    for (const stream of streams) expect(told(stream)).toEqual([first, 'of another', last])
    expect(told(other)).toEqual([first, 'mine', 'mine too', 'of another', last])
  })

  it('is not told to who comes back with a cursor from before it', async () => {
    const stage = new Stage()
    stage.open(['a'])
    const cursor = stage.publish('a')
    stage.hub.pass('a', [passing('gone')])
    const missed = stage.publish('a')
    stage.hub.pass('a', [passing('gone too')])
    const back = stage.open(['a'], { lastEventId: cursor })
    await stage.flush()
    expect(told(back)).toEqual([missed])
  })

  it('leaves the page where it was in the log: neither a ping nor what follows tells anything else', async () => {
    const stage = new Stage()
    const page = stage.open(['a'])
    const first = stage.publish('a')
    stage.hub.pass('a', [passing('one')])
    await stage.flush()
    const head = stage.marker()
    page.subscriber.ping(5)
    const second = stage.publish('a')
    await stage.flush()
    expect(framesNamed(page.outlet.frames, 'ping')).toEqual([{ id: head, data: { time: 5 } }])
    expect(told(page)).toEqual([first, 'one', second])
  })

  it('is handed over before the page leaves the fast path, once', async () => {
    const stage = new Stage()
    const page = stage.open(['a', 'private-x'])
    await stage.flush()
    const first = stage.publish('a')
    stage.hub.pass('a', [passing('one')])
    page.subscriber.grant('private-x', GRANT)
    stage.hub.pass('private-x', [passing('two')])
    const second = stage.publish('a')
    await stage.flush()
    expect(told(page)).toEqual([first, 'one', 'two', second])
  })
})

describe('to a page that is still reading the log it', () => {
  /** A page whose reader has taken nothing yet, with more to tell than may wait for it. */
  function openStuck(stage: Stage, count: number, socketId = '1.1') {
    stage.open(['a'])
    const lastEventId = stage.publish('a')
    const missed = Array.from({ length: count }, () => stage.publish('a'))
    const page = stage.prepare(['a'], { lastEventId, socketId })
    page.outlet.isStuck = true
    page.outlet.pendingBytes = 64 * 1024
    stage.hub.add(page.subscriber)
    page.subscriber.begin()
    return { page, missed }
  }

  it('is told at once and once, and what was missed follows in order', async () => {
    const stage = new Stage()
    const { page, missed } = openStuck(stage, 100)
    expect(page.outlet.isAwaited).toBe(true)
    stage.hub.pass('a', [passing('now')])
    expect(told(page)).toEqual(['now'])
    const live = stage.publish('a')
    await stage.flush()
    expect(told(page)).toEqual(['now'])
    page.outlet.isStuck = false
    page.outlet.drain()
    await stage.flush()
    stage.hub.pass('a', [passing('later')])
    await stage.flush()
    expect(told(page)).toEqual(['now', ...missed, live, 'later'])
  })

  it('is not told when it is its own', async () => {
    const stage = new Stage()
    const { page } = openStuck(stage, 1, '5.5')
    stage.hub.pass('a', [passing('own')], '5.5')
    stage.hub.pass('a', [passing('of others')], '6.6')
    expect(told(page)).toEqual(['of others'])
  })
})

describe('with a crowd that takes several turns it', () => {
  const CROWD = 2500
  const SENDER = 1700

  it('reaches everybody once, in its place, except who sent it; also when it comes between turns', async () => {
    const stage = new Stage()
    const pages = Array.from({ length: CROWD }, (_, index) =>
      stage.open(index % 3 === 0 ? ['a', 'b'] : ['a'], { socketId: `9.${index}` }),
    )
    const all: { text: string; channel: string; sender?: string }[] = []
    const publish = (channel: string) => all.push({ text: stage.publish(channel), channel })
    const pass = (channel: string, text: string) => {
      stage.hub.pass(channel, [passing(text)], `9.${SENDER}`)
      all.push({ text, channel, sender: `9.${SENDER}` })
    }
    publish('a')
    for (let turn = 0; turn < 6; turn += 1) {
      pass(turn % 2 === 0 ? 'a' : 'b', `whisper ${turn}`)
      await stage.flush()
      if (turn === 0) expect(pages.filter((page) => told(page).length > 0).length).toBeLessThan(CROWD)
      publish(turn % 3 === 0 ? 'b' : 'a')
    }
    for (let turn = 0; turn < 30; turn += 1) await stage.flush()
    const expected = (index: number) =>
      all.flatMap(({ text, channel, sender }) => {
        const isOn = channel === 'a' || index % 3 === 0
        return isOn && sender !== `9.${index}` ? [text] : []
      })
    expect(pages.filter((page, index) => `${told(page)}` !== `${expected(index)}`)).toEqual([])
  })

  it('reaches who is granted the channel between turns only with what comes after that', async () => {
    const stage = new Stage()
    for (let count = 0; count < CROWD; count += 1) stage.open(['a'])
    const page = stage.open(['a', 'private-x'])
    page.subscriber.grant('private-x', GRANT)
    const late = stage.open(['a', 'private-x'])
    stage.publish('a')
    stage.hub.pass('private-x', [passing('before')])
    await stage.flush()
    late.subscriber.grant('private-x', GRANT)
    stage.hub.pass('private-x', [passing('after')])
    for (let turn = 0; turn < 10; turn += 1) await stage.flush()
    const whispers = (one: Page) => told(one).filter((text) => /before|after/.test(String(text)))
    expect([whispers(page), whispers(late)]).toEqual([['before', 'after'], ['after']])
  })
})
