import type { GapReason } from '../protocol.ts'
import type { Entry } from './entry.ts'
import type { History } from './history.ts'
import type { Position } from './position.ts'

/** How far one channel of a stream has been told. */
export type ChannelCursor = { readonly channel: string; seq: number }

export type Gap = {
  readonly seq: number
  readonly position: Position
  /** null: on all channels. */
  readonly channels: string[] | null
  readonly reason: GapReason
}

export type ReplayItem = { readonly entry: Entry } | { readonly gap: Gap }

/**
 * Tells what was missed on several channels as one sequence, in order, with gaps where something is missing.
 * It keeps no copy: it reads the log as it goes, and what the log loses meanwhile becomes a gap.
 */
export class Replay {
  readonly #history: History
  readonly #cursors: ChannelCursor[] = []
  readonly #firstFloors = new Set<number>()
  /** Holes have been told up to here. */
  #holeSeq: number
  #isAtHead = false

  constructor(history: History, cursors: readonly ChannelCursor[], holeSeq: number) {
    this.#history = history
    this.#holeSeq = holeSeq
    for (const cursor of cursors) this.join(cursor)
  }

  /** True when the last `take` found nothing further. */
  get isAtHead(): boolean {
    return this.#isAtHead
  }

  /** One more channel, told from its own place on. */
  join(cursor: ChannelCursor): void {
    this.#cursors.push(cursor)
    this.#firstFloors.add(this.#history.floor(cursor.channel)?.seq ?? 0)
  }

  /** Nothing more of the channel. */
  leave(channel: string): void {
    const index = this.#cursors.findIndex((cursor) => cursor.channel === channel)
    if (index !== -1) this.#cursors.splice(index, 1)
  }

  /** The next items, at most `limit` of them and hardly more than `maxBytes`. */
  take(limit: number, maxBytes = Number.POSITIVE_INFINITY): ReplayItem[] {
    const items: ReplayItem[] = []
    const heads = this.#cursors.map((cursor) => this.#candidate(cursor))
    let bytes = 0
    this.#isAtHead = false
    while (items.length < limit && bytes < maxBytes) {
      const first = indexOfFirst(heads)
      const hole = this.#history.nextHole(this.#holeSeq)
      const candidate = heads[first]
      if (hole !== undefined && (candidate === undefined || hole.seq < candidate.seq)) {
        this.#holeSeq = hole.seq
        this.#toldUpTo(hole.seq)
        items.push({ gap: { ...hole, channels: null } })
        continue
      }
      if (candidate === undefined) {
        this.#isAtHead = true
        break
      }
      bytes += candidate.entry?.sizeBytes ?? 0
      items.push(candidate.entry === null ? { gap: this.#floorGap(candidate.seq) } : { entry: candidate.entry })
      this.#toldUpTo(candidate.seq)
      this.#cursors.forEach((cursor, index) => {
        if (heads[index]?.seq === candidate.seq) heads[index] = this.#candidate(cursor)
      })
    }
    return items
  }

  // On all channels: those that have nothing up to there would otherwise take for a gap what others lose there later.
  #toldUpTo(seq: number): void {
    for (const cursor of this.#cursors) cursor.seq = Math.max(cursor.seq, seq)
  }

  // What a channel has next: the edge of what was dropped, if that is ahead of the cursor, else an entry.
  #candidate({ channel, seq }: ChannelCursor): Candidate | undefined {
    const floor = this.#history.floor(channel)
    if (floor !== null && floor.seq > seq) return { seq: floor.seq, entry: null }
    const entry = this.#history.next(channel, seq)
    return entry === undefined ? undefined : { seq: entry.seq, entry }
  }

  #floorGap(seq: number): Gap {
    const edges = this.#cursors.flatMap(({ channel, seq: told }) => {
      const floor = this.#history.floor(channel)
      return floor !== null && floor.seq === seq && told < seq ? [{ channel, position: floor.position }] : []
    })
    const position = (edges[0] as { position: Position }).position
    // What was dropped after this replay began, the reader was too slow for.
    const reason = this.#firstFloors.has(seq) ? 'expired' : 'overflow'
    return { seq, position, channels: edges.map((edge) => edge.channel), reason }
  }
}

type Candidate = { readonly seq: number; readonly entry: Entry | null }

function indexOfFirst(heads: readonly (Candidate | undefined)[]): number {
  let first = -1
  let lowest = Number.POSITIVE_INFINITY
  heads.forEach((head, index) => {
    if (head === undefined || head.seq >= lowest) return
    first = index
    lowest = head.seq
  })
  return first
}
