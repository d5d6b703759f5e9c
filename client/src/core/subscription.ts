import type { MemberData, SubscribedData } from '../../../src/protocol.ts'
import { isNewer } from './position.ts'

export type Difference = { readonly joined: readonly MemberData[]; readonly left: readonly MemberData[] }

/** What the page knows of one channel. It outlives every stream. */
export class Subscription {
  readonly name: string
  status: 'pending' | 'subscribed' | 'denied' = 'pending'
  /** False once the page has left it, until a stream goes on without it. */
  isWanted = true
  /** It was never granted, so nothing was missed. */
  isFresh = true
  /** It was refused, and is not asked for until its time comes or a login was made. */
  isHeld = false
  /** The page has been told that it is refused for now. */
  isRefusedForNow = false
  /** A login was asked for on its behalf already. */
  hasAskedForLogin = false
  /** Who is here, this page included, on presence channels. */
  readonly members = new Map<string, MemberData>()
  /** How many are here; more than `members` when the list is cut. */
  count = 0
  me: string | null = null
  sharedSecret: string | null = null
  #newest = ''

  constructor(name: string) {
    this.name = name
  }

  /** Never told before. A message without an id has no place in the order and is always new. */
  isNews(id: string): boolean {
    if (id === '') return true
    if (this.#newest !== '' && !isNewer(id, this.#newest)) return false
    this.#newest = id
    return true
  }

  /** It is granted; takes the list as it is now. */
  granted({ members = [], count, me, sharedSecret }: SubscribedData): Difference {
    const before = new Map(this.members)
    const [wasCut, isCut] = [this.#isCut, (count ?? 0) > members.length]
    this.members.clear()
    for (const member of members) this.members.set(member.id, member)
    this.count = count ?? this.members.size
    this.status = 'subscribed'
    this.isFresh = this.isHeld = this.isRefusedForNow = this.hasAskedForLogin = false
    this.me = me ?? null
    this.sharedSecret = sharedSecret ?? this.sharedSecret
    // Who is not in a list that is cut may be here all the same.
    return {
      joined: wasCut ? [] : members.filter(({ id }) => !before.has(id) && id !== me),
      left: isCut ? [] : [...before.values()].filter(({ id }) => !this.members.has(id) && id !== me),
    }
  }

  /** The gateway may have gone on without it: it is told anew when it is granted again. */
  lapse(): void {
    if (this.status === 'subscribed') this.status = 'pending'
  }

  /** As if it had never been asked for, but for what it has told already. */
  reset(): void {
    this.status = 'pending'
    this.isHeld = this.isRefusedForNow = this.hasAskedForLogin = false
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

  get #isCut(): boolean {
    return this.count > this.members.size
  }
}
