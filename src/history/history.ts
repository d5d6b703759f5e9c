import type { GapReason } from '../protocol.ts'
import { Entry } from './entry.ts'
import { comparePositions, type Position } from './position.ts'
import { type Floor, firstIndex, Ring } from './ring.ts'

export type HistoryOptions = {
  /** Newest messages kept per channel. Default 1,000. */
  maxMessages: number
  /** Bytes kept per channel. */
  maxChannelBytes: number
  /** Bytes kept in all. Default 128 MiB. */
  maxBytes: number
  /** How long a message is kept, ms. Default 10 minutes. */
  maxAgeMs: number
  now?: () => number
  /** Counted: messages that looked like Laravel's and are not. */
  onMalformed?: () => void
}

/** Messages between the one before `seq` and `position` may be missing. */
export type Hole = { readonly seq: number; readonly position: Position; readonly reason: GapReason }

/** Where a stream starts in this log. */
export type Start =
  /** Everything with a greater seq is still to be told. */
  | { readonly kind: 'at'; readonly seq: number }
  /** The cursor is ahead of what this node has heard; wait until the head is there. */
  | { readonly kind: 'ahead' }
  /** The cursor is of an order this node never heard: tell the gap and go on from the head. */
  | { readonly kind: 'foreign' }

export type HistoryHead = { readonly seq: number; readonly position: Position }

// A cursor older than the oldest of so many holes is told of the newer ones; one gap is enough.
const MAX_HOLES = 64
// Markers come about every two seconds; no other node can have heard five minutes more than this one.
// Without markers (one process) nobody can be ahead at all.
const MAX_MARKERS_AHEAD = 150
const DROPPED_BYTES = 1024 * 1024
const NOWHERE: Position = { epoch: 0, marker: 0, count: 0 }

/**
 * The log: what was heard on every channel, in order, bounded, whether or not anybody listens.
 * What was dropped leaves a floor behind, so that a resume knows whether it is complete.
 */
export class History {
  readonly #options: HistoryOptions
  readonly #now: () => number
  readonly #rings = new Map<string, Ring>()
  /** Every entry in order of arrival, with some that their ring has dropped already. */
  #log: Entry[] = []
  #logStart = 0
  /** Bytes of dropped entries that `#log` still holds. */
  #droppedBytes = 0
  #holes: Hole[] = []
  #sharedFloor: Floor | null = null
  #head: HistoryHead | null = null
  #sizeBytes = 0
  #length = 0

