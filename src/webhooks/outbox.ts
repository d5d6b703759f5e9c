import type { Logger } from 'pino'

/** What became of an event on its way to one address. */
export const WEBHOOK_OUTCOMES = ['delivered', 'given_up', 'overflow', 'stopped'] as const
export type WebhookOutcome = (typeof WEBHOOK_OUTCOMES)[number]

export type OutboxTiming = {
  /** How long a batch waits for company before it is sent. */
  readonly companyMs: number
  /** Between half of this and all of it passes before the second attempt; twice as much before each further one. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** How long a batch is tried again. */
  readonly giveUpMs: number
}

export const OUTBOX_TIMING: OutboxTiming = { companyMs: 250, retryMs: 2000, maxRetryMs: 60_000, giveUpMs: 300_000 }

export type OutboxOptions = {
  /** How the log calls the address. */
  readonly address: string
  readonly logger: Logger
  /** Sends some events, the same bytes each time; answers why they have not arrived, or null. Never rejects. */
  readonly prepare: (events: readonly string[]) => () => Promise<string | null>
  readonly onOutcome: (outcome: WebhookOutcome, events: number) => void
  readonly timing?: OutboxTiming
}

const MAX_BATCH_EVENTS = 100
const MAX_BATCH_BYTES = 256 * 1024
/** What may wait, besides the batch that is under way. */
const MAX_EVENTS = 10_000
const MAX_BYTES = 16 * 1024 * 1024
const COMPLAINT_MS = 60_000

/** What waits for one address. One batch after the other is sent, each until it arrives or is given up. */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #timing: OutboxTiming
  #events: string[] = []
  #bytes = 0
  /** Of the events that wait, those that need not be told twice. */
  readonly #waiting = new Set<string>()
  #sending: Promise<void> | null = null
  /** Attempts since the last one that succeeded. */
  #failures = 0
  #isStopping = false
  #wake = () => {}
  #lost = 0
  #overflow = 0
  #complainedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#timing = options.timing ?? OUTBOX_TIMING
  }

  /** Takes an event as JSON; `once`: unless it waits already. */
  put(event: string, { once = false } = {}): void {
    if (this.#isStopping || (once && this.#waiting.has(event))) return
    if (once) this.#waiting.add(event)
    this.#events.push(event)
    this.#bytes += Buffer.byteLength(event)
    while (this.#events.length > MAX_EVENTS || (this.#bytes > MAX_BYTES && this.#events.length > 1)) this.#dropOldest()
    this.#sending ??= this.#sendAll()
  }

  /** Sends what waits, until one attempt fails. Resolves with how many events have not arrived. */
  async stop(): Promise<number> {
    this.#isStopping = true
    this.#wake()
    await this.#sending
    const lost = this.#lost + this.#events.length
    this.#lost = 0
    this.#events = []
    if (lost > 0) this.#options.onOutcome('stopped', lost)
    return lost
  }

  async #sendAll(): Promise<void> {
    let goesOn = true
    while (goesOn && this.#events.length > 0) {
      if (this.#events.length < MAX_BATCH_EVENTS) await this.#pause(this.#timing.companyMs)
      goesOn = await this.#deliver(this.#takeBatch())
    }
    this.#sending = null
  }

  /** False when no further attempt is to be made. */
  async #deliver(batch: readonly string[]): Promise<boolean> {
    const attempt = this.#options.prepare(batch)
    const startedAtMs = performance.now()
    for (;;) {
      const why = await attempt()
      if (why === null) {
        this.#arrived(batch.length)
        return true
      }
      this.#failed(why)
      if (this.#isStopping) {
        this.#lost = batch.length
        return false
      }
      const waitMs = retryDelayMs(this.#failures, this.#timing)
      const isLast = performance.now() - startedAtMs + waitMs > this.#timing.giveUpMs
      if (isLast) this.#giveUp(batch.length)
      // Also before the next batch: whoever is down is not asked more often because others wait.
      await this.#pause(waitMs)
      if (isLast) return true
    }
  }

  #takeBatch(): string[] {
    let bytes = 0
    const end = this.#events.findIndex((event, index) => {
      bytes += Buffer.byteLength(event) + 1
      return index === MAX_BATCH_EVENTS || (index > 0 && bytes > MAX_BATCH_BYTES)
    })
    const batch = this.#events.splice(0, end < 0 ? this.#events.length : end)
    for (const event of batch) {
      this.#bytes -= Buffer.byteLength(event)
      this.#waiting.delete(event)
    }
    return batch
  }

  #arrived(events: number): void {
    const { address, logger, onOutcome } = this.#options
    if (this.#failures > 0) logger.info({ address, attempts: this.#failures + 1 }, 'webhooks arrive again')
    this.#failures = 0
    onOutcome('delivered', events)
  }

  #failed(why: string): void {
    const { address, logger } = this.#options
    this.#failures += 1
    if (this.#failures === 1) logger.warn({ address }, `webhooks do not arrive: ${why}; trying again`)
  }

  #giveUp(events: number): void {
    const { address, logger, onOutcome } = this.#options
    logger.warn({ address, events, waiting: this.#events.length }, 'webhooks were given up; the next ones are tried')
    onOutcome('given_up', events)
  }

  #dropOldest(): void {
    const { address, logger, onOutcome } = this.#options
    const oldest = this.#events.shift() ?? ''
    this.#bytes -= Buffer.byteLength(oldest)
    this.#waiting.delete(oldest)
    this.#overflow += 1
    onOutcome('overflow', 1)
    if (performance.now() - this.#complainedAtMs < COMPLAINT_MS) return
    logger.warn({ address, events: this.#overflow }, 'too many webhooks wait; the oldest were dropped')
    this.#complainedAtMs = performance.now()
    this.#overflow = 0
  }

  // Not while stopping: what waits is to go out at once.
  async #pause(ms: number): Promise<void> {
    if (this.#isStopping) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** How long to wait after so many failures: half of it at random, so that gateways that failed together come apart. */
export function retryDelayMs(failures: number, { retryMs, maxRetryMs }: OutboxTiming): number {
  const longestMs = Math.min(maxRetryMs, retryMs * 2 ** (failures - 1))
  return longestMs * (0.5 + Math.random() / 2)
}
