import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Heartbeat } from '../../src/hub/heartbeat.ts'
import { framesNamed, type Page, Stage } from '../support/stage.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000, toFake: ['setInterval', 'clearInterval', 'Date'] }))
afterEach(() => void vi.useRealTimers())

const pings = ({ outlet }: Page) =>
  framesNamed(outlet.frames, 'ping').map(({ data }) => (data as { time: number }).time - 1_000_000)

function start(...heartbeatsMs: number[]) {
  const stage = new Stage()
  const heartbeat = new Heartbeat()
  heartbeat.start()
  const pages = heartbeatsMs.map((heartbeatMs) => stage.open(['a'], { heartbeatMs }))
  for (const { subscriber } of pages) heartbeat.add(subscriber)
  return { stage, heartbeat, pages: pages as [Page, ...Page[]] }
}

describe('a heartbeat', () => {
  it('comes after so much silence, again and again', () => {
    const { pages, heartbeat } = start(15_000)
    vi.advanceTimersByTime(60_000)
    const times = pings(pages[0])
    expect(times).toHaveLength(4)
    times.forEach((time, index) => {
      const silence = time - (times[index - 1] ?? 0)
      expect(silence).toBeGreaterThanOrEqual(14_500)
      expect(silence).toBeLessThanOrEqual(15_000)
    })
    heartbeat.stop()
  })

  it('is not sent while there is something to say', async () => {
    const { stage, pages, heartbeat } = start(15_000)
    for (let second = 0; second < 60; second += 5) {
      vi.advanceTimersByTime(5000)
      stage.publish('a')
      await stage.flush()
    }
    expect(pings(pages[0])).toEqual([])
    vi.advanceTimersByTime(15_000)
    expect(pings(pages[0])).toHaveLength(1)
    heartbeat.stop()
  })

  it('has a rhythm of its own for each page', () => {
    const { pages, heartbeat } = start(2000, 15_000, 55_000)
    vi.advanceTimersByTime(60_000)
    const counts = pages.map((page) => pings(page).length)
    expect(counts[0]).toBeGreaterThanOrEqual(29)
    expect(counts.slice(1)).toEqual([4, 1])
    heartbeat.stop()
  })

  it('carries the newest place once', () => {
    const { stage, pages, heartbeat } = start(2000)
    const id = stage.marker()
    vi.advanceTimersByTime(6000)
    expect(framesNamed(pages[0].outlet.frames, 'ping').map((ping) => ping.id)).toEqual([id, undefined, undefined])
    heartbeat.stop()
  })

  it('comes at once, and once, after the process has slept', () => {
    const { pages, heartbeat } = start(15_000)
    vi.setSystemTime(1_000_000 + 3_600_000)
    vi.advanceTimersByTime(500)
    expect(pings(pages[0])).toHaveLength(1)
    vi.advanceTimersByTime(30_000)
    expect(pings(pages[0])).toHaveLength(3)
    heartbeat.stop()
  })

  it('does not come to somebody who has left, nor after the end', () => {
    const { pages, heartbeat } = start(2000, 2000)
    const [gone, stays] = pages as [Page, Page]
    heartbeat.remove(gone.subscriber)
    gone.subscriber.close('client')
    vi.advanceTimersByTime(2500)
    expect([pings(gone).length, pings(stays).length]).toEqual([0, 1])
    heartbeat.stop()
    heartbeat.stop()
    vi.advanceTimersByTime(60_000)
    expect(pings(stays)).toHaveLength(1)
  })

  it('keeps nothing of thousands who came and went', () => {
    const { stage, heartbeat } = start(15_000)
    for (let count = 0; count < 3000; count += 1) {
      const { subscriber } = stage.open(['a'])
      heartbeat.add(subscriber)
      heartbeat.remove(subscriber)
      subscriber.close('client')
    }
    vi.advanceTimersByTime(60_000)
    expect(stage.hub.size).toBe(1)
    heartbeat.stop()
  })
})
