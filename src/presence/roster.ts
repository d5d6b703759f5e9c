import type { ListedMember } from './member.ts'

/** What a page is told of a channel's members when it is subscribed. */
export type MemberList = {
  /** JSON of the list. */
  readonly json: string
  /** How many there are in all, when the list does not name them all. */
  readonly count: number | null
}

// Of all lists: one that begins anew must not look like the one before.
let latestState = 0

/** Who is on a channel, as far as this node's pages have been told. */
export class Roster {
  readonly #members = new Map<string, ListedMember>()
  readonly #maxListed: number
  #listed: string | null = null
  /** Which state the list is in; another number whenever somebody has come or gone. */
  state = nextState()

  constructor({ maxListed }: { maxListed: number }) {
    this.#maxListed = maxListed
  }

  get size(): number {
    return this.#members.size
  }

  has(id: string): boolean {
    return this.#members.has(id)
  }

  ids(): IterableIterator<string> {
    return this.#members.keys()
  }

  /** True when the member was not there before. */
  add(member: ListedMember): boolean {
    const isNew = !this.#members.has(member.id)
    if (isNew) this.state = nextState()
    this.#members.set(member.id, member)
    this.#listed = null
    return isNew
  }

  /** The member, when it was there. */
  remove(id: string): ListedMember | null {
    const member = this.#members.get(id)
    if (member === undefined) return null
    this.#members.delete(id)
    this.state = nextState()
    this.#listed = null
    return member
  }

  /** The first members, and in any case `me`. Printed once for all who come between two changes. */
  list(me: string): MemberList {
    this.#listed ??= this.#printFirst()
    if (this.size <= this.#maxListed) return { json: `[${this.#listed}]`, count: null }
    const own = this.#members.get(me)
    const isListed = own === undefined || this.#isAmongFirst(me)
    const json = isListed ? this.#listed : [this.#listed, own.json].filter((text) => text !== '').join(',')
    return { json: `[${json}]`, count: this.size }
  }

  #printFirst(): string {
    return this.#first()
      .map(({ json }) => json)
      .join(',')
  }

  #isAmongFirst(id: string): boolean {
    return this.#first().some((member) => member.id === id)
  }

  #first(): ListedMember[] {
    const first: ListedMember[] = []
    for (const member of this.#members.values()) {
      if (first.length === this.#maxListed) break
      first.push(member)
    }
    return first
  }
}

function nextState(): number {
  latestState += 1
  return latestState
}
