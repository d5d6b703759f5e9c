import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { OUTBOX_TIMING, Outbox, retryDelayMs, type WebhookOutcome } from '../../src/webhooks/outbox.ts'
import { Log } from '../support/log.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** An address whose answers a test gives. */
class Address {
  readonly log = new Log()
  readonly outcomes: Partial<Record<WebhookOutcome, number>> = {}
  /** What every attempt brought, with the time since the first one. */
  readonly attempts: { events: readonly string[]; atMs: number }[] = []
  /** Why attempts fail; null: they do not. */
  trouble: string | null = null
  isHeld = false
  answer: () => void = () => {}
  inFlight = 0
  mostInFlight = 0
  readonly outbox = new Outbox({
    address: 'https://app.example/webhooks',
    logger: this.log.logger,
    onOutcome: (outcome, events) => {
      this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + events
    },
    prepare: (events) => () => this.#attempt(events),
  })

  put(from: number, to = from): void {
    for (let number = from; number <= to; number += 1) this.outbox.put(String(number))
  }

  /** Numbers of the events of each attempt. */
  get batches(): string[] {
    return this.attempts.map(({ events }) => (events.length < 5 ? events.join(' ') : `${events[0]}…${events.at(-1)}`))
  }

  /** Time between attempts. */
  get waitsMs(): number[] {
    return this.attempts.slice(1).map(({ atMs }, index) => atMs - (this.attempts[index]?.atMs ?? 0))
  }

  async #attempt(events: readonly string[]): Promise<string | null> {
    this.attempts.push({ events, atMs: performance.now() })
    this.inFlight += 1
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    if (this.isHeld) await new Promise<void>((resolve) => (this.answer = resolve))
    this.inFlight -= 1
    return this.trouble
  }
}

let address: Address
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  address = new Address()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

describe('a batch', () => {
  it('waits 250 ms for company', async () => {
    address.put(1)
    await pass(249)
    address.put(2)
    expect(address.batches).toEqual([])
    await pass(1)
    expect(address.batches).toEqual(['1 2'])
    address.put(3)
    await pass(250)
    expect(address.batches).toEqual(['1 2', '3'])
    expect(address.outcomes).toEqual({ delivered: 3 })
  })

  it('has an event once that need not be told twice, and the next batch has it again', async () => {
    for (let page = 0; page < 20_000; page += 1) address.outbox.put('missed', { once: true })
    address.put(1)
    await pass(250)
    address.outbox.put('missed', { once: true })
    await pass(250)
    expect(address.batches).toEqual(['missed 1', 'missed'])
    expect(address.outcomes).toEqual({ delivered: 3 })
  })

  it('holds 100 events at most, and does not wait when it is full', async () => {
    address.put(1, 250)
    await pass(250)
    expect(address.batches).toEqual(['1…100', '101…200'])
    await pass(250)
    expect(address.batches).toEqual(['1…100', '101…200', '201…250'])
    expect(address.outcomes).toEqual({ delivered: 250 })
  })

  it('holds 256 KiB at most, or one event that is longer', async () => {
    const sizes = [100, 100, 100, 300, 100].map((kib) => 'ä'.repeat(kib * 512))
    for (const event of sizes) address.outbox.put(event)
    await pass(2 * SECOND)
    expect(address.attempts.map(({ events }) => events.length)).toEqual([2, 1, 1, 1])
  })

  it('is on its way alone, and in order', async () => {
    address.isHeld = true
    address.put(1)
    await pass(250)
    address.put(2, 3)
    await pass(MINUTE)
    expect(address.batches).toEqual(['1'])
    address.answer()
    await pass(250)
    address.put(4)
    address.answer()
    await pass(250)
    address.answer()
    expect(address.batches).toEqual(['1', '2 3', '4'])
    expect(address.mostInFlight).toBe(1)
  })
})

