import type { Entry } from '../history/entry.ts'
import type { Position } from '../history/position.ts'
import { Batch } from '../sse/outlet.ts'
import type { Subscriber } from './subscriber.ts'

/** What a batch brings a subscriber to. */
export type FeedBatch = {
  /** null when nothing in it is Laravel's. */
  readonly batch: Batch | null
  readonly position: Position
  /** True when every plain subscriber may get it as it is. */
  readonly isForAll: boolean
}

/** One channel: who listens, and what has come in that not everybody has been handed yet. */
export class Feed {
  readonly subscribers = new Set<Subscriber>()
  #recent: Entry[] = []
  #round: IterableIterator<Subscriber> | null = null
  #roundSeq = 0
  #cached: { from: number; to: number; made: FeedBatch } | null = null

  /** The oldest entry that not everybody has been handed. */
  get firstSeq(): number {
    return this.#recent[0]?.seq ?? Number.POSITIVE_INFINITY
  }

  get lastSeq(): number {
    return this.#recent.at(-1)?.seq ?? 0
  }

  push(entry: Entry): void {
    this.#recent.push(entry)
  }

  /** What came after `seq`. */
  since(seq: number): readonly Entry[] {
    const from = this.#indexAfter(seq)
    return from === 0 ? this.#recent : this.#recent.slice(from)
  }

  /** The same as one batch, made once for all who stand at the same place. */
  batchSince(seq: number): FeedBatch {
    const from = this.#indexAfter(seq)
    const to = this.#recent.length
    if (this.#cached?.from !== from || this.#cached.to !== to) {
      this.#cached = { from, to, made: makeBatch(this.#recent.slice(from)) }
    }
    return this.#cached.made
  }

  /**
   * The next subscribers of this round, at most `limit`. An empty answer ends the round: everybody has then been
   * handed what had come in when it began. What came later needs another round.
   */
  *take(limit: number): Generator<Subscriber> {
    this.#round ??= this.#begin()
    for (let count = 0; count < limit; count += 1) {
      const next = this.#round.next()
      if (next.done === true) {
        this.#finish()
        return
      }
      yield next.value
    }
  }

  /** True when there is nothing left to hand out. */
  get isDone(): boolean {
    return this.#recent.length === 0
  }

  #begin(): IterableIterator<Subscriber> {
    this.#roundSeq = this.lastSeq
    return this.subscribers.values()
  }

  #finish(): void {
    this.#round = null
    this.#cached = null
    this.#recent = this.#recent.slice(this.#indexAfter(this.#roundSeq))
  }

  #indexAfter(seq: number): number {
    const { length } = this.#recent
    let index = 0
    while (index < length && (this.#recent[index] as Entry).seq <= seq) index += 1
    return index
  }
}

function makeBatch(entries: readonly Entry[]): FeedBatch {
  const frames = entries.map((entry) => entry.frame).filter((frame) => frame !== null)
  return {
    batch: frames.length === 0 ? null : new Batch(frames),
    position: (entries.at(-1) as Entry).position,
    isForAll: entries.every((entry) => entry.hasId && entry.socket === null),
  }
}
