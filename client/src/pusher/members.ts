import type { MemberData } from '../../../src/protocol.ts'
import type { Subscription } from '../core/subscription.ts'

/** Who is on a presence channel, by id. */
export class Members {
  members: Record<string, unknown> = {}
  /** More than there are `members` when the gateway has cut the list. */
  count = 0
  myID: string | null = null
  me: MemberData | null = null

  get(id: string): MemberData | null {
    return Object.hasOwn(this.members, id) ? { id, info: this.members[id] } : null
  }

  each(callback: (member: MemberData | null) => unknown): void {
    for (const id of Object.keys(this.members)) callback(this.get(id))
  }

  /** @internal Becomes what the engine knows. */
  take({ members, count, me }: Subscription): void {
    // Not by assignment: `__proto__` is an id like any other.
    this.members = Object.fromEntries([...members.values()].map(({ id, info }) => [id, info]))
    this.count = count
    this.myID = me
    this.me = me === null ? null : this.get(me)
  }
}
