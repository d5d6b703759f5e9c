/** A channel that the last socket has left is vacated after this, unless somebody comes. [Pusher: 3 seconds] */
export const VACATED_AFTER_MS = 3000

/** What a report has done to a channel. */
export type Reported = {
  readonly channel: string
  /** Sockets on it, on all nodes. */
  readonly total: number
  /** The total is another now. */
  readonly isChanged: boolean
  /** Nobody was known to be there before: of all nodes this one is to tell that the channel is occupied. */
  readonly isNew: boolean
}

export type OccupancyStoreHooks = {
  /** Sockets of a dead node no longer count: channel → sockets that are left. */
  onReaped(totals: ReadonlyMap<string, number>): void
}

/**
 * How many sockets are on each channel of a service, node by node. A channel is occupied from the first socket on until
 * somebody finds, through `takeVacated`, that there has been none for long enough.
 * Implementations: memory (one process), Redis.
 */
export interface OccupancyStore {
  start(hooks: OccupancyStoreHooks): void
  /**
   * Sockets of this node: all there are on each of these channels. A channel that is left by the last one is vacated
   * `vacatedAfterMs` later, unless somebody comes. Harmless when repeated. Rejects when it may not be done.
   */
  report(counts: ReadonlyMap<string, number>, vacatedAfterMs: number): Promise<readonly Reported[]>
  /** Sockets of the other nodes on a channel. */
  elsewhere(channel: string): Promise<number>
  /** Channels that begin with `prefix` and have sockets at other nodes, and how many. */
  allElsewhere(prefix: string): Promise<ReadonlyMap<string, number>>
  /** Channels that are vacated by now. Each is answered to one node, once. */
  takeVacated(): Promise<readonly string[]>
}
