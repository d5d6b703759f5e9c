/** What is withdrawn: everything that fits all that is named. At least one is. */
export type Revocation = {
  readonly user: string | null
  readonly channel: string | null
  readonly socket: string | null
}

/** One grant, as far as a revocation looks at it. */
export type GrantInQuestion = {
  readonly socketId: string
  readonly channel: string
  /** null when Laravel has not said who it is. */
  readonly userId: string | null
}

/** Reads `{"user":…,"channel":…,"socket":…}`; a user may be a number. null when it names nothing or makes no sense. */
export function readRevocation(value: unknown): Revocation | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const { user = null, channel = null, socket = null } = value as Record<string, unknown>
  const named = [typeof user === 'number' ? String(user) : user, channel, socket]
  if (named.some((name) => name !== null && (typeof name !== 'string' || name === ''))) return null
  if (named.every((name) => name === null)) return null
  const [userId, channelName, socketId] = named as (string | null)[]
  return { user: userId ?? null, channel: channelName ?? null, socket: socketId ?? null }
}

export function covers({ user, channel, socket }: Revocation, grant: GrantInQuestion): boolean {
  if (socket !== null && socket !== grant.socketId) return false
  if (channel !== null && channel !== grant.channel) return false
  return user === null || user === grant.userId
}

/**
 * Revocations of the last while. Another node's record of a grant may be older than a revocation that this node has
 * heard: then it is not believed, and Laravel is asked.
 */
export class RevocationLog {
  readonly #keepMs: number
  readonly #now: () => number
  #recent: { readonly revocation: Revocation; readonly atMs: number }[] = []

  constructor({ keepMs, now }: { keepMs: number; now: () => number }) {
    this.#keepMs = keepMs
    this.#now = now
  }

  add(revocation: Revocation): void {
    this.#forget()
    this.#recent.push({ revocation, atMs: this.#now() })
  }

  covers(grant: GrantInQuestion): boolean {
    this.#forget()
    return this.#recent.some(({ revocation }) => covers(revocation, grant))
  }

  #forget(): void {
    const oldest = this.#now() - this.#keepMs
    if ((this.#recent[0]?.atMs ?? oldest) < oldest) this.#recent = this.#recent.filter(({ atMs }) => atMs >= oldest)
  }
}
