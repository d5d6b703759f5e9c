import type { Entry } from '../history/entry.ts'
import type { Position } from '../history/position.ts'
import type { Frame } from '../sse/frame.ts'
import { Batch } from '../sse/outlet.ts'
import { Passing } from './passing.ts'
import type { Subscriber } from './subscriber.ts'

/** What goes through a feed. */
export type FeedItem = Entry | Passing

/** One channel: who listens, and what has come in that not everybody has been handed yet. */
export class Feed {
  readonly subscribers = new Set<Subscriber>()
  #recent: FeedItem[] = []
  #round: IterableIterator<Subscriber> | null = null
  #roundSeq = 0
  #made: FeedBatch | null = null
  /** The newest entry that has come in. */
  lastSeq = 0

  /** The oldest entry that not everybody has been handed. */
  get firstSeq(): number {
    return this.#recent[0]?.seq ?? Number.POSITIVE_INFINITY
  }

  push(item: FeedItem): void {
    this.#recent.push(item)
    this.lastSeq = item.seq
  }

  /** What came after `seq`. */
  since(seq: number): readonly FeedItem[] {
    const from = this.#indexAfter(seq)
    return from === 0 ? this.#recent : this.#recent.slice(from)
  }

  /** The same as one batch, made once for all who stand at the same place. */
  batchSince(seq: number): FeedBatch {
    const from = this.#indexAfter(seq)
    const to = this.#recent.length
    if (this.#made === null || this.#made.from !== from || this.#made.to !== to) {
      this.#made = new FeedBatch(this.#recent, from)
    }
    return this.#made
  }

  /**
   * The next subscriber of this round; null ends the round: everybody has then been handed what had come in when it
   * began. What came later needs another round.
   */
  next(): Subscriber | null {
    this.#round ??= this.#begin()
    const { done, value } = this.#round.next()
    if (done !== true) return value
    this.#finish()
    return null
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
    this.#made = null
    this.#recent = this.#roundSeq === this.lastSeq ? [] : this.#recent.slice(this.#indexAfter(this.#roundSeq))
  }

  #indexAfter(seq: number): number {
    const { length } = this.#recent
    let index = 0
    while (index < length && (this.#recent[index] as FeedItem).seq <= seq) index += 1
    return index
  }
}

/** What everybody who stands at the same place gets: a channel's recent entries from `from` up to `to`. */
class FeedBatch {
  readonly from: number
  readonly to: number
  /** null when nothing in it is Laravel's. */
  readonly batch: Batch | null
  /** The newest id in it; null when nothing in it has one. */
  readonly position: Position | null
  /** False when something in it was heard while its place was not known. */
  readonly #hasIds: boolean
  /** Who shall not get all of it: the senders of `toOthers()`. */
  readonly #senders: ReadonlySet<string> | null

  constructor(items: readonly FeedItem[], from: number) {
    const frames: Frame[] = []
    let hasIds = true
    let position: Position | null = null
    let senders: Set<string> | null = null
    for (let index = from; index < items.length; index += 1) {
      const item = items[index] as FeedItem
      const { frame, hasId, socket } = item
      if (frame !== null) frames.push(frame)
      if (hasId) position = item.position
      else if (!(item instanceof Passing)) hasIds = false
      if (socket !== null) {
        senders ??= new Set()
        senders.add(socket)
      }
    }
    this.from = from
    this.to = items.length
    this.batch = frames.length === 0 ? null : new Batch(frames)
    this.position = position
    this.#hasIds = hasIds
    this.#senders = senders
  }

  /** True when this subscriber may get it as it is. */
  suits(subscriber: Subscriber): boolean {
    const isSender = this.#senders?.has(subscriber.socketId) === true
    return this.#hasIds && subscriber.isPlain && !isSender
  }
}
