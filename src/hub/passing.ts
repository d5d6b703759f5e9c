import type { HistoryHead } from '../history/history.ts'
import type { Position } from '../history/position.ts'
import type { Frame } from '../sse/frame.ts'

/** What is told now or never: whispers and changes of presence. It has a place among the broadcasts, but no id. */
export class Passing {
  readonly seq: number
  readonly position: Position
  readonly hasId = false
  readonly frame: Frame
  /** The connection that shall not receive it. */
  readonly socket: string | null

  constructor({ seq, position }: HistoryHead, frame: Frame, socket: string | null) {
    this.seq = seq
    this.position = position
    this.frame = frame
    this.socket = socket
  }

  frameWithId(): Frame {
    return this.frame
  }
}
