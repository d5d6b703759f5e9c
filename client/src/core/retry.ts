const FIRST_MS = 1000
/** Not sooner than this the first time: what ends streams by mistake would be asked in a circle. */
const LEAST_MS = 100
const CAP_MS = 30_000
/** However long the gateway, or something before it, wants to be left alone. */
const LONGEST_FLOOR_MS = 3_600_000
/** Between two requests when the first failed or was empty. */
const PAUSE_MS = 1000

/**
 * How long to wait before attempt `attempt` (0 is the first after a success): full jitter, because clients that lost the
 * same gateway must not come back together. Of the policies that were simulated this one had the lowest peak.
 */
export function retryDelayMs(attempt: number, random: () => number = Math.random): number {
  if (attempt === 0) return LEAST_MS + random() * (FIRST_MS - LEAST_MS)
  return random() * Math.min(CAP_MS, 2 * FIRST_MS * 2 ** attempt)
}

/** When the next request may go out. */
export class Pace {
  #attempt = 0
  #askedAt = 0
  #failedAt = 0
  #floorMs = 0

  /** A request goes out now. */
  asked(): void {
    this.#askedAt = Date.now()
  }

  succeeded(): void {
    this.#attempt = 0
  }

  /** How long to wait after a failure, and no less than the gateway has asked for. */
  failed(floorMs = 0): number {
    this.#failedAt = Date.now()
    this.#floorMs = floorMs > 0 ? Math.min(floorMs, LONGEST_FLOOR_MS) * (1 + Math.random() / 4) : 0
    return this.leastMs(retryDelayMs(this.#attempt++))
  }

  /** `delayMs`, or longer when that would be too soon. */
  leastMs(delayMs = 0, pauseMs = PAUSE_MS): number {
    return Math.max(delayMs, rest(pauseMs, this.#askedAt), rest(this.#floorMs, this.#failedAt))
  }
}

// A clock that was set back makes nobody wait longer.
function rest(pauseMs: number, since: number): number {
  return pauseMs - Math.max(0, Date.now() - since)
}
