import type { History } from '../history/history.ts'
import { comparePositions, type Position } from '../history/position.ts'
import type { ChannelCursor } from '../history/replay.ts'
import type { Frame } from '../sse/frame.ts'
import { cacheMissFrame } from './frames.ts'

/** The last event of a cache channel. */
export type LastTold = {
  /** Marked as the last one, from before the page came. */
  readonly frame: Frame
  readonly position: Position
  /** The connection that shall not receive it. */
  readonly socket: string | null
}

/** Who is about to be told a channel, from where on. */
export type Listener = {
  readonly history: History
  readonly socketId: string
  readonly cursor: ChannelCursor
  /** Up to here everything is skipped, though this node has not heard it yet; null when nothing is. */
  readonly skipsTo: Position | null
}

/** What a page is told before anything else of a cache channel; null says that there is no last event. */
export function lastFrames(last: LastTold | null, listener: Listener): Frame[] {
  if (last === null) return [cacheMissFrame(listener.cursor.channel)]
  const isOwn = last.socket !== null && last.socket === listener.socketId
  return isOwn || comesByItself(last.position, listener) ? [] : [last.frame]
}

/** True when the channel, told from its cursor on, brings what stands there. */
function comesByItself(position: Position, { history, cursor, skipsTo }: Listener): boolean {
  const head = history.head?.position
  // Positions of another order say nothing here; better told twice than never.
  if (head === undefined || position.epoch !== head.epoch) return false
  if (comparePositions(position, head) > 0) return skipsTo === null || comparePositions(position, skipsTo) > 0
  let entry = history.next(cursor.channel, cursor.seq)
  while (entry !== undefined && comparePositions(entry.position, position) < 0) {
    entry = history.next(cursor.channel, entry.seq)
  }
  return entry !== undefined && comparePositions(entry.position, position) === 0
}
