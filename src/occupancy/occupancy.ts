import { Gone } from './gone.ts'
import { Reports } from './reports.ts'
import { type OccupancyStore, type Reported, VACATED_AFTER_MS } from './store.ts'

/** Sockets with an open stream at this node. */
export type OpenSockets = {
  /** Each once, however many streams it has. */
  socketsOn(channel: string): ReadonlySet<string>
  channels(): Iterable<string>
}

export type OccupancyOptions = {
  readonly open: OpenSockets
  readonly store: OccupancyStore
  /** For so long after the start nothing is told to be vacated: pages of a gateway that was here before come back. */
  readonly graceMs: number
  /** Of all gateways this one is to tell: somebody listens where nobody did, or nobody does any more. */
  readonly onOccupied: (channel: string) => void
  readonly onVacated: (channel: string) => void
  /** Sockets on a channel, on all gateways, when this one has found the number changed. */
  readonly onCount: (channel: string, total: number) => void
  readonly onError: (error: unknown) => void
}

/** What changes within this time is told to the others at once. */
const REPORT_MS = 500
/** How often a gateway looks for vacated channels that others were going to look for, and have not. */
const LOOK_MS = 5000

/**
 * Who listens to what, in the whole service. A socket is on a channel while a stream of it is open and a little longer;
 * what is open the hub knows, so only who has just gone is kept here.
 */
export class Occupancy {
  readonly #options: OccupancyOptions
  readonly #gone = new Gone()
  readonly #reports: Reports
  #timer: NodeJS.Timeout | null = null
  #graceUntilMs = 0
  /** Until then every step looks for vacated channels: this gateway has seen one left. */
  #watchUntilMs = 0
  #nextLookAtMs = 0
  #looking: Promise<void> | null = null

  constructor(options: OccupancyOptions) {
    const { store, onError } = options
    this.#options = options
    this.#reports = new Reports({
      store,
      count: (channel) => this.#count(channel),
      onReported: (reported) => this.#tell(reported),
      onError,
    })
  }

  start(): void {
    this.#graceUntilMs = performance.now() + this.#options.graceMs
    this.#options.store.start({
      onReaped: (totals) => {
        for (const [channel, total] of totals) this.#tell({ channel, total, isChanged: true, isNew: false })
      },
    })
    this.#timer = setInterval(() => this.#step(), REPORT_MS)
    this.#timer.unref()
  }

  /** A stream has been granted this channel. */
  joined(channel: string): void {
    this.#reports.changed(channel)
  }

  /** A stream of the socket no longer has this channel; it counts for `keepMs` more, unless it comes back before. */
  left(channel: string, socketId: string, keepMs: number): void {
    if (keepMs > 0) this.#gone.add(channel, socketId, performance.now() + keepMs)
    else this.#gone.delete(channel, socketId)
    this.#reports.changed(channel)
  }

  /** The page has said that it is gone: nobody waits for it. */
  forget(socketId: string): void {
    for (const channel of this.#gone.forget(socketId)) this.#reports.changed(channel)
  }

  /** Sockets on one channel, on all gateways. Rejects with GatewayError `broker_unavailable`. */
  async count(channel: string): Promise<number> {
    return (await this.#options.store.elsewhere(channel)) + this.#reports.count(channel)
  }

  /** Occupied channels that begin with `prefix`, and the sockets on each. Rejects with GatewayError `broker_unavailable`. */
  async channels(prefix = ''): Promise<ReadonlyMap<string, number>> {
    const counts = new Map(await this.#options.store.allElsewhere(prefix))
    const own = new Set([...this.#options.open.channels(), ...this.#gone.channels()])
    for (const channel of own) {
      const count = channel.startsWith(prefix) ? this.#reports.count(channel) : 0
      if (count > 0) counts.set(channel, (counts.get(channel) ?? 0) + count)
    }
    return counts
  }

  /** The others may have lost what they were told. */
  sayAgain(): void {
    this.#reports.sayAgain()
  }

  /**
   * Nobody is here any more. Whoever was here has `returnMs` to come back elsewhere, and only then the time begins after
   * which a channel is vacated; with 0 nobody is waited for. Never rejects.
   */
  async stop(returnMs: number): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    const vacatedAfterMs = returnMs === 0 ? 0 : returnMs + VACATED_AFTER_MS
    await this.#reports.stop(vacatedAfterMs).catch(this.#options.onError)
    // What it is answered, nobody else is.
    await this.#looking
    if (returnMs === 0) await this.#tellVacated().catch(this.#options.onError)
  }

  #count(channel: string): number {
    const sockets = this.#options.open.socketsOn(channel)
    let count = sockets.size
    for (const socketId of this.#gone.from(channel)) if (!sockets.has(socketId)) count += 1
    return count
  }

  #step(): void {
    const nowMs = performance.now()
    for (const channel of this.#gone.expire(nowMs)) this.#reports.changed(channel)
    this.#reports.say().catch(this.#options.onError)
    this.#look(nowMs)
  }

  #tell({ channel, total, isChanged, isNew }: Reported): void {
    const { onOccupied, onCount } = this.#options
    if (isNew) onOccupied(channel)
    if (!isChanged) return
    onCount(channel, total)
    if (total === 0) this.#watchUntilMs = performance.now() + VACATED_AFTER_MS + 2 * REPORT_MS
  }

  #look(nowMs: number): void {
    const isDue = nowMs >= this.#nextLookAtMs || nowMs <= this.#watchUntilMs
    if (!isDue || this.#looking !== null || nowMs < this.#graceUntilMs) return
    this.#nextLookAtMs = nowMs + LOOK_MS
    this.#looking = this.#tellVacated()
      .catch(this.#options.onError)
      .finally(() => {
        this.#looking = null
      })
  }

  async #tellVacated(): Promise<void> {
    const { store, onVacated } = this.#options
    for (const channel of await store.takeVacated()) onVacated(channel)
  }
}
