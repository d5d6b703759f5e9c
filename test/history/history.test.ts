import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { History } from '../../src/history/history.ts'
import { at, historyOf, laravel } from '../support/history.ts'

const MIB = 1024 * 1024
const SIZE = historyOf().append('a', laravel('x'), at('1.1.1'), true).sizeBytes

/** Appends the same message at each of the positions. */
function heard(history: History, channel: string, ...positions: string[]): void {
  for (const position of positions) history.append(channel, laravel('x'), at(position), true)
}

function kept(history: History, channel: string): string[] {
  const found: string[] = []
  for (let entry = history.next(channel, 0); entry !== undefined; entry = history.next(channel, entry.seq)) {
    found.push(`${entry.position.marker}.${entry.position.count}`)
  }
  return found
}

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

async function arrayBufferBytes(): Promise<number> {
  // Buffers are given back by a finalizer, a turn after the collection that found them.
  for (let round = 0; round < 3; round += 1) {
    collectGarbage()
    await nextTurn()
  }
  return process.memoryUsage().arrayBuffers
}

describe('what is kept', () => {
  it('is bounded by count, per channel', () => {
    const history = historyOf({ maxMessages: 2 })
    heard(history, 'a', '1.1.1', '1.1.2', '1.1.3')
    heard(history, 'b', '1.1.4')
    expect([kept(history, 'a'), kept(history, 'b'), history.length]).toEqual([['1.2', '1.3'], ['1.4'], 3])
  })

  it('is bounded by bytes, per channel', () => {
    const history = historyOf({ maxChannelBytes: 2 * SIZE })
    heard(history, 'a', '1.1.1', '1.1.2', '1.1.3')
    heard(history, 'b', '1.1.4')
    expect([kept(history, 'a'), kept(history, 'b'), history.sizeBytes]).toEqual([['1.2', '1.3'], ['1.4'], 3 * SIZE])
  })

  it('is bounded by bytes in all: the oldest goes first, whose ever it is', () => {
    const history = historyOf({ maxBytes: 3 * SIZE })
    heard(history, 'a', '1.1.1')
    heard(history, 'b', '1.1.2')
    heard(history, 'a', '1.1.3', '1.1.4', '1.1.5')
    expect([kept(history, 'a'), kept(history, 'b'), history.sizeBytes]).toEqual([['1.3', '1.4', '1.5'], [], 3 * SIZE])
  })

  it('is bounded by age', () => {
    let nowMs = 0
    const history = historyOf({ maxAgeMs: 1000, now: () => nowMs })
    heard(history, 'a', '1.1.1')
    nowMs = 600
    heard(history, 'a', '1.1.2')
    nowMs = 1000
    history.sweep()
    expect(kept(history, 'a')).toEqual(['1.1', '1.2'])
    nowMs = 1001
    history.sweep()
    expect(kept(history, 'a')).toEqual(['1.2'])
    nowMs = 1601
    history.sweep()
    expect([kept(history, 'a'), history.length, history.sizeBytes]).toEqual([[], 0, 0])
  })

  it('is not a message that is larger than its channel may be, though it is still delivered', () => {
    const history = historyOf({ maxChannelBytes: 500 })
    const entry = history.append('a', laravel('x'.repeat(1000)), at('1.1.1'), true)
    expect(entry.frame?.bytes.toString()).toContain('xxx')
    expect([history.length, history.sizeBytes]).toEqual([0, 0])
    expect(history.floor('a')?.position).toEqual(at('1.1.1'))
  })

  it('holds no memory of what was dropped', async () => {
    const history = historyOf({ maxMessages: 1 })
    const before = await arrayBufferBytes()
    for (let count = 1; count <= 200; count += 1) {
      history.append('busy', Buffer.alloc(MIB / 4), { epoch: 1, marker: 1, count }, true)
    }
    expect((await arrayBufferBytes()) - before).toBeLessThan(8 * MIB)
    expect(history.length).toBe(1)
  })

  it('stays right beside a channel that drops thousands', () => {
    const history = historyOf({ maxMessages: 2 })
    history.addHole(at('1.1.0'), 'restart')
    heard(history, 'quiet', '1.1.1')
    for (let count = 2; count < 6000; count += 1) heard(history, 'busy', `1.1.${count}`)
    expect([kept(history, 'quiet'), kept(history, 'busy'), history.length]).toEqual([['1.1'], ['1.5998', '1.5999'], 3])
    expect(history.locate(at('1.1.5998'))).toEqual({ kind: 'at', seq: 5999 })
  })
})

