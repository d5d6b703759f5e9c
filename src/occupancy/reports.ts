import { type OccupancyStore, type Reported, VACATED_AFTER_MS } from './store.ts'

export type ReportsOptions = {
  readonly store: OccupancyStore
  /** Counts the sockets that are on a channel at this moment. */
  readonly count: (channel: string) => number
  readonly onReported: (reported: Reported) => void
  readonly onError: (error: unknown) => void
}

/** The store may have what it was told last or not. No channel has so many sockets. */
const IN_DOUBT = -1

/** Channels of one report, and sockets that are counted for it, at most: nothing else happens meanwhile. */
const MAX_CHANNELS = 1000
const MAX_SOCKETS = 20_000

/** Says to the store how many sockets of this node are on which channel, one report after the other, until it knows. */
export class Reports {
  readonly #options: ReportsOptions
  /** Channels whose count may be another than the one that was said. */
  readonly #changed = new Set<string>()
  /** What was said last, or is on its way. */
  readonly #said = new Map<string, number>()
  /** Channels that were empty before a report without an answer. */
  readonly #unanswered = new Set<string>()
  #round: Promise<void> | null = null
  #isStopped = false

  constructor(options: ReportsOptions) {
    this.#options = options
  }

  /** Somebody has come to a channel or left it. */
  changed(channel: string): void {
    this.#changed.add(channel)
  }

  /** Sockets of this node on a channel; counted only where somebody has come or left since the last time. */
  count(channel: string): number {
    return this.#changed.has(channel) ? this.#options.count(channel) : (this.#said.get(channel) ?? 0)
  }

  /** The store may have lost what it was told: says all of it again. */
  sayAgain(): void {
    for (const channel of this.#said.keys()) this.#doubt(channel)
  }

  /** Says what has changed so far. Does nothing while an earlier round goes on. Never rejects. */
  async say(): Promise<void> {
    if (this.#isStopped || this.#changed.size === 0) return
    this.#round ??= this.#sayAll()
      .catch(this.#options.onError)
      .finally(() => {
        this.#round = null
      })
    await this.#round
  }

  /** Nobody is here any more, and nothing more is said. */
  async stop(vacatedAfterMs: number): Promise<void> {
    this.#isStopped = true
    await this.#round
    const counts = new Map([...this.#said.keys()].map((channel) => [channel, 0]))
    if (counts.size > 0) await this.#options.store.report(counts, vacatedAfterMs)
  }

  // What changes meanwhile is left for the next round: it stands behind the others.
  async #sayAll(): Promise<void> {
    let left = this.#changed.size
    while (left > 0 && !this.#isStopped) {
      const { counts, seen } = this.#take(left)
      left -= seen
      if (counts.size > 0) await this.#say(counts)
      if (left > 0) await nextTurn()
    }
  }

  #take(most: number): { counts: Map<string, number>; seen: number } {
    const counts = new Map<string, number>()
    let seen = 0
    let counted = 0
    for (const channel of this.#changed) {
      if (seen === most || counts.size === MAX_CHANNELS || counted >= MAX_SOCKETS) break
      this.#changed.delete(channel)
      const count = this.#options.count(channel)
      seen += 1
      counted += 1 + count
      if (count !== (this.#said.get(channel) ?? 0)) counts.set(channel, count)
    }
    return { counts, seen }
  }

  async #say(counts: ReadonlyMap<string, number>): Promise<void> {
    const empty = [...counts.keys()].filter((channel) => !this.#said.has(channel))
    for (const [channel, count] of counts) this.#said.set(channel, count)
    try {
      const reported = await this.#options.store.report(counts, VACATED_AFTER_MS)
      for (const report of reported) this.#confirm(report, counts.get(report.channel))
    } catch (error) {
      for (const channel of counts.keys()) this.#doubt(channel)
      for (const channel of empty) this.#unanswered.add(channel)
      throw error
    }
  }

  #confirm(reported: Reported, count: number | undefined): void {
    const { channel, total, isChanged } = reported
    if (this.#said.get(channel) === 0) this.#said.delete(channel)
    // Done by the report before, whose answer was lost: nobody has told of it.
    const wasNew = this.#unanswered.delete(channel) && !isChanged && total === count && total > 0
    this.#options.onReported(wasNew ? { ...reported, isChanged: true, isNew: true } : reported)
  }

  #doubt(channel: string): void {
    this.#said.set(channel, IN_DOUBT)
    this.#changed.add(channel)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
