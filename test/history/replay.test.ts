import { describe, expect, it } from 'vitest'
import { formatPosition } from '../../src/history/position.ts'
import { Replay, type ReplayItem } from '../../src/history/replay.ts'
import { at, historyOf, laravel } from '../support/history.ts'

type Setting = { maxMessages?: number; now?: () => number; maxAgeMs?: number }

function stage(options: Setting = {}) {
  const history = historyOf(options)
  history.addHole(at('1.1.0'), 'restart')
  let count = 0
  return {
    history,
    hear: (...channels: string[]) => {
      for (const channel of channels) {
        count += 1
        history.append(channel, laravel('x'), { epoch: 1, marker: 1, count }, true)
      }
    },
    from: (seq: number, ...channels: string[]) =>
      new Replay(
        history,
        channels.map((channel) => ({ channel, seq })),
        seq,
      ),
  }
}

/** `a 1.1.2` for a message, `gap [a b] expired 1.1.1` for a gap. */
function written(items: readonly ReplayItem[]): string[] {
  return items.map((item) =>
    'gap' in item
      ? `gap [${item.gap.channels?.join(' ') ?? 'all'}] ${item.gap.reason} ${formatPosition(item.gap.position)}`
      : `${item.entry.channel} ${formatPosition(item.entry.position)}`,
  )
}

describe('a replay', () => {
  it('tells several channels as one sequence and leaves out the others', () => {
    const { hear, from } = stage()
    hear('a', 'b', 'c', 'b', 'a')
    expect(written(from(1, 'b', 'a').take(10))).toEqual(['a 1.1.1', 'b 1.1.2', 'b 1.1.4', 'a 1.1.5'])
  })

  it('goes on where it stopped, and says when it stands at the head', () => {
    const { hear, from } = stage()
    hear('a', 'a', 'a')
    const replay = from(1, 'a')
    expect([replay.take(2).length, replay.isAtHead]).toEqual([2, false])
    expect([replay.take(2).length, replay.isAtHead]).toEqual([1, true])
    hear('a')
    expect(written(replay.take(1))).toEqual(['a 1.1.4'])
    expect(replay.isAtHead).toBe(false)
  })

  it('stops when it has told enough bytes for one write', () => {
    const { hear, from, history } = stage()
    hear('a', 'a', 'a')
    const replay = from(1, 'a')
    const size = history.sizeBytes / 3
    expect([replay.take(9, size + 1).length, replay.isAtHead]).toEqual([2, false])
    expect([replay.take(9, size + 1).length, replay.isAtHead]).toEqual([1, true])
  })

  it('takes in another channel while it is under way', () => {
    const { hear, from } = stage()
    hear('b', 'a', 'b', 'a')
    const replay = from(1, 'a')
    expect(written(replay.take(1))).toEqual(['a 1.1.2'])
    replay.join({ channel: 'b', seq: 1 })
    expect(written(replay.take(9))).toEqual(['b 1.1.1', 'b 1.1.3', 'a 1.1.4'])
  })

  it('tells of a gap before the first message that is left, once', () => {
    const { hear, from } = stage({ maxMessages: 2 })
    hear('a', 'b', 'a', 'a', 'a')
    expect(written(from(1, 'a', 'b').take(10))).toEqual(['b 1.1.2', 'gap [a] expired 1.1.3', 'a 1.1.4', 'a 1.1.5'])
  })

  it('names several channels in one gap when they were forgotten together', () => {
    let nowMs = 0
    const { hear, from, history } = stage({ maxAgeMs: 10, now: () => nowMs })
    hear('a', 'b')
    nowMs = 11
    history.sweep()
    expect(written(from(1, 'a', 'b').take(10))).toEqual(['gap [a b] expired 1.1.2'])
  })

  it('tells of no gap to a reader who has seen what was dropped', () => {
    const { hear, from } = stage({ maxMessages: 1 })
    hear('a', 'a', 'a')
    expect(written(from(3, 'a').take(10))).toEqual(['a 1.1.3'])
  })

  it('puts a hole where it lies, on all channels, once', () => {
    const { hear, from, history } = stage()
    hear('a')
    history.addHole(at('1.5.0'), 'relay-lost')
    history.append('b', laravel('x'), at('1.5.1'), true)
    const replay = from(1, 'a', 'b')
    expect(written(replay.take(2))).toEqual(['a 1.1.1', 'gap [all] relay-lost 1.5.0'])
    expect(written(replay.take(2))).toEqual(['b 1.5.1'])
  })

  it('that the log has outrun says so: the reader was too slow', () => {
    const { hear, from } = stage({ maxMessages: 2 })
    hear('a', 'a')
    const replay = from(1, 'a')
    expect(written(replay.take(1))).toEqual(['a 1.1.1'])
    hear('a', 'a', 'a')
    expect(written(replay.take(9))).toEqual(['gap [a] overflow 1.1.3', 'a 1.1.4', 'a 1.1.5'])
  })

  it('takes nothing for a gap that others lost where its channels had nothing', () => {
    const { hear, from } = stage({ maxMessages: 1 })
    hear('a')
    const replay = from(1, 'a', 'quiet')
    expect(written(replay.take(1))).toEqual(['a 1.1.1'])
    hear('a')
    expect(written(replay.take(9))).toEqual(['a 1.1.2'])
  })

  it('of no channel tells only of holes', () => {
    const { hear, from, history } = stage()
    hear('a')
    history.addHole(at('1.5.0'), 'restart')
    expect(written(from(1).take(10))).toEqual(['gap [all] restart 1.5.0'])
  })
})
