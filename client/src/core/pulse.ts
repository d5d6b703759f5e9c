import { Alarm } from './alarm.ts'

const PULSE_MS = 5000
/** A beat that is this late comes after a sleep, and before what arrived meanwhile is read. */
export const DRIFT_MS = 2000
/** So long what has arrived during a sleep may take to be read. */
const GRACE_MS = 1000

/**
 * Looks at the clock every five seconds. `onAwake`: the page has slept, or is hidden and gets few timers; what arrived
 * meanwhile has been read. Returns how to stop.
 */
export function startPulse(onBeat: () => void, onAwake: () => void): () => void {
  const grace = new Alarm()
  let beatAt = Date.now()
  const timer = setInterval(() => {
    const sleptMs = Date.now() - beatAt - PULSE_MS
    beatAt = Date.now()
    if (sleptMs > DRIFT_MS) grace.set(GRACE_MS, onAwake)
    else onBeat()
  }, PULSE_MS)
  return () => {
    clearInterval(timer)
    grace.clear()
  }
}
