import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparePositions, formatPosition, parseCursor, parsePosition } from '../../src/history/position.ts'
import { at } from '../support/history.ts'

const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const position = fc.record({ epoch: safe, marker: safe, count: safe })

describe('a position', () => {
  it('is read back from its text, up to the largest exact number', () => {
    fc.assert(
      fc.property(position, (value) => {
        expect(parsePosition(formatPosition(value))).toEqual({ ...value })
      }),
    )
  })

  it.each(['', '1', '1.2', '1.2.3.4', '1.2.', '-1.2.3', '1.2.3 ', ' 1.2.3', '1.2.x', '1e3.2.3', '١.٢.٣', '1.2.3\n'])(
    'is not read from %j',
    (text) => expect(parsePosition(text)).toBeNull(),
  )

  it('is not read from a number that JavaScript cannot hold', () => {
    expect(parsePosition('9007199254740991.1.1')).not.toBeNull()
    expect(parsePosition('9007199254740992.1.1')).toBeNull()
    expect(parsePosition('1.99999999999999999.1')).toBeNull()
  })

  it('is compared by numbers, not by text', () => {
    const ordered = ['1.1.9', '1.1.10', '1.2.0', '1.10.0', '2.1.0', '10.0.0'].map(at)
    expect([...ordered].reverse().sort(comparePositions)).toEqual(ordered)
    expect(comparePositions(at('3.4.5'), at('3.4.5'))).toBe(0)
  })
})

describe('a cursor', () => {
  it('is what stands before the tilde: up to there everything has arrived', () => {
    expect(parseCursor('1.2.3~1.9.9')).toEqual(at('1.2.3'))
    expect(parseCursor('1.2.3')).toEqual(at('1.2.3'))
  })

  it.each(['~1.2.3', '', 'x~1.2.3', 'orders', '0'])('is not read from %j', (text) => {
    expect(parseCursor(text)).toBeNull()
  })

  it('never throws, whatever a client sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void parseCursor(text)),
      { numRuns: 5000 },
    )
  })
})
