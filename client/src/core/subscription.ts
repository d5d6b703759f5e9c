import type { MemberData, SubscribedData } from '../../../src/protocol.ts'
import type { Refusal } from './listener.ts'
import { isNewer } from './position.ts'

export type Difference = { readonly joined: readonly MemberData[]; readonly left: readonly MemberData[] }

/** What the page knows of one channel. It outlives every stream. */
export class Subscription {
  readonly name: string
  status: 'pending' | 'subscribed' | 'denied' = 'pending'
  /** False once the page has left it, until a stream goes on without it. */
  isWanted = true
  /** The newest request asks for it. */
  isAsked = false
  /** It was never granted, so nothing was missed. */
  isFresh = true
  /** It was refused, and is not asked for until its time comes, or a login is asked for and made. */
  held: 'later' | 'batch' | 'login' | null = null
  /** The page has been told that it is refused for now. */
  isTold = false
  /** A login was asked for on its behalf already. */
  wasAtLogin = false
  /** Why it is held for a login. */
  refusal: Refusal | null = null
  /** Who is here, this page included, on presence channels. */
  members = new Map<string, MemberData>()
  /** How many are here; more than `members` when the list is cut. */
  count = 0
  me: string | null = null
  sharedSecret: string | null = null
  #newest = ''

  constructor(name: string) {
    this.name = name
  }

  /** The next request is to ask for it. */
  get isDue(): boolean {
    return this.isWanted && this.held === null && this.status !== 'denied'
  }

  /** Never told before. A message without an id has no place in the order and is always new. */
  isNews(id: string): boolean {
    if (id && !isNewer(id, this.#newest)) return false
    this.#newest = id || this.#newest
    return true
  }

  /** It is granted; takes the list as it is now, and returns who has come and who has gone. */
  granted({ members = [], count = members.length, me, sharedSecret }: SubscribedData): Difference {
    const before = this.members
    const wasCut = this.#isCut
    this.members = new Map(members.map((member) => [member.id, member]))
    this.count = count
    this.me = me ?? null
    this.sharedSecret = sharedSecret ?? this.sharedSecret
    this.status = 'subscribed'
    this.isFresh = false
    this.#letGo()
    // Who is not in a list that is cut may be here all the same.
    return {
      joined: wasCut ? [] : members.filter(({ id }) => !before.has(id) && id !== me),
      left: this.#isCut ? [] : [...before.values()].filter(({ id }) => !this.members.has(id) && id !== me),
    }
  }

  /** The gateway may have gone on without it: it is told anew when it is granted again. */
  lapse(): void {
    if (this.status === 'subscribed') this.status = 'pending'
  }

  /** As if it had never been asked for, but for what it has told already. */
  reset(): void {
    this.status = 'pending'
    this.#letGo()
  }

  /** False when it changes nothing. */
  joins(member: MemberData): boolean {
    if (this.members.has(member.id)) return false
    this.members.set(member.id, member)
    this.count += 1
    return true
  }

  leaves({ id }: MemberData): boolean {
    if (!this.members.delete(id) && !this.#isCut) return false
    this.count -= 1
    return true
  }

  #letGo(): void {
    this.held = null
    this.isTold = this.wasAtLogin = false
  }

  get #isCut(): boolean {
    return this.count > this.members.size
  }
}
