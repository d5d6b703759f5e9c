import type { Frame } from './frame.ts'

/** Where a subscriber's frames go: an open stream, or the finite answer of a long-poll. */
export interface Outlet {
  /** Bytes written that the other side has not taken yet. */
  readonly pendingBytes: number
  readonly isOpen: boolean
  /**
   * Writes frames at once. Frames written in one call leave in one piece. `isRepeated`: every answer of a long-poll says
   * them anew, so they take no room from what it brings.
   */
  write(frames: readonly Frame[], options?: { readonly isRepeated?: boolean }): void
  /** Writes several frames joined beforehand. The hub's fast path: one batch serves many outlets. */
  writeBatch(batch: Batch): void
  /** Calls back once when everything written has been taken, at once when it has; never when the outlet is closed. */
  onceDrained(callback: () => void): void
  /** Writes a last frame, if any, and ends. May be called twice and acts once. */
  end(last?: Frame): void
}

/** Frames joined once for all who get the same. */
export class Batch {
  readonly chunk: Buffer
  readonly frames: readonly Frame[]
  /** Stands for the time of each of its writes: asking the clock for every subscriber costs more than the loop. */
  readonly madeAtMs = Date.now()

  constructor(frames: readonly Frame[]) {
    this.frames = frames
    const only = frames.length === 1 ? frames[0] : undefined
    this.chunk = only?.chunk ?? Buffer.concat(frames.map((frame) => frame.chunk))
  }
}
