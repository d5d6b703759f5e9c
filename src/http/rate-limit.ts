import { type ErrorCode, GatewayError } from '../errors.ts'

/** Counts second by second what each socket sends; what is counted is forgotten with the second. */
export class RateLimit {
  readonly #maxPerSecond: number
  readonly #code: ErrorCode
  readonly #counts = new Map<string, number>()
  #second = 0

  constructor(maxPerSecond: number, code: ErrorCode) {
    this.#maxPerSecond = maxPerSecond
    this.#code = code
  }

  /** Throws a GatewayError when it was too much. */
  count(socketId: string): void {
    const second = Math.floor(Date.now() / 1000)
    if (second !== this.#second) this.#counts.clear()
    this.#second = second
    const count = (this.#counts.get(socketId) ?? 0) + 1
    if (count > this.#maxPerSecond) throw new GatewayError(this.#code, { headers: { 'Retry-After': '1' } })
    this.#counts.set(socketId, count)
  }
}
