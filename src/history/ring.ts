import type { Entry } from './entry.ts'
import type { Position } from './position.ts'

/** Where something was dropped: whoever stands before it has missed a message. */
export type Floor = { readonly seq: number; readonly position: Position }

/** The newest entries of one channel, oldest first. */
export class Ring {
  readonly channel: string
  sizeBytes = 0
  /** The newest entry dropped from this channel. */
  floor: Floor | null
  #entries: (Entry | undefined)[] = []
  #start = 0

  constructor(channel: string, floor: Floor | null) {
    this.channel = channel
    this.floor = floor
  }

  get length(): number {
    return this.#entries.length - this.#start
  }

  push(entry: Entry): void {
    this.#entries.push(entry)
    this.sizeBytes += entry.sizeBytes
  }

  /** Drops the oldest entry and remembers that it did. */
  shift(): Entry | undefined {
    const entry = this.#entries[this.#start]
    if (entry === undefined) return undefined
    this.#entries[this.#start] = undefined
    this.#start += 1
    this.sizeBytes -= entry.sizeBytes
    this.floor = { seq: entry.seq, position: entry.position }
    entry.dropped = true
    // Moving the rest down at every drop would cost the length of the ring; half-empty is soon enough.
    if (this.#start > 32 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start)
      this.#start = 0
    }
    return entry
  }

  /** The first entry after `seq`. */
  after(seq: number): Entry | undefined {
    return this.#entries[firstIndex(this.#entries, this.#start, (entry) => (entry as Entry).seq > seq)]
  }
}

/** The first index from `low` on that passes; passing is monotone. */
export function firstIndex<T>(items: readonly T[], low: number, passes: (item: T) => boolean): number {
  let from = low
  let to = items.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (passes(items[middle] as T)) to = middle
    else from = middle + 1
  }
  return from
}
