import type { Frame } from './frame.ts'
import type { Batch, Outlet } from './outlet.ts'

/**
 * The finite answer of a long-poll: the same frames as a stream, kept until `finish` is called, so that they can leave
 * with a Content-Length through proxies that hold back everything else.
 */
export class PollResponse implements Outlet {
  readonly #maxBytes: number
  readonly #finish: (body: Buffer) => void
  readonly #frames: Frame[] = []
  /** What counts towards the bound. */
  #sizeBytes = 0
  #isEnded = false

  /** `finish` gets the body, once. A body grows to about `maxBytes`; what does not fit waits for the next poll. */
  constructor(maxBytes: number, finish: (body: Buffer) => void) {
    this.#maxBytes = maxBytes
    this.#finish = finish
  }

  /** A full answer takes no more: its reader is this poll's successor. */
  get pendingBytes(): number {
    return this.isFull ? this.#sizeBytes : 0
  }

  get isFull(): boolean {
    return this.#sizeBytes >= this.#maxBytes
  }

  get isOpen(): boolean {
    return !this.#isEnded
  }

  // A list of members longer than the bound would fill each answer anew, and no poll would ever get to what is new.
  write(frames: readonly Frame[], { isRepeated = false }: { readonly isRepeated?: boolean } = {}): void {
    if (this.#isEnded) return
    for (const frame of frames) {
      this.#frames.push(frame)
      if (!isRepeated) this.#sizeBytes += frame.chunk.length
    }
  }

  writeBatch(batch: Batch): void {
    this.write(batch.frames)
  }

  // Nothing drains here: a full answer is finished by its owner.
  onceDrained(): void {}

  end(last?: Frame): void {
    if (this.#isEnded) return
    if (last !== undefined) this.write([last])
    this.#isEnded = true
    this.#finish(Buffer.concat(this.#frames.map((frame) => frame.bytes)))
  }
}
