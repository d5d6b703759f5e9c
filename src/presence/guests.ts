import type { Member } from '../auth/authorizer.ts'
import { type ListedMember, printMember } from './member.ts'
import type { PresenceStore, PresenceUpdate } from './store.ts'
import { RETRY_MS, Timers } from './timers.ts'

export type GuestsOptions = {
  readonly channel: string
  readonly store: PresenceStore
  /** Within this time all nodes find out that the store has forgotten what was said. */
  readonly settleMs: number
  /** The store has taken a step. */
  readonly onSaid: () => void
  /** Nobody is here any more, and the store knows. */
  readonly onEmpty: () => void
  readonly onError: (error: unknown) => void
}

/** One user with its sockets at this node. */
type Guest = { member: ListedMember; readonly sockets: Set<string> }

/** Sent, and not answered. No member's JSON looks like this, nor like the next. */
const ON_ITS_WAY = 'on its way'
/** The store may have it or not: whatever is true now is to be said. */
const IN_DOUBT = 'in doubt'

/** Users named in one step: Redis does nothing else meanwhile, and arguments have to fit on the stack. */
const STEP = 1000

/** Who is on a channel at this node. It says so to the store, one step after the other, until the store knows. */
export class Guests {
  readonly #options: GuestsOptions
  readonly #timers = new Timers()
  readonly #guests = new Map<string, Guest>()
  readonly #userOf = new Map<string, string>()
  /** User id → what the store was told last; it holds what this node has to take back. */
  readonly #said = new Map<string, string>()
  /** Users about whom the store may have to be told. */
  readonly #unsaid = new Set<string>()
  #isSaying = false
  /** The store listens again: whatever failed before is not waited for. */
  #isHeardAgain = false
  #retryNow = () => {}
  /** Until when other nodes may still be about to say again who is with them. */
  #settledAtMs = 0

  constructor(options: GuestsOptions) {
    this.#options = options
  }

  /** Sockets. */
  get size(): number {
    return this.#userOf.size
  }

  has(id: string): boolean {
    return this.#guests.has(id)
  }

  member(id: string): ListedMember | undefined {
    return this.#guests.get(id)?.member
  }

  userOf(socketId: string): string | undefined {
    return this.#userOf.get(socketId)
  }

  enter(socketId: string, { id, info }: Member): void {
    const member = printMember({ id, info })
    const guest = this.#guests.get(id) ?? { member, sockets: new Set() }
    guest.member = member
    guest.sockets.add(socketId)
    this.#guests.set(id, guest)
    this.#userOf.set(socketId, id)
    this.#say([id])
  }

  /** Returns the user whose last socket it was. */
  leave(socketId: string): string | null {
    const id = this.#userOf.get(socketId)
    if (id === undefined) return null
    this.#userOf.delete(socketId)
    const guest = this.#guests.get(id)
    guest?.sockets.delete(socketId)
    if (guest?.sockets.size !== 0) return null
    this.#guests.delete(id)
    this.#sayLeft(id)
    return id
  }

  /** The store may have lost what it was told of these users. */
  sayAgain(ids: readonly string[]): void {
    for (const id of ids) this.#said.set(id, IN_DOUBT)
    this.#say(ids)
  }

  /** The store has lost everything, and listens. Until it knows who has gone, newcomers are told of them as well. */
  sayAllAgain(): void {
    this.#isHeardAgain = true
    this.#settledAtMs = performance.now() + this.#options.settleMs
    this.sayAgain([...this.#said.keys()])
    this.#retryNow()
  }

  /** Says again what the record lacks, and takes back what it should not have. */
  compare(own: ReadonlySet<string>): void {
    const lacking = [...this.#guests].filter(([id, { member }]) => !own.has(id) && this.#said.get(id) === member.json)
    const left = [...own].filter((id) => !this.#guests.has(id) && !this.#said.has(id))
    this.sayAgain([...lacking.map(([id]) => id), ...left])
  }

  close(): void {
    this.#timers.stop()
  }

  // The record may have him on our word alone although he is elsewhere too: he would be seen to leave and to come back.
  #sayLeft(id: string): void {
    const waitMs = this.#settledAtMs - performance.now()
    if (waitMs > 0 && this.#said.has(id)) this.#timers.after(waitMs, () => this.#say([id]))
    else this.#say([id])
  }

  #say(ids: readonly string[]): void {
    for (const id of ids) this.#unsaid.add(id)
    if (this.#isSaying || this.#timers.isStopped || this.#unsaid.size === 0) return
    this.#isSaying = true
    this.#sayAll().catch(this.#options.onError)
  }

  // One step at a time: what changes meanwhile goes with the next, so that a rush costs few steps and order is kept.
  async #sayAll(): Promise<void> {
    const { store, onSaid, onEmpty, onError } = this.#options
    while (this.#unsaid.size > 0 && !this.#timers.isStopped) {
      const ids = this.#takeUnsaid()
      const update = this.#updateOf(ids)
      if (update === null) continue
      for (const id of idsOf(update)) this.#said.set(id, ON_ITS_WAY)
      this.#isHeardAgain = false
      try {
        await store.update(update)
        this.#confirm(update)
        onSaid()
      } catch (error) {
        onError(error)
        for (const id of ids) this.#unsaid.add(id)
        if (!this.#isHeardAgain) await this.#untilRetry()
      }
    }
    this.#isSaying = false
    if (this.#guests.size === 0 && this.#said.size === 0 && !this.#timers.isStopped) onEmpty()
  }

  #untilRetry(): Promise<void> {
    return new Promise((resolve) => {
      const callOff = this.#timers.after(RETRY_MS, resolve)
      this.#retryNow = () => {
        callOff()
        resolve()
      }
    })
  }

  #takeUnsaid(): string[] {
    const ids = [...this.#unsaid].slice(0, STEP)
    for (const id of ids) this.#unsaid.delete(id)
    return ids
  }

  #updateOf(ids: readonly string[]): PresenceUpdate | null {
    const joined: ListedMember[] = []
    const left: string[] = []
    for (const id of ids) {
      const member = this.member(id)
      const said = this.#said.get(id)
      if (member !== undefined && member.json !== said) joined.push(member)
      if (member === undefined && said !== undefined) left.push(id)
    }
    if (joined.length === 0 && left.length === 0) return null
    const isLast = this.#guests.size === 0 && this.#said.size === left.length
    return { channel: this.#options.channel, joined, left, isLast }
  }

  // Unless it came into doubt meanwhile: then it is to be said again.
  #confirm({ joined, left }: PresenceUpdate): void {
    const isAnswered = (id: string) => this.#said.get(id) === ON_ITS_WAY
    for (const { id, json } of joined) if (isAnswered(id)) this.#said.set(id, json)
    for (const id of left) if (isAnswered(id)) this.#said.delete(id)
  }
}

function idsOf({ joined, left }: PresenceUpdate): string[] {
  return [...joined.map(({ id }) => id), ...left]
}
