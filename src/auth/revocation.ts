import { membersOf } from '../channels/json-spans.ts'
import { parseObject } from '../channels/own-traffic.ts'
import type { GrantedChannels } from './grant-store.ts'

/** What is withdrawn: everything that fits all that is named. At least one is. */
export type Revocation = {
  readonly user: string | null
  readonly channel: string | null
  readonly socket: string | null
  /** Who loses something loses his streams too. */
  readonly terminate?: true
}

const NAMES: readonly string[] = ['user', 'channel', 'socket', 'terminate'] satisfies (keyof Revocation)[]

/** Reads the text of a revocation, `{"user":…,"channel":…,"socket":…,"terminate":…}`; null when it is none. Never throws. */
export function parseRevocation(text: string): Revocation | null {
  const value = parseObject(text)
  // A name that was misspelt would take away from more than was meant. Nor may a broadcast be read as a revocation: its
  // `socket` is whatever X-Socket-ID said [Illuminate/Broadcasting/Broadcasters/RedisBroadcaster.php].
  if (!Object.keys(value).every((name) => NAMES.includes(name))) return null
  return readRevocation(typeof value.user === 'number' ? { ...value, user: digitsOf(text, value.user) } : value)
}

/** A user may be a number. null when it names nothing or makes no sense. */
export function readRevocation(value: unknown): Revocation | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const { user = null, channel = null, socket = null, terminate = false } = value as Record<string, unknown>
  const named = [Number.isSafeInteger(user) ? String(user) : user, channel, socket]
  if (!named.every(isNameOrNull) || named.every((name) => name === null)) return null
  if (typeof terminate !== 'boolean') return null
  const [userId = null, channelName = null, socketId = null] = named
  return { user: userId, channel: channelName, socket: socketId, ...(terminate ? { terminate } : {}) }
}

/**
 * The channels of a socket that a revocation takes away. Where Laravel named nobody it is whoever it named on the
 * other channels.
 */
export function revokedChannels(
  { user, channel, socket }: Revocation,
  socketId: string,
  channels: GrantedChannels,
): string[] {
  if (socket !== null && socket !== socketId) return []
  const named = channel === null ? [...channels.keys()] : channels.has(channel) ? [channel] : []
  if (user === null) return named
  const isOfUser = [...channels.values()].some((member) => member?.id === user)
  return named.filter((name) => (channels.get(name)?.id ?? (isOfUser ? user : null)) === user)
}

/** Revocations of the last while. */
export class RevocationLog {
  readonly #keepMs: number
  readonly #now: () => number
  /** In the order of time; a revocation that comes again takes the place of the one before. */
  readonly #recent = new Map<string, { readonly revocation: Revocation; readonly atMs: number }>()

  constructor({ keepMs, now }: { keepMs: number; now: () => number }) {
    this.#keepMs = keepMs
    this.#now = now
  }

  add(revocation: Revocation): void {
    this.#forget()
    this.delete(revocation)
    this.#recent.set(JSON.stringify(revocation), { revocation, atMs: this.#now() })
  }

  delete(revocation: Revocation): void {
    this.#recent.delete(JSON.stringify(revocation))
  }

  /** How long ago it came, ms; null when it did not. */
  agoMs(revocation: Revocation): number | null {
    this.#forget()
    const found = this.#recent.get(JSON.stringify(revocation))
    return found === undefined ? null : this.#now() - found.atMs
  }

  /** What is left of these channels. */
  without(socketId: string, channels: GrantedChannels): GrantedChannels {
    this.#forget()
    const revocations = [...this.#recent.values()].map(({ revocation }) => revocation)
    return withoutRevoked(revocations, socketId, channels)
  }

  #forget(): void {
    const oldest = this.#now() - this.#keepMs
    for (const [text, { atMs }] of this.#recent) {
      if (atMs >= oldest) return
      this.#recent.delete(text)
    }
  }
}

/** What the revocations leave of a socket's channels. */
export function withoutRevoked(
  revocations: readonly Revocation[],
  socketId: string,
  channels: GrantedChannels,
): GrantedChannels {
  const revoked = new Set(revocations.flatMap((revocation) => revokedChannels(revocation, socketId, channels)))
  return new Map([...channels].filter(([channel]) => !revoked.has(channel)))
}

function isNameOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === 'string' && value !== '')
}

// 9007199254740993 would be read as ...992: somebody else.
function digitsOf(text: string, user: number): unknown {
  if (Number.isSafeInteger(user)) return user
  const written = membersOf(text)?.findLast(({ key }) => key === 'user')
  const digits = written && text.slice(written.valueStart, written.valueEnd)
  return digits !== undefined && /^-?\d+$/.test(digits) ? digits : user
}
