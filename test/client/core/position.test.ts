import { describe, expect, it } from 'vitest'
import { isNewer } from '../../../client/src/core/position.ts'

describe('positions', () => {
  it.each([
    ['1.0.2', '1.0.1'],
    ['1.0.10', '1.0.9'],
    ['1.2.0', '1.1.7'],
    ['1.10.0', '1.9.99'],
    ['1700000000000001.0.1', '1700000000000000.9.9'],
  ])('%s comes after %s', (later, earlier) => {
    expect(isNewer(later, earlier)).toBe(true)
  })

  it.each([
    ['1.0.1', '1.0.1'],
    ['1.0.1', '1.0.2'],
    ['1.1.7', '1.2.0'],
  ])('%s does not come after %s', (id, other) => {
    expect(isNewer(id, other)).toBe(false)
  })

  it('compares what stands behind the beginning of an undecided stream', () => {
    expect(isNewer('1.0.1~1.0.5', '1.0.4')).toBe(true)
    expect(isNewer('1.0.5', '1.0.1~1.0.5')).toBe(false)
    expect(isNewer('1.0.1~1.0.5', '1.0.3~1.0.5')).toBe(false)
  })

  it('takes another epoch for later, because nobody can tell', () => {
    expect(isNewer('1.9.9', '2.0.0')).toBe(true)
    expect(isNewer('2.0.0', '1.9.9')).toBe(true)
  })

  it('takes what is no position for later: rather twice than never', () => {
    expect(isNewer('a-1', 'a-1')).toBe(true)
  })
})
