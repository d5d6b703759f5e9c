import type { Frame } from '../../src/sse/frame.ts'
import type { Batch, Outlet } from '../../src/sse/outlet.ts'
import { type ReadFrame, readFrames } from './sse.ts'

/** Keeps what is written, one text per write. A test decides how much of it waits for the reader. */
export class RecordingOutlet implements Outlet {
  readonly writes: string[] = []
  pendingBytes = 0
  isOpen = true
  /** From now on writes wait until `drain` is called. */
  isStuck = false
  /** For how many bytes each waiting byte counts: a small message plays a large one. */
  readonly #weight: number
  #waiting: (() => void)[] = []

  constructor({ weight = 1 }: { weight?: number } = {}) {
    this.#weight = weight
  }

  write(frames: readonly Frame[]): void {
    this.#record(frames.map((frame) => frame.bytes.toString()).join(''))
  }

  writeBatch(batch: Batch): void {
    this.write(batch.frames)
  }

  onceDrained(callback: () => void): void {
    if (this.isStuck) this.#waiting.push(callback)
    else callback()
  }

  end(last?: Frame): void {
    if (!this.isOpen) return
    if (last !== undefined) this.write([last])
    this.isOpen = false
  }

  /** The reader has taken everything that was written so far. */
  drain(): void {
    this.pendingBytes = 0
    for (const callback of this.#waiting.splice(0)) callback()
  }

  /** True when somebody waits for `drain`. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0
  }

  get frames(): ReadFrame[] {
    return readFrames(this.writes)
  }

  /** The frames that came since the last look. */
  news(): ReadFrame[] {
    return readFrames(this.writes.splice(0))
  }

  #record(text: string): void {
    if (!this.isOpen) return
    this.writes.push(text)
    if (this.isStuck) this.pendingBytes += this.#weight * Buffer.byteLength(text)
  }
}