describe('a batch that does not arrive', () => {
  it('is tried again after 1 s to 60 s, later each time, the same bytes, while the next ones wait', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    address.trouble = 'it answered 503'
    address.put(1)
    await pass(250)
    address.put(2)
    await pass(62 * SECOND)
    expect(address.waitsMs).toEqual([1, 2, 4, 8, 16, 30].map((s) => s * SECOND))
    expect(new Set(address.batches)).toEqual(new Set(['1']))
    address.trouble = null
    await pass(30 * SECOND + 250)
    expect(address.batches.slice(-2)).toEqual(['1', '2'])
    expect(address.outcomes).toEqual({ delivered: 2 })
  })

  it('waits for a random part of the time', () => {
    const delays = (failures: number) =>
      [0, 0.5, 0.999].map((random) => {
        vi.spyOn(Math, 'random').mockReturnValue(random)
        return Math.round(retryDelayMs(failures, OUTBOX_TIMING))
      })
    expect(delays(1)).toEqual([1000, 1500, 1999])
    expect(delays(3)).toEqual([4000, 6000, 7996])
    expect(delays(50)).toEqual([30_000, 45_000, 59_970])
  })

  it('is given up after 5 minutes, and the next one is not tried any faster', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    address.trouble = 'ECONNREFUSED'
    address.put(1, 3)
    await pass(250)
    address.put(4)
    await pass(5 * MINUTE)
    expect(address.attempts.at(-1)?.atMs).toBeLessThanOrEqual((address.attempts[0]?.atMs ?? 0) + 5 * MINUTE)
    expect(new Set(address.batches)).toEqual(new Set(['1 2 3']))
    expect(address.outcomes).toEqual({ given_up: 3 })
    expect(address.log.lines).toMatchObject([
      { level: 'warn', address: 'https://app.example/webhooks' },
      { level: 'warn', events: 3, waiting: 1, msg: 'webhooks were given up; the next ones are tried' },
    ])
    await pass(MINUTE + 250)
    expect(address.batches.at(-1)).toBe('4')
    expect(address.waitsMs.at(-1)).toBeGreaterThanOrEqual(MINUTE)
    await pass(MINUTE)
    expect(address.waitsMs.at(-1)).toBeCloseTo(MINUTE, -1)
  })

  it('is one line in the log when it begins and one when it is over, without what was to be told', async () => {
    address.trouble = 'no answer within 10000 ms'
    address.outbox.put('"payload"')
    await pass(20 * SECOND)
    address.trouble = null
    await pass(MINUTE)
    address.put(2)
    await pass(SECOND)
    expect(address.log.lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
      'warn webhooks do not arrive: no answer within 10000 ms; trying again',
      'info webhooks arrive again',
    ])
    expect(JSON.stringify(address.log.lines)).not.toContain('payload')
  })
})

describe('what waits', () => {
  it('is 10,000 events at most: the oldest are dropped, counted, and said once a minute', async () => {
    address.isHeld = true
    address.put(0)
    await pass(250)
    address.put(1, 10_050)
    expect(address.outcomes).toEqual({ overflow: 50 })
    await pass(59 * SECOND)
    address.put(10_051)
    expect(address.log.at('warn')).toHaveLength(1)
    await pass(SECOND)
    address.put(10_052)
    expect(address.log.lines).toMatchObject([
      { level: 'warn', events: 1, msg: 'too many webhooks wait; the oldest were dropped' },
      { level: 'warn', events: 51 },
    ])
    address.isHeld = false
    address.answer()
    await pass(SECOND)
    expect(address.batches.slice(0, 2)).toEqual(['0', '53…152'])
    expect(address.batches.at(-1)).toBe('9953…10052')
    expect(address.outcomes).toEqual({ overflow: 52, delivered: 10_001 })
  })

  it('is 16 MiB at most', async () => {
    const event = `"${'x'.repeat(1024 * 1024 - 2)}"`
    for (let count = 0; count < 20; count += 1) address.outbox.put(event)
    expect(address.outcomes).toEqual({ overflow: 4 })
    await pass(MINUTE)
    expect(address.outcomes).toEqual({ overflow: 4, delivered: 16 })
    address.outbox.put('x'.repeat(20 * 1024 * 1024))
    await pass(SECOND)
    expect(address.outcomes).toEqual({ overflow: 4, delivered: 17 })
  })
})

describe('at the end', () => {
  it('everything is sent at once that waits for company', async () => {
    address.put(1, 250)
    expect(await address.outbox.stop()).toBe(0)
    expect(address.batches).toEqual(['1…100', '101…200', '201…250'])
    expect(address.outcomes).toEqual({ delivered: 250 })
  })

  it('what waits to be tried again is tried once more', async () => {
    address.trouble = 'it answered 500'
    address.put(1)
    await pass(250)
    address.put(2)
    address.trouble = null
    expect(await address.outbox.stop()).toBe(0)
    expect(address.batches).toEqual(['1', '1', '2'])
  })

  it('what does not arrive even then is counted', async () => {
    address.trouble = 'it answered 500'
    address.put(1, 250)
    expect(await address.outbox.stop()).toBe(250)
    expect(address.batches).toEqual(['1…100'])
    expect(address.outcomes).toEqual({ stopped: 250 })
  })

  it('nothing more is taken', async () => {
    expect(await address.outbox.stop()).toBe(0)
    address.put(1)
    await pass(SECOND)
    expect(address.batches).toEqual([])
    expect(await address.outbox.stop()).toBe(0)
  })
})
