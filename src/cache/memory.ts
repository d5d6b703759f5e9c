import type { Position } from '../history/position.ts'
import { type CachedEvent, isNewer, type LastEvent, type LastEvents } from './last-events.ts'

export type MemoryLastEventsOptions = {
  /** 0 keeps none. */
  readonly ttlS: number
  readonly now?: () => number
}

type Kept = CachedEvent & { readonly untilMs: number }

/** Beyond it the one that was heard longest ago is given up. */
const MAX_BYTES = 128 * 1024 * 1024

/** Of a gateway that is alone. */
export class MemoryLastEvents implements LastEvents {
  readonly #ttlMs: number
  readonly #now: () => number
  /** The one that was heard longest ago comes first, and is the first to be too old. */
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  constructor({ ttlS, now = () => performance.now() }: MemoryLastEventsOptions) {
    this.#ttlMs = ttlS * 1000
    this.#now = now
  }

  /** Channels whose last event is kept. */
  get size(): number {
    return this.#kept.size
  }

  heard(channel: string, payload: Buffer, position: Position): void {
    this.#forgetOld()
    const kept = this.#kept.get(channel)
    if (this.#ttlMs === 0 || (kept !== undefined && isNewer(kept.position, position))) return
    this.#bytes += payload.length - (kept?.payload.length ?? 0)
    this.#kept.delete(channel)
    this.#kept.set(channel, { payload, position, untilMs: this.#now() + this.#ttlMs })
    for (const [longest, event] of this.#kept) {
      if (this.#bytes <= MAX_BYTES) return
      this.#bytes -= event.payload.length
      this.#kept.delete(longest)
    }
  }

  async read(channel: string): Promise<LastEvent | null> {
    this.#forgetOld()
    const kept = this.#kept.get(channel)
    if (kept === undefined) return null
    const { payload, position, untilMs } = kept
    return { payload, position, ttlS: Math.ceil((untilMs - this.#now()) / 1000) }
  }

  async stop(): Promise<void> {}

  #forgetOld(): void {
    const now = this.#now()
    for (const [channel, { untilMs, payload }] of this.#kept) {
      if (untilMs > now) return
      this.#bytes -= payload.length
      this.#kept.delete(channel)
    }
  }
}
