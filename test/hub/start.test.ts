import { describe, expect, it } from 'vitest'
import { beginsAnew, startId, startStream } from '../../src/hub/start.ts'
import { at, historyOf, laravel } from '../support/history.ts'

function start({ maxMessages = 100 } = {}) {
  const history = historyOf({ maxMessages })
  history.addHole(at('1.1.0'), 'restart')
  for (const count of [1, 2, 3]) history.append('a', laravel(count), { epoch: 1, marker: 1, count }, true)
  return history
}

describe('a stream starts', () => {
  it.each([null, ''])('at the head, when its page comes for the first time (%j)', (id) => {
    expect(startStream(start(), id, ['a'])).toEqual({
      position: at('1.1.3'),
      seq: 4,
      headSeq: 4,
      isForeign: false,
      isAhead: false,
      resume: 'fresh',
      isPartial: false,
    })
  })

  it('at its cursor', () => {
    expect(startStream(start(), '1.1.2', ['a'])).toMatchObject({
      position: at('1.1.2'),
      seq: 3,
      headSeq: 4,
      resume: 'ok',
    })
  })

  it('before the tilde of its cursor: what was undecided then may have been missed', () => {
    expect(startStream(start(), '1.1.1~1.1.3', ['a'])).toMatchObject({ position: at('1.1.1'), seq: 2, resume: 'ok' })
  })

  it('with a gap when a channel has lost something after the cursor, or there is a hole', () => {
    const history = start({ maxMessages: 1 })
    expect(startStream(history, '1.1.1', ['a'])).toMatchObject({ seq: 2, resume: 'gap' })
    expect(startStream(history, '1.1.2', ['a']).resume).toBe('ok')
    expect(startStream(history, '1.1.1', ['b']).resume).toBe('ok')
    history.addHole(at('1.5.0'), 'relay-lost')
    expect(startStream(history, '1.1.2', ['a']).resume).toBe('gap')
    expect(startStream(history, '1.5.0', ['a']).resume).toBe('ok')
  })

  it('ahead of this gateway, and waits for it', () => {
    expect(startStream(start(), '1.2.9', ['a'])).toMatchObject({ position: at('1.2.9'), isAhead: true, resume: 'ok' })
  })

  it.each(['2.1.1', 'garbage', '~1.1.1', '1.1'])(
    'at the head with a gap, when its cursor says nothing here (%s)',
    (id) => {
      expect(startStream(start(), id, ['a'])).toMatchObject({
        position: at('1.1.3'),
        seq: 4,
        isForeign: true,
        resume: 'gap',
      })
    },
  )

  it('never before the broker is ready', () => {
    expect(() => startStream(historyOf(), null, [])).toThrow()
  })
})

describe('the id of `connected`', () => {
  it('is where the stream starts, marked while a channel is undecided', () => {
    const place = startStream(start(), '1.1.2', ['a'])
    expect([startId(place, false), startId(place, true)]).toEqual(['1.1.2', '1.1.2~1.1.2'])
  })

  it('is none for a cursor that says nothing here: the gap that follows brings one', () => {
    expect(startId(startStream(start(), '9.9.9', ['a']), false)).toBeNull()
  })
})

describe('a page begins anew with a channel', () => {
  const begins = (history: ReturnType<typeof start>, id: string | null, fresh: string[] = [], channel = 'a') =>
    beginsAnew(history, startStream(history, id, []), new Set(fresh), channel)

  it('when it comes for the first time, or with a cursor that says nothing here', () => {
    expect(begins(start(), null)).toBe(true)
    expect(begins(start(), '2.1.1')).toBe(true)
  })

  it('when it has just joined it', () => {
    expect(begins(start(), '1.1.2', ['a'])).toBe(true)
    expect(begins(start(), '1.1.2', ['b'])).toBe(false)
  })

  it('and otherwise goes on with it', () => {
    expect(begins(start(), '1.1.2')).toBe(false)
    expect(begins(start(), '1.2.9')).toBe(false)
  })

  it('after a hole, and where this channel has lost something, but not where another has', () => {
    const history = start({ maxMessages: 1 })
    history.append('b', laravel('x'), at('1.1.4'), true)
    expect(begins(history, '1.1.1')).toBe(true)
    expect(begins(history, '1.1.1', [], 'b')).toBe(false)
    history.addHole(at('1.5.0'), 'relay-lost')
    expect(begins(history, '1.1.4')).toBe(true)
    expect(begins(history, '1.5.0')).toBe(false)
  })

  it('when its cursor is of a time when a channel was undecided, unless it names what it has joined', () => {
    expect(begins(start(), '1.1.1~1.1.3')).toBe(true)
    expect(begins(start(), '1.1.1~1.1.3', ['b'])).toBe(false)
  })
})
