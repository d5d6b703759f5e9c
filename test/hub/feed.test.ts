import { describe, expect, it } from 'vitest'
import { Entry } from '../../src/history/entry.ts'
import type { Position } from '../../src/history/position.ts'
import { Feed } from '../../src/hub/feed.ts'
import type { Subscriber } from '../../src/hub/subscriber.ts'
import { laravel } from '../support/history.ts'

type Setting = { hasId?: boolean; payload?: Buffer }

function entry(seq: number, { hasId = true, payload = laravel(seq) }: Setting = {}): Entry {
  return new Entry({
    seq,
    position: { epoch: 1, marker: 1, count: seq },
    hasId,
    channel: 'a',
    payload,
    receivedAtMs: 0,
  })
}

/** Subscribers are only handed on here, so names do. */
function feedOf(...names: string[]): Feed {
  const feed = new Feed()
  for (const name of names) feed.subscribers.add(name as unknown as Subscriber)
  return feed
}

/** So many steps of a round; null is its end. */
const taken = (feed: Feed, steps: number) =>
  Array.from({ length: steps }, () => feed.next() as unknown as string | null)

describe('a round', () => {
  it('goes once through all who listen', () => {
    const feed = feedOf('x', 'y', 'z')
    feed.push(entry(1))
    expect(taken(feed, 3)).toEqual(['x', 'y', 'z'])
    expect(feed.isDone).toBe(false)
    expect(taken(feed, 1)).toEqual([null])
    expect(feed.isDone).toBe(true)
  })

  it('leaves what came in while it went on to another round', () => {
    const feed = feedOf('x', 'y', 'z')
    feed.push(entry(1))
    taken(feed, 2)
    feed.push(entry(2))
    expect(taken(feed, 2)).toEqual(['z', null])
    expect([feed.isDone, feed.since(0).map(({ seq }) => seq)]).toEqual([false, [2]])
    expect(taken(feed, 4)).toEqual(['x', 'y', 'z', null])
    expect(feed.isDone).toBe(true)
  })

  it('reaches those who come and leaves out those who go while it lasts', () => {
    const feed = feedOf('x', 'y', 'z')
    feed.push(entry(1))
    taken(feed, 1)
    feed.subscribers.delete('y' as unknown as Subscriber)
    feed.subscribers.add('new' as unknown as Subscriber)
    expect(taken(feed, 3)).toEqual(['z', 'new', null])
  })
})

describe('a batch', () => {
  it('holds what came after a place, and is made once for all who stand there', () => {
    const feed = feedOf()
    feed.push(entry(1))
    feed.push(entry(2))
    const made = feed.batchSince(0)
    expect(feed.batchSince(0)).toBe(made)
    expect(made.batch?.frames).toHaveLength(2)
    expect((made.position as Position).count).toBe(2)
    expect(feed.batchSince(1).batch?.frames).toHaveLength(1)
    feed.push(entry(3))
    expect(feed.batchSince(0).batch?.frames).toHaveLength(3)
  })

  it('suits all but its sender, those with ids of their own, and none when something has no id', () => {
    const suits = (page: { socketId: string; isPlain: boolean }, ...entries: Entry[]) => {
      const feed = feedOf()
      for (const one of entries) feed.push(one)
      return feed.batchSince(0).suits(page as unknown as Subscriber)
    }
    const [sender, other] = [
      { socketId: '1.1', isPlain: true },
      { socketId: '2.2', isPlain: true },
    ]
    const sent = entry(2, { payload: laravel(1, '1.1') })
    expect([suits(sender, entry(1), entry(2)), suits(sender, entry(1), sent)]).toEqual([true, false])
    expect([suits(other, entry(1), sent), suits({ ...other, isPlain: false }, entry(1))]).toEqual([true, false])
    expect(suits(other, entry(1, { hasId: false }), entry(2))).toBe(false)
  })

  it('is none when nothing of it is Laravel’s', () => {
    const feed = feedOf()
    feed.push(entry(1, { payload: Buffer.from('{"event":') }))
    expect(feed.batchSince(0).batch).toBeNull()
  })
})

it('knows the oldest and the newest that not everybody has been handed', () => {
  const feed = feedOf('x')
  expect([feed.firstSeq, feed.lastSeq]).toEqual([Number.POSITIVE_INFINITY, 0])
  feed.push(entry(3))
  feed.push(entry(7))
  expect([feed.firstSeq, feed.lastSeq]).toEqual([3, 7])
})
