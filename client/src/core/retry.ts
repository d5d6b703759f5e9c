/** Not sooner than this the first time: what ends streams by mistake would be asked in a circle. */
const LEAST_MS = 100
const FIRST_SPREAD_MS = 900
/** The longest wait is twice this before the second attempt, and doubles from there. */
const GROWTH_MS = 2000
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
  return attempt ? random() * Math.min(CAP_MS, GROWTH_MS * 2 ** attempt) : LEAST_MS + random() * FIRST_SPREAD_MS
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
    this.#floorMs = floorMs > 0 ? Math.min(floorMs, LONGEST_FLOOR_MS) : 0
    return this.leastMs(retryDelayMs(this.#attempt++))
  }

  /** `delayMs`, or longer when that would be too soon. */
  leastMs(delayMs = 0, pauseMs = PAUSE_MS): number {
    const now = Date.now()
    // A clock that was set back makes nobody wait longer.
    return Math.max(
      delayMs,
      pauseMs - Math.max(0, now - this.#askedAt),
      this.#floorMs - Math.max(0, now - this.#failedAt),
    )
  }
}