describe('a floor', () => {
  it('is the newest that a channel dropped; another channel has its own', () => {
    const history = historyOf({ maxMessages: 1 })
    heard(history, 'a', '1.1.1', '1.1.2', '1.1.3')
    heard(history, 'b', '1.1.4')
    expect(history.floor('a')?.position).toEqual(at('1.1.2'))
    expect(history.floor('b')).toBeNull()
  })

  it('is shared by channels that were forgotten altogether, and passed on when one comes back', () => {
    let nowMs = 0
    const history = historyOf({ maxAgeMs: 10, now: () => nowMs })
    heard(history, 'a', '1.1.1')
    heard(history, 'b', '1.1.2')
    nowMs = 11
    history.sweep()
    expect(['a', 'b', 'never heard of'].map((name) => history.floor(name)?.position)).toEqual(
      Array(3).fill(at('1.1.2')),
    )
    heard(history, 'a', '1.1.3')
    expect(history.floor('a')?.position).toEqual(at('1.1.2'))
  })
})

describe('a cursor', () => {
  const start = () => {
    const history = historyOf()
    history.addHole(at('5.10.0'), 'restart')
    heard(history, 'a', '5.10.1', '5.10.2')
    history.advance(at('5.11.0'))
    heard(history, 'a', '5.11.1')
    return history
  }

  it.each([
    ['a message', '5.10.2', 3],
    ['a marker', '5.11.0', 3],
    ['a place between two markers that only others counted to', '5.10.9', 3],
    ['the head', '5.11.1', 4],
    ['the start', '5.10.0', 1],
    ['a place before the start', '5.2.7', 0],
  ])('stands at %s', (_place, text, seq) => {
    expect(start().locate(at(text))).toEqual({ kind: 'at', seq })
  })

  it('is ahead when this node has not heard as much yet', () => {
    expect(start().locate(at('5.11.2'))).toEqual({ kind: 'ahead' })
    expect(start().locate(at('5.161.0'))).toEqual({ kind: 'ahead' })
  })

  it.each([
    ['of another epoch', '4.10.1'],
    ['of an epoch to come', '6.1.1'],
    ['further ahead than any node can be', '5.162.0'],
  ])('is foreign when it is %s', (_why, text) => {
    expect(start().locate(at(text))).toEqual({ kind: 'foreign' })
  })

  it('is never ahead where there are no markers', () => {
    const history = historyOf()
    history.addHole(at('5.0.0'), 'restart')
    expect(history.locate(at('5.0.1'))).toEqual({ kind: 'foreign' })
  })

  it('is foreign before anything was heard', () => {
    expect(historyOf().locate(at('1.1.1'))).toEqual({ kind: 'foreign' })
    expect(historyOf().head).toBeNull()
  })

  it('of an earlier epoch stands where that one ended', () => {
    const history = start()
    history.addHole(at('6.1.0'), 'restart')
    heard(history, 'a', '6.1.1')
    expect(history.locate(at('5.99.9'))).toEqual({ kind: 'at', seq: 4 })
    expect(history.nextHole(4)).toMatchObject({ seq: 5, position: at('6.1.0'), reason: 'restart' })
  })

  it('that was told of a hole stands behind it and behind what was heard in it', () => {
    const history = start()
    history.addHole(at('5.20.0'), 'relay-lost')
    history.append('a', laravel('in the hole'), at('5.20.0'), false)
    expect(history.locate(at('5.20.0'))).toEqual({ kind: 'at', seq: 6 })
  })

  it('stands behind what its channel has dropped, when it has seen it', () => {
    const history = historyOf({ maxMessages: 1 })
    history.addHole(at('1.1.0'), 'restart')
    heard(history, 'a', '1.1.1', '1.1.2', '1.1.3')
    expect(history.startOf('a', at('1.1.2'), 1)).toBe(3)
    expect(history.startOf('a', at('1.1.1'), 1)).toBe(1)
    expect(history.startOf('b', at('1.1.1'), 1)).toBe(1)
  })

  it('older than very many holes is still told of one', () => {
    const history = start()
    for (let marker = 20; marker < 120; marker += 1) history.addHole(at(`5.${marker}.0`), 'relay-lost')
    const place = history.locate(at('5.10.2'))
    expect(place.kind === 'at' && history.nextHole(place.seq)).toBeTruthy()
  })
})

it('forgets everything when the order starts over, and knows no cursor of before', () => {
  const history = historyOf()
  history.addHole(at('5.1.0'), 'restart')
  heard(history, 'a', '5.1.1')
  history.clear()
  history.addHole(at('4.1.0'), 'restart')
  expect([history.length, history.sizeBytes, kept(history, 'a'), history.floor('a')]).toEqual([0, 0, [], null])
  expect(history.locate(at('5.1.1'))).toEqual({ kind: 'foreign' })
  expect(history.head).toMatchObject({ position: at('4.1.0'), seq: 3 })
})
