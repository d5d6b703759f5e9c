import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { drain } from '../../src/hub/drain.ts'
import { framesNamed, type Page, Stage } from '../support/stage.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

type Bye = { reason: string; retryAfterMs: number }
const byeOf = ({ outlet }: Page) => framesNamed(outlet.frames, 'bye')[0]?.data as Bye

function crowd(count: number) {
  const stage = new Stage()
  const pages = Array.from({ length: count }, () => stage.open(['a']))
  return { hub: stage.hub, stage, pages, left: () => pages.filter(({ ended }) => ended.length === 0).length }
}

describe('the goodbye', () => {
  it('is said at once when few listen, with a time to come back beside `retry:`', async () => {
    const { hub, pages } = crowd(3)
    const drained = drain(hub, 8000)
    await vi.advanceTimersByTimeAsync(10)
    await drained
    expect(hub.size).toBe(0)
    for (const page of pages) {
      const { reason, retryAfterMs } = byeOf(page)
      expect([page.ended, reason, page.outlet.frames.at(-1)?.retry]).toEqual([['drain'], 'drain', retryAfterMs])
      expect(retryAfterMs).toBeGreaterThan(0)
      expect(retryAfterMs).toBeLessThanOrEqual(5000)
    }
  })

  it('goes out in waves within the time, each page with a time of its own', async () => {
    const { hub, pages, left } = crowd(1000)
    const drained = drain(hub, 8000)
    const seen = [left()]
    for (let second = 1; second <= 8; second += 1) {
      await vi.advanceTimersByTimeAsync(1000)
      seen.push(left())
    }
    await drained
    expect(seen.at(-1)).toBe(0)
    expect(seen[0]).toBeGreaterThan(0)
    expect(new Set(seen).size).toBeGreaterThan(5)
    expect(new Set(pages.map((page) => byeOf(page).retryAfterMs)).size).toBeGreaterThan(300)
  })

  it('is said to those who came in meanwhile as well', async () => {
    const { hub, stage } = crowd(100)
    const drained = drain(hub, 1000)
    const late = stage.open(['a'])
    await vi.advanceTimersByTimeAsync(1000)
    await drained
    expect([hub.size, late.ended]).toEqual([0, ['drain']])
  })

  it('is over at once when nobody listens', async () => {
    await drain(crowd(0).hub, 8000)
  })
})
