import { comparePositions, formatPosition, type Position } from '../history/position.ts'
import type { StreamStart } from './start.ts'

/**
 * The ids of one stream. While a channel is undecided they are `start~position`, so that a client that comes back
 * starts where this stream did; once all are decided and told they are plain, and strictly increase.
 */
export class StreamIds {
  /** `start~`; null when ids are plain. */
  #prefix: string | null
  /** The newest plain id. */
  #last: Position | null

  constructor({ position, isForeign }: StreamStart, { isPlain }: { isPlain: boolean }) {
    this.#prefix = isPlain ? null : `${formatPosition(position)}~`
    // What `connected` carries is the first; a foreign cursor gets none there.
    this.#last = isPlain && !isForeign ? position : null
  }

  get isPlain(): boolean {
    return this.#prefix === null
  }

  becomePlain(): void {
    this.#prefix = null
  }

  /** The id of a frame; null where nothing moved since the last one, so that the client's cursor is right as it is. */
  next(position: Position): string | null {
    if (this.#prefix !== null) return this.#prefix + formatPosition(position)
    if (this.#last !== null && comparePositions(position, this.#last) <= 0) return null
    this.#last = position
    return formatPosition(position)
  }

  /** Frames with plain ids of their own were written, up to this position. */
  toldUpTo(position: Position): void {
    this.#last = position
  }
}
