import type { Hub } from './hub.ts'

/** The latest time a page is told to come back. */
export const MAX_RETRY_AFTER_MS = 3000
const MIN_RETRY_AFTER_MS = 1000

/** Goodbyes go out in so many waves. */
const WAVES = 20

/**
 * Says goodbye to everybody within `durationMs`, in waves, each with a time of its own to come back: a fleet that
 * was told at once would come back at once.
 */
export async function drain(hub: Hub, durationMs: number): Promise<void> {
  const subscribers = [...hub.subscribers()]
  const waveSize = Math.ceil(subscribers.length / WAVES) || 1
  // A few streams need no waves; the last wave leaves time for its bytes to get out.
  const pauseMs = subscribers.length <= WAVES ? 0 : (durationMs * 0.75) / WAVES
  for (let first = 0; first < subscribers.length; first += waveSize) {
    if (first > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    for (const subscriber of subscribers.slice(first, first + waveSize)) subscriber.end('drain', retryAfterMs())
  }
  // Who came in between the first look and now.
  hub.endAll('drain', retryAfterMs)
}

// Soon, for the next node is there already; spread, for it has others to take in.
function retryAfterMs(): number {
  return MIN_RETRY_AFTER_MS + Math.floor(Math.random() * (MAX_RETRY_AFTER_MS - MIN_RETRY_AFTER_MS))
}