  constructor(options: HistoryOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** The newest thing heard; null before the broker's first marker. */
  get head(): HistoryHead | null {
    return this.#head
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get length(): number {
    return this.#length
  }

  /** A marker was heard: nothing to tell, but the head stands further on. */
  advance(position: Position): void {
    this.#head = { seq: this.#head?.seq ?? 0, position }
  }

  /** Something took its place in the order that nobody is told of later: a whisper, a change of presence. */
  pass(): HistoryHead {
    const position = this.#head?.position ?? NOWHERE
    this.#head = { seq: this.#nextSeq(), position }
    return this.#head
  }

  append(channel: string, payload: Buffer, position: Position, hasId: boolean): Entry {
    const seq = this.#nextSeq()
    const ring = this.#ringFor(channel)
    // The ring's own string: another copy of the name would stay with every entry.
    const { onMalformed } = this.#options
    const receivedAtMs = this.#now()
    const entry = new Entry({ seq, position, hasId, channel: ring.channel, payload, receivedAtMs, onMalformed })
    this.#head = { seq, position }
    this.#log.push(entry)
    this.#sizeBytes += entry.sizeBytes
    this.#length += 1
    ring.push(entry)
    this.#trim(ring)
    return entry
  }

  /** Messages were missed, or may have been; the order goes on at `position`. */
  addHole(position: Position, reason: GapReason): Hole {
    const hole = { seq: this.#nextSeq(), position, reason }
    this.#holes.push(hole)
    if (this.#holes.length > MAX_HOLES) this.#holes.shift()
    this.#head = { seq: hole.seq, position }
    return hole
  }

  /** Finds the place of a cursor in this log. */
  locate(cursor: Position): Start {
    const isKnownEpoch = this.#holes.some((hole) => hole.position.epoch === cursor.epoch)
    if (this.#head === null || !isKnownEpoch) return { kind: 'foreign' }
    if (comparePositions(cursor, this.#head.position) > 0) {
      const isPossible = cursor.marker > 0 && cursor.marker <= this.#head.position.marker + MAX_MARKERS_AHEAD
      return { kind: isPossible ? 'ahead' : 'foreign' }
    }
    return { kind: 'at', seq: this.#seqUpTo(cursor) }
  }

  /** The same for one channel: `seq` came from `locate`, which no longer sees what was dropped. */
  startOf(channel: string, cursor: Position, seq: number): number {
    const floor = this.floor(channel)
    return floor !== null && comparePositions(floor.position, cursor) <= 0 ? Math.max(seq, floor.seq) : seq
  }

  /** The first entry of the channel after `seq` that is still here. */
  next(channel: string, seq: number): Entry | undefined {
    return this.#rings.get(channel)?.after(seq)
  }

  /** The first hole after `seq`. */
  nextHole(seq: number): Hole | undefined {
    return this.#holes[firstIndex(this.#holes, 0, (hole) => hole.seq > seq)]
  }

  /** What was dropped last from a channel; whoever stands before it has missed something. */
  floor(channel: string): Floor | null {
    const ring = this.#rings.get(channel)
    return ring === undefined ? this.#sharedFloor : ring.floor
  }

  /** Lets go of what has grown too old. */
  sweep(): void {
    const oldest = this.#now() - this.#options.maxAgeMs
    for (let entry = this.#oldest(); entry !== undefined && entry.receivedAtMs < oldest; entry = this.#oldest()) {
      this.#dropOldestOf(entry.channel)
    }
  }

  /** Forgets everything; what comes next belongs to another order. */
  clear(): void {
    this.#rings.clear()
    this.#log = []
    this.#logStart = 0
    this.#droppedBytes = 0
    this.#holes = []
    this.#sharedFloor = null
    this.#sizeBytes = 0
    this.#length = 0
  }

  #nextSeq(): number {
    return (this.#head?.seq ?? 0) + 1
  }

  // The newest seq whose position is not after the cursor, as far as the log still reaches back.
  #seqUpTo(cursor: Position): number {
    const isAfter = (item: { position: Position }) => comparePositions(item.position, cursor) > 0
    const index = firstIndex(this.#log, this.#logStart, isAfter)
    const entry = index > this.#logStart ? this.#log[index - 1] : undefined
    const hole = this.#holes[firstIndex(this.#holes, 0, isAfter) - 1]
    return Math.max(entry?.seq ?? 0, hole?.seq ?? 0)
  }

  #ringFor(channel: string): Ring {
    let ring = this.#rings.get(channel)
    if (ring === undefined) {
      ring = new Ring(channel, this.#sharedFloor)
      this.#rings.set(channel, ring)
    }
    return ring
  }

  #trim(ring: Ring): void {
    const { maxMessages, maxChannelBytes, maxBytes } = this.#options
    while (ring.length > maxMessages || ring.sizeBytes > maxChannelBytes) this.#dropOldestOf(ring.channel)
    while (this.#sizeBytes > maxBytes) {
      const oldest = this.#oldest()
      if (oldest === undefined) break
      this.#dropOldestOf(oldest.channel)
    }
  }

  #oldest(): Entry | undefined {
    while (this.#log[this.#logStart]?.dropped) this.#logStart += 1
    return this.#log[this.#logStart]
  }

  // Entries dropped in the middle (a busy channel beside a quiet one) must not stay until the quiet one ages: neither
  // too many nor too large. Half of the list or more goes each time, so a drop costs nothing much on average.
  #compact(): void {
    const hasFew = this.#log.length <= 2 * this.#length + 1024
    if (hasFew && this.#droppedBytes <= this.#sizeBytes + DROPPED_BYTES) return
    this.#log = this.#log.filter((entry) => !entry.dropped)
    this.#logStart = 0
    this.#droppedBytes = 0
  }

  #dropOldestOf(channel: string): void {
    const ring = this.#rings.get(channel)
    const entry = ring?.shift()
    if (ring === undefined || entry === undefined) return
    this.#sizeBytes -= entry.sizeBytes
    this.#droppedBytes += entry.sizeBytes
    this.#length -= 1
    this.#compact()
    // A channel that has fallen silent is forgotten altogether, or names that occur once would stay for ever.
    if (ring.length === 0) {
      this.#rings.delete(channel)
      if (this.#sharedFloor === null || entry.seq > this.#sharedFloor.seq)
        this.#sharedFloor = { seq: entry.seq, position: entry.position }
    }
  }
}
