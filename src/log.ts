import type { Logger } from 'pino'

/** Lines about single streams that are written in one second; the rest is counted. */
const MAX_LINES_PER_S = 100

/** Writes one line per life event of a stream; a storm of them becomes a count. */
export class LifeLog {
  readonly #logger: Logger
  readonly #now: () => number
  #second = 0
  #lines = 0
  #left = 0

  constructor(logger: Logger, { now = Date.now }: { now?: () => number } = {}) {
    this.#logger = logger
    this.#now = now
  }

  write(fields: Record<string, string | number | boolean>, event: string): void {
    const second = Math.floor(this.#now() / 1000)
    if (second !== this.#second) this.#nextSecond(second)
    this.#lines += 1
    if (this.#lines <= MAX_LINES_PER_S) this.#logger.info(fields, event)
    else this.#left += 1
  }

  #nextSecond(second: number): void {
    if (this.#left > 0) this.#logger.info({ left: this.#left }, 'further events of streams were not written')
    this.#second = second
    this.#lines = 0
    this.#left = 0
  }
}
