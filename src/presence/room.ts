import type { Member } from '../auth/authorizer.ts'
import { type ListedMember, printMember } from './member.ts'
import { Roster } from './roster.ts'
import type { PresenceChange, PresenceSnapshot, PresenceStore } from './store.ts'

/** Who came and who left since the pages were told last. */
export type Difference = { readonly joined: readonly ListedMember[]; readonly left: readonly ListedMember[] }

export type RoomOptions = {
  readonly channel: string
  readonly store: PresenceStore
  /** Members that a list names. */
  readonly maxListed: number
  /** How long a page waits for the store before it is told what this node knows by itself. */
  readonly patienceMs: number
  /** How long somebody who is missing from the record is believed to be there: his node may be about to say so again. */
  readonly graceMs: number
  readonly onDifference: (channel: string, difference: Difference) => void
  /** Nobody of this node is there any more, and the store knows. */
  readonly onEmpty: (channel: string) => void
  readonly onError: (error: unknown) => void
}

/** One user with its sockets at this node. */
type Guest = { member: ListedMember; readonly sockets: Set<string> }

/** What was sent, and nobody knows whether it arrived. */
const UNSURE = ''
const RETRY_MS = 500

/**
 * One presence channel at this node. It says to the store who is here, one step after the other, and follows what the
 * store says of everybody; pages are told only what changes the list they have.
 */
export class Room {
  readonly roster: Roster
  readonly #options: RoomOptions
  /** User id → who is here at this node. */
  readonly #guests = new Map<string, Guest>()
  readonly #userOf = new Map<string, string>()
  /** User id → what the store was told last; it holds what this node has to take back. */
  readonly #said = new Map<string, string>()
  /** Users about whom the store may have to be told. */
  readonly #unsaid = new Set<string>()
  readonly #waiting = new Map<string, (() => void)[]>()
  /** Users who are missing from the record → since when. */
  readonly #doubted = new Map<string, number>()
  #version: number | null = null
  #heardMeanwhile: PresenceChange[] = []
  #isSaying = false
  #isReading = false
  #readsAgain = false
  #isLookingAgain = false
  #isClosed = false
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(options: RoomOptions) {
    this.#options = options
    this.roster = new Roster(options)
  }

  /** Sockets of this node. */
  get size(): number {
    return this.#userOf.size
  }

