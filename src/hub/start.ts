import type { History } from '../history/history.ts'
import { comparePositions, formatPosition, type Position, parseCursor } from '../history/position.ts'
import type { ResumeVerdict } from '../protocol.ts'

/** Where a stream starts, decided when its request arrives. */
export type StreamStart = {
  /** The client's own position when it came back, else the head. */
  readonly position: Position
  /** What this node has heard up to there. */
  readonly seq: number
  /** What this node had heard when the request arrived: where channels that were just joined start. */
  readonly headSeq: number
  /** The cursor is of another order: tell a gap and go on from the head. */
  readonly isForeign: boolean
  /** This node has not heard as much as the client has. */
  readonly isAhead: boolean
  readonly resume: ResumeVerdict
  /** The cursor was got while some channel of the page was undecided, and may not be told since. */
  readonly isPartial: boolean
}

/** Judges the cursor of a request; `null` or empty means a client that comes for the first time. */
export function startStream(history: History, lastEventId: string | null, channels: readonly string[]): StreamStart {
  const { head } = history
  if (head === null) throw new Error('A stream was started before the broker was ready.')
  // Written out each time: V8 gives what a spread makes a shape of its own, 240 bytes that stay with every stream.
  const { position, seq: headSeq } = head
  if (lastEventId === null || lastEventId === '')
    return { position, seq: headSeq, headSeq, isForeign: false, isAhead: false, resume: 'fresh', isPartial: false }
  const cursor = parseCursor(lastEventId)
  const place = cursor === null ? null : history.locate(cursor)
  if (cursor === null || place === null || place.kind === 'foreign')
    return { position, seq: headSeq, headSeq, isForeign: true, isAhead: false, resume: 'gap', isPartial: false }
  const isPartial = lastEventId.includes('~')
  if (place.kind === 'ahead')
    return { position: cursor, seq: headSeq, headSeq, isForeign: false, isAhead: true, resume: 'ok', isPartial }
  const isBroken =
    history.nextHole(place.seq) !== undefined || channels.some((channel) => isCut(history, channel, cursor))
  const resume = isBroken ? 'gap' : 'ok'
  return { position: cursor, seq: place.seq, headSeq, isForeign: false, isAhead: false, resume, isPartial }
}

/**
 * The id that `connected` carries. A foreign cursor gets none: the client keeps its own until the gap frame has told
 * where the stream goes on.
 */
export function startId({ position, isForeign }: StreamStart, isUndecided: boolean): string | null {
  if (isForeign) return null
  const plain = formatPosition(position)
  return isUndecided ? `${plain}~${plain}` : plain
}

/**
 * False when the page goes on with a channel where it left off. While it names what it has joined (`fresh`), an undecided
 * channel is among these.
 */
export function beginsAnew(history: History, start: StreamStart, fresh: ReadonlySet<string>, channel: string): boolean {
  if (start.resume === 'fresh' || start.isForeign || fresh.has(channel)) return true
  if (start.isPartial && fresh.size === 0) return true
  return history.nextHole(start.seq) !== undefined || isCut(history, channel, start.position)
}

function isCut(history: History, channel: string, cursor: Position): boolean {
  const floor = history.floor(channel)
  return floor !== null && comparePositions(floor.position, cursor) > 0
}
