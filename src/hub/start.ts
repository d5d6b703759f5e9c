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
}

/** Judges the cursor of a request; `null` or empty means a client that comes for the first time. */
export function startStream(history: History, lastEventId: string | null, channels: readonly string[]): StreamStart {
  const { head } = history
  if (head === null) throw new Error('A stream was started before the broker was ready.')
  // Written out each time: V8 gives what a spread makes a shape of its own, 240 bytes that stay with every stream.
  const { position, seq: headSeq } = head
  if (lastEventId === null || lastEventId === '')
    return { position, seq: headSeq, headSeq, isForeign: false, isAhead: false, resume: 'fresh' }
  const cursor = parseCursor(lastEventId)
  const place = cursor === null ? null : history.locate(cursor)
  if (cursor === null || place === null || place.kind === 'foreign')
    return { position, seq: headSeq, headSeq, isForeign: true, isAhead: false, resume: 'gap' }
  if (place.kind === 'ahead')
    return { position: cursor, seq: headSeq, headSeq, isForeign: false, isAhead: true, resume: 'ok' }
  const isBroken =
    history.nextHole(place.seq) !== undefined || channels.some((channel) => isCut(history, channel, cursor))
  const resume = isBroken ? 'gap' : 'ok'
  return { position: cursor, seq: place.seq, headSeq, isForeign: false, isAhead: false, resume }
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

function isCut(history: History, channel: string, cursor: Position): boolean {
  const floor = history.floor(channel)
  return floor !== null && comparePositions(floor.position, cursor) > 0
}
