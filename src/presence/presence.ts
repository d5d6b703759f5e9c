import type { Member } from '../auth/authorizer.ts'
import type { ListedMember } from './member.ts'
import { type Difference, Room } from './room.ts'
import type { Roster } from './roster.ts'
import { type PresenceNews, type PresenceStore, parseChange } from './store.ts'

export type PresenceOptions = {
  readonly store: PresenceStore
  /** Members that a list names. Default 1000. */
  readonly maxListed: number
  /** How long a peer may take to say again who is there, when the record was lost. */
  readonly graceMs: number
  /** How long a page waits for the store. Default 3000. */
  readonly patienceMs?: number
  /** What the pages of a channel are to be told. */
  readonly onDifference: (channel: string, difference: Difference) => void
  /** Nothing counts any more that this node has said to its peers. When this has resolved, it is said again. */
  readonly onForgotten?: (isAnew: boolean) => Promise<void>
  /** Who came and who is gone, told to one node of the service. */
  readonly onNews?: (news: PresenceNews) => void
  readonly onError: (error: unknown) => void
}

const PATIENCE_MS = 3000

/** Who is on the presence channels that pages of this node listen to. */
export class Presence {
  readonly #options: PresenceOptions
  readonly #rooms = new Map<string, Room>()

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  /** Sockets of this node on presence channels, once per channel. */
  get size(): number {
    let size = 0
    for (const room of this.#rooms.values()) size += room.size
    return size
  }

  start(): void {
    const { store, onNews, onError } = this.#options
    store.start({
      onForgotten: (isAnew) => void this.#sayAgain(isAnew).catch(onError),
      ...(onNews === undefined ? {} : { onNews }),
    })
  }

  /** Resolves with the list once it holds the member. */
  async enter(channel: string, socketId: string, member: Member): Promise<Roster> {
    let room = this.#rooms.get(channel)
    if (room === undefined) {
      room = this.#open(channel)
      this.#rooms.set(channel, room)
    }
    await room.enter(socketId, member)
    return room.roster
  }

  leave(channel: string, socketId: string): void {
    this.#rooms.get(channel)?.leave(socketId)
  }

  /** Who is on a channel that pages of this node listen to. */
  roster(channel: string): Roster | undefined {
    return this.#rooms.get(channel)?.roster
  }

  /** Who is on a channel, as the whole service knows it. Rejects with GatewayError `broker_unavailable`. */
  async members(channel: string): Promise<readonly ListedMember[]> {
    return (await this.#options.store.read(channel)).members
  }

  /** A change came through the broker. False when it is none. */
  heard(payload: Buffer): boolean {
    const change = parseChange(payload.toString())
    if (change === null) return false
    this.#rooms.get(change.channel)?.heard(change)
    return true
  }

  /** Changes may have been missed: every list is compared with the record. */
  async refresh(): Promise<void> {
    await this.#options.store.verify()
    for (const room of this.#rooms.values()) room.refresh()
  }

  /** Who is here stays on record for `keepMs`, so that pages can come back elsewhere. */
  async stop(keepMs: number): Promise<void> {
    for (const room of this.#rooms.values()) room.close()
    await this.#options.store.stop(keepMs)
  }

  async #sayAgain(isAnew: boolean): Promise<void> {
    await this.#options.onForgotten?.(isAnew)
    for (const room of this.#rooms.values()) room.forgotten()
  }

  #open(channel: string): Room {
    const { store, maxListed, graceMs, patienceMs = PATIENCE_MS, onDifference, onError } = this.#options
    return new Room({
      channel,
      store,
      maxListed,
      graceMs,
      patienceMs,
      onDifference,
      onError,
      onEmpty: () => this.#close(channel),
    })
  }

  #close(channel: string): void {
    const room = this.#rooms.get(channel)
    if (room === undefined || room.size > 0) return
    room.close()
    this.#rooms.delete(channel)
  }
}
