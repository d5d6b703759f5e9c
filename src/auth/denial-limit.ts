import { addressGroup } from './address.ts'

/** Has this address been refused so often that Laravel need not be asked again? */

const WINDOW_MS = 60_000
// Addresses beyond this forget the oldest: memory stays bounded, and each new one costs its sender a real denial.
const MAX_GROUPS = 10_000

export type DenialLimitOptions = {
  readonly maxPerMinute: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Counts denials per address (IPv6 by /64) in windows of a minute that all addresses share. */
export class DenialLimit {
  readonly #maxPerMinute: number
  readonly #now: () => number
  readonly #counts = new Map<string, number>()
  #windowEndsAt = 0

  constructor({ maxPerMinute, now }: DenialLimitOptions) {
    this.#maxPerMinute = maxPerMinute
    this.#now = now
  }

  count(address: string): void {
    this.#roll()
    const group = addressGroup(address)
    const count = this.#counts.get(group)
    if (count === undefined && this.#counts.size >= MAX_GROUPS) {
      const oldest = this.#counts.keys().next()
      if (!oldest.done) this.#counts.delete(oldest.value)
    }
    this.#counts.set(group, (count ?? 0) + 1)
  }

  /** How long this address has to wait; 0 when it may ask. */
  waitMs(address: string): number {
    this.#roll()
    const count = this.#counts.get(addressGroup(address)) ?? 0
    return count < this.#maxPerMinute ? 0 : this.#windowEndsAt - this.#now()
  }

  #roll(): void {
    const now = this.#now()
    if (now < this.#windowEndsAt && this.#windowEndsAt - now <= WINDOW_MS) return
    this.#counts.clear()
    this.#windowEndsAt = now + WINDOW_MS
  }
}
