import type { Grant } from './authorizer.ts'
import type { GrantedChannels } from './grant-store.ts'
import { type Revocation, revokedChannels } from './revocation.ts'
import type { Socket } from './socket.ts'

export type VisitHooks = {
  /** The grant is taken away while this stream has the channel. */
  onRevoked(channel: string): void
  /** The page has said that it is gone, or is sent away. */
  onOver(reason: 'left' | 'terminated'): void
}

/** What was revoked while a question was under way, and what the socket had then: it tells whose socket it is. */
type Meanwhile = { readonly revocation: Revocation; readonly channels: GrantedChannels }

/** One open stream of a page, or the answer of one long-poll. */
export class Visit {
  readonly hooks: VisitHooks
  readonly #socket: Socket
  /** Channels that are not decided yet. */
  readonly #asked = new Map<string, Meanwhile[]>()

  constructor(socket: Socket, wanted: ReadonlySet<string>, hooks: VisitHooks) {
    this.#socket = socket
    this.hooks = hooks
    for (const channel of wanted) this.asks(channel)
  }

  /** A question about the channel begins: from here on a revocation overtakes its answer. */
  asks(channel: string): void {
    this.#asked.set(channel, [])
  }

  isAsking(channel: string): boolean {
    return this.#asked.has(channel)
  }

  /** False when the answer was overtaken by a revocation: whoever gave it may not have known of that. */
  granted(channel: string, grant: Grant): boolean {
    const meanwhile = this.#asked.get(channel) ?? []
    if (meanwhile.some((overtaking) => this.#isOvertaken(overtaking, channel, grant))) return false
    this.#asked.delete(channel)
    this.#socket.granted(this, channel, grant)
    return true
  }

  /** Refused; what an earlier stream was granted is kept for `keepMs` more. */
  denied(channel: string, keepMs: number): void {
    this.#asked.delete(channel)
    this.#socket.denied(this, channel, keepMs)
  }

  /** Laravel was asked again and has said the same. */
  confirmed(channel: string): void {
    this.#socket.confirmed(channel)
  }

  /** The grant, as long as this stream has it. */
  grant(channel: string): Grant | undefined {
    return this.#socket.grant(this, channel)
  }

  /** As Socket.sees. */
  sees(channel: string, listed: number): boolean {
    return this.#socket.sees(channel, listed)
  }

  /** The stream is over; the page counts as present for `keepMs` more. */
  ended(keepMs: number): void {
    this.#asked.clear()
    this.#socket.ended(this, keepMs)
  }

  /** Something is revoked that the socket may not have been granted yet. */
  heard(revocation: Revocation, channels: GrantedChannels): void {
    for (const meanwhile of this.#asked.values()) meanwhile.push({ revocation, channels })
  }

  #isOvertaken({ revocation, channels }: Meanwhile, channel: string, { member }: Grant): boolean {
    const all = new Map(channels).set(channel, member ?? null)
    return revokedChannels(revocation, this.#socket.id, all).includes(channel)
  }
}
