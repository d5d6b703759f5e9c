/** What the store did not do is tried again after this. */
export const RETRY_MS = 500

/** Timers that end with their owner and keep no process alive. */
export class Timers {
  readonly #timers = new Set<NodeJS.Timeout>()
  isStopped = false

  /** Returns what calls it off. */
  after(delayMs: number, callback: () => void): () => void {
    if (this.isStopped) return () => {}
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      callback()
    }, delayMs)
    timer.unref()
    this.#timers.add(timer)
    return () => {
      clearTimeout(timer)
      this.#timers.delete(timer)
    }
  }

  /** Nothing is called back any more. */
  stop(): void {
    this.isStopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
