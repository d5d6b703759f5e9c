import type { Member } from '../auth/authorizer.ts'
import { Follower } from './follower.ts'
import { Guests } from './guests.ts'
import type { ListedMember } from './member.ts'
import { Roster } from './roster.ts'
import type { PresenceChange, PresenceSnapshot, PresenceStore } from './store.ts'
import { Timers } from './timers.ts'

/** Who came and who left since the pages were told last. */
export type Difference = { readonly joined: readonly ListedMember[]; readonly left: readonly ListedMember[] }

export type RoomOptions = {
  readonly channel: string
  readonly store: PresenceStore
  /** Members that a list names. */
  readonly maxListed: number
  /** How long a page waits for the store before it is told what this node knows by itself. */
  readonly patienceMs: number
  /** How long somebody who is missing from the record is believed to be there: a node may be about to say so again. */
  readonly graceMs: number
  readonly onDifference: (channel: string, difference: Difference) => void
  /** Nobody of this node is there any more, and the store knows. */
  readonly onEmpty: (channel: string) => void
  readonly onError: (error: unknown) => void
}

/**
 * One presence channel at this node: its guests say who is here, its follower hears who is anywhere, and its pages are
 * told only what changes the list they have.
 */
export class Room {
  readonly roster: Roster
  readonly #options: RoomOptions
  readonly #guests: Guests
  readonly #follower: Follower
  readonly #timers = new Timers()
  /** User id → pages that wait until the list holds the user. */
  readonly #waiting = new Map<string, (() => void)[]>()
  /** Users who are listed and missing from the record → since when. */
  readonly #doubted = new Map<string, number>()
  #isLookingAgain = false

  constructor(options: RoomOptions) {
    const { channel, store, graceMs, onEmpty, onError } = options
    this.#options = options
    this.roster = new Roster(options)
    this.#follower = new Follower({
      channel,
      store,
      onSnapshot: (snapshot) => this.#compare(snapshot),
      onChange: (change) => this.#follow(change),
      onError,
    })
    this.#guests = new Guests({
      channel,
      store,
      // Two renewals of a lease.
      settleMs: graceMs / 3,
      onSaid: () => this.#follower.begin(),
      onEmpty: () => onEmpty(channel),
      onError,
    })
  }

  /** Sockets of this node. */
  get size(): number {
    return this.#guests.size
  }

  /** Resolves when the list is known and holds the member, or when that member has left again. */
  enter(socketId: string, member: Member): Promise<void> {
    if (this.#guests.userOf(socketId) !== member.id) this.leave(socketId)
    this.#guests.enter(socketId, member)
    if (this.#follower.isFollowing && this.roster.has(member.id)) return Promise.resolve()
    return this.#untilListed(member.id)
  }

  leave(socketId: string): void {
    const id = this.#guests.leave(socketId)
    if (id !== null) this.#release(id)
  }

  /** A change came through the broker. */
  heard(change: PresenceChange): void {
    if (!this.#timers.isStopped) this.#follower.heard(change)
  }

  /** The store has forgotten what this node has said. */
  forgotten(): void {
    this.#guests.sayAllAgain()
  }

  /** Something may have been missed: compares the list with the record. */
  refresh(): void {
    this.#follower.refresh()
  }

  close(): void {
    this.#timers.stop()
    this.#guests.close()
    this.#follower.close()
    for (const id of [...this.#waiting.keys()]) this.#release(id)
  }

  #untilListed(id: string): Promise<void> {
    return new Promise((resolve) => {
      const callOff = this.#timers.after(this.#options.patienceMs, () => this.#listUnheard(id))
      const release = () => {
        callOff()
        resolve()
      }
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), release])
    })
  }

  // The store is away. What this node knows is better than no list; should the store never hear of this user, a later
  // look at the record finds the user missing.
  #listUnheard(id: string): void {
    const member = this.#guests.member(id)
    if (member !== undefined && this.roster.add(member)) {
      this.#tell([member], [])
      this.#lookAgain()
    }
    this.#release(id)
  }

  #compare({ members, own }: PresenceSnapshot): void {
    this.#tell(this.#addAll(members), this.#longMissing(new Set(members.map(({ id }) => id))))
    this.#guests.compare(own)
  }

  #follow({ joined, left }: PresenceChange): void {
    const gone = this.#removeAll(left.filter((id) => !this.#guests.has(id)))
    this.#takenOff(left.filter((id) => this.#guests.has(id)))
    this.#tell(this.#addAll(joined), gone)
  }

  // Who is not on the record any more. A node may only be late to say it again, so nobody is shown leaving at once.
  #longMissing(present: ReadonlySet<string>): ListedMember[] {
    const missing = [...this.roster.ids()].filter((id) => !present.has(id))
    const longMissing = missing.filter((id) => Date.now() - this.#doubt(id) >= this.#options.graceMs)
    const gone = this.#removeAll(longMissing.filter((id) => !this.#guests.has(id)))
    if (this.#doubted.size > 0) this.#lookAgain()
    return gone
  }

  // They have just come here from elsewhere, or a peer thought this node dead. The record does not have them until it
  // is said again; should they go before that, nobody would say that they left.
  #takenOff(own: readonly string[]): void {
    for (const id of own) if (this.roster.has(id)) this.#doubt(id)
    if (this.#doubted.size > 0) this.#lookAgain()
    this.#guests.sayAgain(own)
  }

  /** Returns since when. */
  #doubt(id: string): number {
    const since = this.#doubted.get(id) ?? Date.now()
    this.#doubted.set(id, since)
    return since
  }

  #lookAgain(): void {
    if (this.#isLookingAgain) return
    this.#isLookingAgain = true
    const { graceMs } = this.#options
    const left = [...this.#doubted.values()].map((sinceMs) => sinceMs + graceMs - Date.now())
    // A timer may be a little early, and then nobody would be missing for long enough.
    this.#timers.after(Math.min(graceMs, ...left.filter((ms) => ms > 0)) + 20, () => {
      this.#isLookingAgain = false
      this.refresh()
    })
  }

  #addAll(members: readonly ListedMember[]): ListedMember[] {
    for (const { id } of members) this.#doubted.delete(id)
    return members.filter((member) => this.roster.add(member))
  }

  #removeAll(ids: readonly string[]): ListedMember[] {
    for (const id of ids) this.#doubted.delete(id)
    return ids.flatMap((id) => this.roster.remove(id) ?? [])
  }

  #tell(joined: readonly ListedMember[], left: readonly ListedMember[]): void {
    if (joined.length > 0 || left.length > 0) this.#options.onDifference(this.#options.channel, { joined, left })
    for (const id of [...this.#waiting.keys()]) if (this.roster.has(id)) this.#release(id)
  }

  #release(id: string): void {
    const waiting = this.#waiting.get(id) ?? []
    this.#waiting.delete(id)
    for (const release of waiting) release()
  }
}