  /** Resolves when the list is known and holds the member. */
  enter(socketId: string, { id, info }: Member): Promise<void> {
    const member = printMember({ id, info })
    if (this.#userOf.get(socketId) !== id) this.leave(socketId)
    const guest = this.#guests.get(id) ?? { member, sockets: new Set() }
    guest.member = member
    guest.sockets.add(socketId)
    this.#guests.set(id, guest)
    this.#userOf.set(socketId, id)
    this.#say(id)
    return this.#untilListed(id)
  }

  leave(socketId: string): void {
    const id = this.#userOf.get(socketId)
    if (id === undefined) return
    this.#userOf.delete(socketId)
    const guest = this.#guests.get(id)
    guest?.sockets.delete(socketId)
    if (guest?.sockets.size !== 0) return
    this.#guests.delete(id)
    this.#say(id)
  }

  /** A change came through the broker. */
  heard(change: PresenceChange): void {
    if (this.#isReading) this.#heardMeanwhile.push(change)
    else if (this.#version !== null) this.#follow(change)
  }

  /** The store has forgotten what this node has said. */
  forgotten(): void {
    this.#said.clear()
    for (const id of this.#guests.keys()) this.#say(id)
  }

  /** Something may have been missed: compares the list with the record. */
  refresh(): void {
    if (this.#version !== null) this.#read()
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #untilListed(id: string): Promise<void> {
    if (this.#version !== null && this.roster.has(id)) return Promise.resolve()
    return new Promise((resolve) => {
      const impatience = this.#after(this.#options.patienceMs, () => {
        // The store is away. What this node knows is better than no list; the rest is told when it is back.
        const guest = this.#guests.get(id)
        if (guest !== undefined && this.roster.add(guest.member)) this.#tell({ joined: [guest.member], left: [] })
        resolve()
      })
      const listed = () => {
        this.#cancel(impatience)
        resolve()
      }
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), listed])
    })
  }

  #say(id: string): void {
    this.#unsaid.add(id)
    if (this.#isSaying) return
    this.#isSaying = true
    this.#sayAll().catch(this.#options.onError)
  }

  // One step at a time: what changes meanwhile goes with the next, so that a rush costs few steps and order is kept.
  async #sayAll(): Promise<void> {
    const { channel, store, onEmpty, onError } = this.#options
    while (this.#unsaid.size > 0 && !this.#isClosed) {
      const ids = [...this.#unsaid]
      this.#unsaid.clear()
      const { joined, left } = this.#unsaidOf(ids)
      if (joined.length === 0 && left.length === 0) continue
      for (const id of [...joined.map((member) => member.id), ...left]) this.#said.set(id, UNSURE)
      try {
        await store.update({ channel, joined, left, isLast: this.#guests.size === 0 })
        for (const { id, json } of joined) this.#confirm(id, json)
        for (const id of left) this.#confirm(id, null)
        if (this.#version === null && !this.#isReading) this.#read()
      } catch (error) {
        onError(error)
        for (const id of ids) this.#unsaid.add(id)
        await this.#pause()
      }
    }
    this.#isSaying = false
    if (this.#guests.size === 0 && !this.#isClosed) onEmpty(channel)
  }

  #unsaidOf(ids: readonly string[]): { joined: ListedMember[]; left: string[] } {
    const joined: ListedMember[] = []
    const left: string[] = []
    for (const id of ids) {
      const guest = this.#guests.get(id)
      const said = this.#said.get(id)
      if (guest !== undefined && guest.member.json !== said) joined.push(guest.member)
      if (guest === undefined && said !== undefined) left.push(id)
    }
    return { joined, left }
  }

  // Unless the store has meanwhile forgotten it: then it is to be said again.
  #confirm(id: string, json: string | null): void {
    if (this.#said.get(id) !== UNSURE) return
    if (json === null) this.#said.delete(id)
    else this.#said.set(id, json)
  }

  #read(): void {
    if (this.#isReading) {
      this.#readsAgain = true
      return
    }
    this.#isReading = true
    this.#heardMeanwhile = []
    this.#options.store.read(this.#options.channel).then(
      (snapshot) => this.#compare(snapshot),
      (error: unknown) => {
        this.#options.onError(error)
        this.#isReading = false
        this.#after(RETRY_MS, () => this.#read())
      },
    )
  }

  #compare(snapshot: PresenceSnapshot): void {
    if (this.#isClosed) return
    this.#isReading = false
    this.#version = snapshot.version
    this.#tell({ joined: this.#addAll(snapshot.members), left: this.#missing(snapshot) })
    for (const id of snapshot.own) if (!this.#guests.has(id)) this.#takeBack(id)
    for (const change of this.#heardMeanwhile.splice(0)) this.heard(change)
    this.#releaseWaiting()
    if (this.#readsAgain) {
      this.#readsAgain = false
      this.#read()
    }
  }

  // Who is not on the record any more. Its node may only be late to say it again, so nobody is shown leaving at once.
  #missing({ members, own }: PresenceSnapshot): ListedMember[] {
    const now = Date.now()
    const present = new Set(members.map(({ id }) => id))
    const gone: ListedMember[] = []
    for (const id of [...this.roster.ids()]) {
      if (this.#guests.has(id)) {
        if (!own.has(id)) this.#sayAgain(id)
      } else if (!present.has(id)) {
        const since = this.#doubted.get(id) ?? now
        this.#doubted.set(id, since)
        if (now - since >= this.#options.graceMs) this.#removeTo(gone, id)
      }
    }
    this.#lookAgain()
    return gone
  }

  #lookAgain(): void {
    if (this.#doubted.size === 0 || this.#isLookingAgain) return
    this.#isLookingAgain = true
    // A timer may be a little early, and then nobody would be missing for long enough.
    this.#after(this.#options.graceMs + 20, () => {
      this.#isLookingAgain = false
      this.refresh()
    })
  }

  #follow(change: PresenceChange): void {
    const version = this.#version ?? 0
    if (change.version <= version) return
    if (change.version > version + 1) {
      this.#read()
      this.#heardMeanwhile.push(change)
      return
    }
    this.#version = change.version
    const gone: ListedMember[] = []
    for (const id of change.left) {
      // Taken off by a peer who thought this node dead. It is not, and so the user is here.
      if (this.#guests.has(id)) this.#sayAgain(id)
      else this.#removeTo(gone, id)
    }
    this.#tell({ joined: this.#addAll(change.joined), left: gone })
    this.#releaseWaiting()
  }

  #addAll(members: readonly ListedMember[]): ListedMember[] {
    for (const { id } of members) this.#doubted.delete(id)
    return members.filter((member) => this.roster.add(member))
  }

  #removeTo(gone: ListedMember[], id: string): void {
    this.#doubted.delete(id)
    const member = this.roster.remove(id)
    if (member !== null) gone.push(member)
  }

  #sayAgain(id: string): void {
    this.#said.delete(id)
    this.#say(id)
  }

  #takeBack(id: string): void {
    this.#said.set(id, UNSURE)
    this.#say(id)
  }

  #tell(difference: Difference): void {
    if (difference.joined.length === 0 && difference.left.length === 0) return
    this.#options.onDifference(this.#options.channel, difference)
  }

  #releaseWaiting(): void {
    for (const [id, listed] of this.#waiting) {
      if (!this.roster.has(id)) continue
      this.#waiting.delete(id)
      for (const release of listed) release()
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#after(RETRY_MS, resolve))
  }

  #after(delayMs: number, callback: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      callback()
    }, delayMs)
    timer.unref()
    this.#timers.add(timer)
    return timer
  }

  #cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    this.#timers.delete(timer)
  }
}
