/** A timer of which there is one at most. */
export class Alarm {
  #timer: ReturnType<typeof setTimeout> | undefined

  get isSet(): boolean {
    return this.#timer !== undefined
  }

  /** In place of what was set before. */
  set(delayMs: number, ring: () => void): void {
    this.clear()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      ring()
    }, delayMs)
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
