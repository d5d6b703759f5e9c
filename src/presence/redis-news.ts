import type { PresenceNews, PresenceUpdate } from './store.ts'

/** What Redis found of a user, as its script for a step answers. */
const NEW = 'n'
const OURS_ALREADY = 'o'
const GONE = 'g'
const ABSENT_ALREADY = 'a'

/**
 * Reads who came and who is gone from the answers to this node's steps. A step whose answer was lost is said again; what
 * Redis finds done by then was done by the step before, and would otherwise be told by nobody.
 */
export class RedisNews {
  /** Channel → `+user` or `-user` of steps without an answer. */
  readonly #unanswered = new Map<string, Set<string>>()
  /** Channel → users who are on record on this node's word, and were when their last step was answered. */
  readonly #known = new Map<string, Set<string>>()

  /** What this node has said is gone from the record: whoever took it off has told who left. */
  forgotten(): void {
    this.#known.clear()
    for (const [channel, users] of this.#unanswered) {
      for (const user of users) if (user.startsWith('-')) users.delete(user)
      if (users.size === 0) this.#unanswered.delete(channel)
    }
  }

  /** Redis may have taken this step or not. */
  lost({ channel, joined, left }: PresenceUpdate): void {
    const users = this.#unanswered.get(channel) ?? new Set()
    for (const { id } of joined) if (this.#known.get(channel)?.has(id) !== true) users.add(`+${id}`)
    for (const id of left) users.add(`-${id}`)
    if (users.size > 0) this.#unanswered.set(channel, users)
  }

  /** `found`: a letter for each user of the step. */
  read({ channel, joined, left }: PresenceUpdate, found: string): PresenceNews {
    const unanswered = this.#unanswered.get(channel)
    const ids = joined.map(({ id }) => id)
    const came = (id: string, letter: string | undefined) =>
      letter === NEW || (letter === OURS_ALREADY && unanswered?.has(`+${id}`) === true)
    const gone = (id: string, letter: string | undefined) =>
      letter === GONE || (letter === ABSENT_ALREADY && unanswered?.has(`-${id}`) === true)
    const news = {
      channel,
      joined: ids.filter((id, index) => came(id, found[index])),
      left: left.filter((id, index) => gone(id, found[ids.length + index])),
    }
    this.#answered(channel, [...ids, ...left])
    this.#knows(channel, ids, left)
    return news
  }

  #knows(channel: string, joined: readonly string[], left: readonly string[]): void {
    const known = this.#known.get(channel) ?? new Set()
    for (const id of joined) known.add(id)
    for (const id of left) known.delete(id)
    if (known.size > 0) this.#known.set(channel, known)
    else this.#known.delete(channel)
  }

  #answered(channel: string, ids: readonly string[]): void {
    const unanswered = this.#unanswered.get(channel)
    if (unanswered === undefined) return
    for (const id of ids) {
      unanswered.delete(`+${id}`)
      unanswered.delete(`-${id}`)
    }
    if (unanswered.size === 0) this.#unanswered.delete(channel)
  }
}

/** The id of a user that a record names; null when somebody else has written it. */
export function parseId(field: string): string | null {
  try {
    const id: unknown = JSON.parse(field)
    return typeof id === 'string' ? id : null
  } catch {
    return null
  }
}
