import { describe, expect, it } from 'vitest'
import type { StreamStart } from '../../src/hub/start.ts'
import { StreamIds } from '../../src/hub/stream-ids.ts'
import { at } from '../support/history.ts'

const START: StreamStart = {
  position: at('1.1.1'),
  seq: 1,
  headSeq: 1,
  isForeign: false,
  isAhead: false,
  resume: 'fresh',
  isPartial: false,
}

describe('the ids of a stream', () => {
  it('only grow while they are plain: a place that was told already gets none', () => {
    const ids = new StreamIds(START, { isPlain: true })
    const next = ['1.1.1', '1.1.2', '1.1.2', '1.1.10', '1.1.9', '1.2.0'].map((position) => ids.next(at(position)))
    expect(next).toEqual([null, '1.1.2', null, '1.1.10', null, '1.2.0'])
  })

  it('name the start as well while a channel is undecided, and begin anew once all are decided', () => {
    const ids = new StreamIds(START, { isPlain: false })
    expect([ids.next(at('1.1.3')), ids.next(at('1.1.2'))]).toEqual(['1.1.1~1.1.3', '1.1.1~1.1.2'])
    ids.becomePlain()
    expect([ids.isPlain, ids.next(at('1.1.1')), ids.next(at('1.1.1'))]).toEqual([true, '1.1.1', null])
  })

  it('take note of what was written with ids of its own', () => {
    const ids = new StreamIds(START, { isPlain: true })
    ids.toldUpTo(at('1.3.0'))
    expect([ids.next(at('1.2.9')), ids.next(at('1.3.1'))]).toEqual([null, '1.3.1'])
  })

  it('name the head first when the cursor was of another order', () => {
    const ids = new StreamIds({ ...START, isForeign: true, resume: 'gap' }, { isPlain: true })
    expect(ids.next(at('1.1.1'))).toBe('1.1.1')
  })
})
