import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

const HEARTBEAT_MS = 10_000
const SILENT_MS = 2 * HEARTBEAT_MS
/** It looks every so often. */
const PULSE_MS = 5000

async function start() {
  const gateway = new FakeGateway(
    (request) => request.kind === 'stream' && request.welcome({ heartbeatMs: HEARTBEAT_MS }),
  )
  const page = new EnginePage()
  page.engine.join('orders')
  await pass()
  page.news()
  return { gateway, page }
}

/** The clock goes on and no timer runs: the lid is closed, or the page is frozen. */
const sleep = (ms: number) => vi.setSystemTime(Date.now() + ms)

describe('a stream that has gone silent', () => {
  it.each([0, 1, 2500, 4999])(
    'is given up within two heartbeats and five seconds, and the next goes on where it was: %i ms after a look',
    async (sinceLookMs) => {
      const { gateway, page } = await start()
      await pass(sinceLookMs)
      const dead = gateway.last().ping('1.3.0')
      await pass(SILENT_MS - 1)
      expect(page.news()).toEqual([])
      await pass(1 + PULSE_MS)
      expect(dead.isOpen).toBe(false)
      await pass(1000)
      expect(page.news()).toEqual(['connected → reconnecting', 'reconnecting → connected'])
      expect(gateway.last()).toMatchObject({ cursor: '1.3.0', socketId: '7.1' })
    },
  )

  it('is not given up as long as it says anything', async () => {
    const { gateway, page } = await start()
    await gateway.live(10 * 60_000)
    expect(gateway.requests).toHaveLength(1)
    expect(page.news()).toEqual([])
  })

  it('is told from one that was never told a heartbeat', async () => {
    const gateway = new FakeGateway((request) => request.welcome({ heartbeatMs: Number.NaN }))
    const page = new EnginePage()
    page.engine.join('orders')
    await pass(29_000)
    expect(gateway.requests).toHaveLength(1)
    await pass(7000)
    expect(gateway.requests).toHaveLength(2)
  })

  it('comes to its end while polls are read, too', async () => {
    const gateway = new FakeGateway((request) => request.connect())
    const page = new EnginePage({ transport: 'poll' })
    page.engine.join('orders')
    await pass(50_000)
    expect(gateway.requests.length).toBeGreaterThan(1)
  })
})

describe('a page that has slept', () => {
  it('raises no alarm, reads what came meanwhile first, and looks once', async () => {
    const { gateway, page } = await start()
    const live = gateway.last()
    sleep(10 * 60_000)
    await pass(5000)
    expect(page.state).toBe('connected')
    expect(gateway.requests).toHaveLength(1)
    await pass(1000)
    // Beside the stream that may well be alive.
    expect(gateway.requests).toHaveLength(2)
    expect(live.isOpen).toBe(false)
    expect(page.news()).toEqual([])
    await gateway.live(60_000)
    expect(gateway.requests).toHaveLength(2)
  })

  it('asks for nothing when what came meanwhile was read', async () => {
    const { gateway, page } = await start()
    sleep(10 * 60_000)
    gateway.last().message('orders', 1).message('orders', 2)
    await pass(7000)
    expect(page.news()).toEqual(['message orders 1', 'message orders 2'])
    expect(gateway.requests).toHaveLength(1)
  })

  it('gives the old stream up when that stays silent and nobody answers', async () => {
    const { gateway, page } = await start()
    const live = gateway.last()
    gateway.script = () => {}
    sleep(10 * 60_000)
    await pass(12_000)
    expect(live.isOpen).toBe(false)
    await pass(10_000)
    expect(page.state).toBe('reconnecting')
  })

  it('is one that is hidden and gets a timer a minute: it looks at each', async () => {
    const { gateway, page } = await start()
    gateway.script = (request) => request.welcome({ heartbeatMs: HEARTBEAT_MS })
    for (let minute = 0; minute < 5; minute++) {
      sleep(55_000)
      await pass(5000)
      gateway.last().ping()
      await pass(1000)
    }
    expect(page.news()).toEqual([])
    expect(gateway.requests.length).toBeLessThanOrEqual(6)
  })

  it('leaves no timer behind when it is disconnected before it looks', async () => {
    const { page } = await start()
    sleep(60_000)
    await pass(5500)
    page.engine.disconnect()
    expect(vi.getTimerCount()).toBe(0)
  })
})
