import type { Subscriber } from './subscriber.ts'

/** How finely heartbeats are timed. */
const TICK_MS = 500

/**
 * Pings whoever has heard nothing for a heartbeat. One timer for all: a subscriber waits in the bucket of the tick at
 * which it may be due, and a write in between only moves it to a later bucket when its turn comes.
 */
export class Heartbeat {
  readonly #buckets = new Map<number, Set<Subscriber>>()
  readonly #tickOf = new Map<Subscriber, number>()
  readonly #now: () => number
  #tick: number
  #timer: NodeJS.Timeout | null = null

  constructor({ now = Date.now }: { now?: () => number } = {}) {
    this.#now = now
    this.#tick = Math.floor(now() / TICK_MS)
  }

  start(): void {
    this.#timer = setInterval(() => this.beat(), TICK_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  add(subscriber: Subscriber): void {
    this.#put(subscriber)
  }

  remove(subscriber: Subscriber): void {
    const tick = this.#tickOf.get(subscriber)
    this.#tickOf.delete(subscriber)
    if (tick !== undefined) this.#buckets.get(tick)?.delete(subscriber)
  }

  /** Serves every tick that has passed; also those that a busy or sleeping process missed. */
  beat(): void {
    const now = this.#now()
    const last = Math.floor(now / TICK_MS)
    if (last - this.#tick > this.#buckets.size + 1) this.#serveLate(last, now)
    for (; this.#tick <= last; this.#tick += 1) this.#serve(this.#tick, now)
  }

  #serve(tick: number, now: number): void {
    const due = this.#buckets.get(tick)
    this.#buckets.delete(tick)
    for (const subscriber of due ?? []) {
      if (subscriber.isEnded) continue
      if (now - subscriber.writtenAtMs >= subscriber.heartbeatMs - TICK_MS) subscriber.ping(now)
      this.#put(subscriber)
    }
  }

  // After a long sleep it is cheaper to look at the buckets than at every tick slept through.
  #serveLate(last: number, now: number): void {
    for (const tick of [...this.#buckets.keys()]) if (tick < last) this.#serve(tick, now)
    this.#tick = last
  }

  #put(subscriber: Subscriber): void {
    const dueMs = subscriber.writtenAtMs + subscriber.heartbeatMs
    const tick = Math.max(Math.floor(dueMs / TICK_MS), this.#tick + 1)
    let bucket = this.#buckets.get(tick)
    if (bucket === undefined) {
      bucket = new Set()
      this.#buckets.set(tick, bucket)
    }
    bucket.add(subscriber)
    this.#tickOf.set(subscriber, tick)
  }
}
