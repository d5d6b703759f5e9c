import type { Hub } from './hub.ts'
import { SLOW_RETRY_MS, type Subscriber } from './subscriber.ts'

/** Unsent bytes of all streams. */
export function backlogBytes(hub: Hub): number {
  let total = 0
  for (const { outlet } of hub.subscribers()) total += outlet.pendingBytes
  return total
}

/** Ends the slowest readers until all together stay below the bound. */
export function boundBacklog(hub: Hub, maxBytes: number): void {
  let total = backlogBytes(hub)
  if (total <= maxBytes) return
  const slowestFirst = [...hub.subscribers()].sort((a, b) => b.outlet.pendingBytes - a.outlet.pendingBytes)
  for (const subscriber of slowestFirst) {
    if (total <= maxBytes) return
    total -= end(subscriber)
  }
}

function end(subscriber: Subscriber): number {
  const { pendingBytes } = subscriber.outlet
  subscriber.end('slow', SLOW_RETRY_MS)
  return pendingBytes
}
