import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Pace, retryDelayMs } from '../../../client/src/core/retry.ts'

const CLIENTS = 200

describe('the delay before an attempt', () => {
  const delays = (attempt: number) =>
    Array.from({ length: CLIENTS }, (_, client) => retryDelayMs(attempt, () => (client + 0.5) / CLIENTS))

  it('is soon the first time, and another one for each client', () => {
    const first = delays(0)
    expect(Math.min(...first)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...first)).toBeLessThan(1000)
    expect(new Set(first).size).toBe(CLIENTS)
  })

  it('spreads 200 real clients over the whole second', () => {
    const tenths = new Map<number, number>()
    for (let client = 0; client < CLIENTS; client++) {
      const tenth = Math.floor(retryDelayMs(0) / 100)
      tenths.set(tenth, (tenths.get(tenth) ?? 0) + 1)
    }
    expect([...tenths.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(Math.max(...tenths.values())).toBeLessThan(CLIENTS / 3)
  })

  it('reaches further each time, and never beyond 30 seconds', () => {
    const longest = [1, 2, 3, 4, 5, 50, 5000].map((attempt) => Math.ceil(Math.max(...delays(attempt)) / 1000))
    expect(longest).toEqual([4, 8, 16, 30, 30, 30, 30])
  })

  it('may be short at any time: full jitter', () => {
    expect(Math.min(...delays(9))).toBeLessThan(100)
  })
})

describe('the pace of requests', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    return () => vi.useRealTimers()
  })
  afterEach(() => vi.restoreAllMocks())

  it('leaves a second between a request that failed and the next', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const pace = new Pace()
    pace.asked()
    expect(pace.failed()).toBe(1000)
    vi.advanceTimersByTime(700)
    expect(pace.leastMs()).toBe(300)
    vi.advanceTimersByTime(700)
    expect(pace.failed()).toBe(0)
  })

  it('waits as long as it was asked to, also when the page is woken meanwhile', () => {
    const pace = new Pace()
    pace.asked()
    expect(pace.failed(20_000)).toBe(20_000)
    vi.advanceTimersByTime(5000)
    expect(pace.leastMs(0)).toBe(15_000)
    vi.advanceTimersByTime(20_000)
    pace.asked()
    vi.advanceTimersByTime(1000)
    expect(pace.leastMs(0)).toBe(0)
  })

  it('does not wait for ever, and not for nonsense', () => {
    const pace = new Pace()
    expect(pace.failed(1e15)).toBe(3_600_000)
    for (const nonsense of [Number.NaN, -5, 0]) expect(new Pace().failed(nonsense)).toBeLessThan(1000)
  })

  it('does not wait longer because the clock was set back', () => {
    const pace = new Pace()
    pace.asked()
    vi.setSystemTime(Date.now() - 3_600_000)
    expect(pace.leastMs()).toBe(1000)
  })

  it('begins anew after a success', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999)
    const pace = new Pace()
    for (let time = 0; time < 9; time++) pace.failed()
    expect(pace.failed()).toBeGreaterThan(29_000)
    pace.succeeded()
    expect(pace.failed()).toBeLessThan(1001)
  })
})
