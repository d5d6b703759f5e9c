import type { OccupancyStore, Reported } from './store.ts'

/** The occupancy of a service that is one process. */
export class MemoryOccupancyStore implements OccupancyStore {
  /** Channels that are occupied; 0: until they are vacated. */
  readonly #totals = new Map<string, number>()
  /** When a channel is vacated, should nobody come. */
  readonly #vacatedAtMs = new Map<string, number>()

  start(): void {}

  async report(counts: ReadonlyMap<string, number>, vacatedAfterMs: number): Promise<Reported[]> {
    return [...counts].map(([channel, total]) => {
      const before = this.#totals.get(channel)
      const isChanged = total !== (before ?? 0)
      if (isChanged) this.#totals.set(channel, total)
      if (isChanged && total === 0) this.#vacatedAtMs.set(channel, performance.now() + vacatedAfterMs)
      return { channel, total, isChanged, isNew: isChanged && before === undefined }
    })
  }

  async elsewhere(): Promise<number> {
    return 0
  }

  async allElsewhere(): Promise<ReadonlyMap<string, number>> {
    return new Map()
  }

  async takeVacated(): Promise<string[]> {
    const now = performance.now()
    const due = [...this.#vacatedAtMs].filter(([, atMs]) => atMs <= now).map(([channel]) => channel)
    for (const channel of due) this.#vacatedAtMs.delete(channel)
    return due.filter((channel) => this.#totals.get(channel) === 0 && this.#totals.delete(channel))
  }
}
