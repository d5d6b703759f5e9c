import type { CachedEvent } from './last-events.ts'

const MAX_CHANNELS_A_BATCH = 64
const MAX_BYTES_A_BATCH = 1024 * 1024
/** Beyond it, what has waited longest is given up. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** What was heard and is not known to be written: the last event of each channel, in batches. */
export class Unwritten {
  readonly #waiting = new Map<string, CachedEvent>()
  #batch: ReadonlyMap<string, CachedEvent> = new Map()
  #waitingBytes = 0

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** The newest of a channel. */
  get(channel: string): CachedEvent | undefined {
    return this.#waiting.get(channel) ?? this.#batch.get(channel)
  }

  add(channel: string, event: CachedEvent): void {
    this.#remove(channel)
    this.#waiting.set(channel, event)
    this.#waitingBytes += event.payload.length
    for (const longest of this.#waiting.keys()) {
      if (this.#waitingBytes <= MAX_WAITING_BYTES) return
      this.#remove(longest)
    }
  }

  /** Everything is written, or given up. */
  drop(): void {
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.#batch = new Map()
  }

  /** What is to be written next; the batch before it is done with. */
  takeBatch(): ReadonlyMap<string, CachedEvent> {
    const batch = new Map<string, CachedEvent>()
    let bytes = 0
    for (const [channel, event] of this.#waiting) {
      bytes += event.payload.length
      if (batch.size === MAX_CHANNELS_A_BATCH || (batch.size > 0 && bytes > MAX_BYTES_A_BATCH)) break
      batch.set(channel, event)
    }
    for (const channel of batch.keys()) this.#remove(channel)
    this.#batch = batch
    return batch
  }

  #remove(channel: string): void {
    this.#waitingBytes -= this.#waiting.get(channel)?.payload.length ?? 0
    this.#waiting.delete(channel)
  }
}
