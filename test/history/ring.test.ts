import { describe, expect, it } from 'vitest'
import { Entry } from '../../src/history/entry.ts'
import { firstIndex, Ring } from '../../src/history/ring.ts'
import { at, laravel } from '../support/history.ts'

function entry(seq: number): Entry {
  const position = { epoch: 1, marker: 1, count: seq }
  return new Entry({ seq, position, hasId: true, channel: 'a', payload: laravel(seq), receivedAtMs: 0 })
}

function ringOf(...seqs: number[]): Ring {
  const ring = new Ring('a', null)
  for (const seq of seqs) ring.push(entry(seq))
  return ring
}

describe('a ring', () => {
  it('answers what comes after a place', () => {
    const ring = ringOf(2, 5, 9)
    expect([0, 2, 3, 5, 8, 9].map((seq) => ring.after(seq)?.seq)).toEqual([2, 5, 5, 9, 9, undefined])
  })

  it('remembers the newest that it dropped, and marks it', () => {
    const ring = ringOf(2, 5, 9)
    const [first, second] = [ring.shift(), ring.shift()]
    expect([first?.seq, second?.seq, first?.dropped]).toEqual([2, 5, true])
    expect(ring.floor).toMatchObject({ seq: 5, position: at('1.1.5') })
    expect(ring.after(0)?.seq).toBe(9)
  })

  it('takes over the floor of a channel that was forgotten before', () => {
    expect(new Ring('a', { seq: 3, position: at('1.1.3') }).floor?.seq).toBe(3)
  })

  it('counts its bytes and its length through thousands of drops', () => {
    const ring = new Ring('a', null)
    for (let seq = 1; seq <= 3000; seq += 1) {
      ring.push(entry(seq))
      if (ring.length > 7) ring.shift()
    }
    expect([ring.length, ring.after(0)?.seq, ring.floor?.seq]).toEqual([7, 2994, 2993])
    expect(ring.sizeBytes).toBe(7 * entry(2999).sizeBytes)
    while (ring.shift() !== undefined);
    expect([ring.length, ring.sizeBytes, ring.after(0)]).toEqual([0, 0, undefined])
  })
})

describe('firstIndex', () => {
  it('finds the first that passes, from a lower bound on', () => {
    const passes = (value: number) => value >= 4
    expect(firstIndex([1, 2, 4, 4, 6], 0, passes)).toBe(2)
    expect(firstIndex([1, 2, 4, 4, 6], 3, passes)).toBe(3)
    expect(firstIndex([1, 2], 0, passes)).toBe(2)
    expect(firstIndex([], 0, passes)).toBe(0)
  })
})
