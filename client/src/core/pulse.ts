import { Alarm } from './alarm.ts'

export const PULSE_MS = 5000
/** A beat that is this late comes after a sleep, and before what arrived meanwhile is read. */
export const DRIFT_MS = 2000
/** So long what has arrived during a sleep may take to be read. */
const GRACE_MS = 1000

export type PulseHooks = {
  onBeat(): void
  /** The page has slept, or is hidden and gets few timers; what arrived meanwhile has been read. */
  onAwake(): void
}

/** Looks at the clock every five seconds. */
export class Pulse {
  readonly #hooks: PulseHooks
  readonly #grace = new Alarm()
  #timer: ReturnType<typeof setInterval> | undefined
  #beatAt = 0

  constructor(hooks: PulseHooks) {
    this.#hooks = hooks
  }

  get isBeating(): boolean {
    return this.#timer !== undefined
  }

  start(): void {
    this.#beatAt = Date.now()
    this.#timer = setInterval(() => this.#beat(), PULSE_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#grace.clear()
  }

  #beat(): void {
    const sleptMs = Date.now() - this.#beatAt - PULSE_MS
    this.#beatAt = Date.now()
    if (sleptMs > DRIFT_MS) this.#grace.set(GRACE_MS, this.#hooks.onAwake)
    else this.#hooks.onBeat()
  }
}
