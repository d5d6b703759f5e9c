import type { Grant, Member } from './authorizer.ts'
import type { GrantedChannels } from './grant-store.ts'
import { covers, type Revocation } from './revocation.ts'

export type VisitHooks = {
  /** The grant is taken away while this stream has the channel. */
  onRevoked(channel: string): void
  /** The page has said that it is gone. */
  onLeft(): void
}

export type SocketOptions = {
  readonly grantMs: number
  readonly onLeave: (channel: string, socketId: string) => void
  /** What is live, or kept, is another now. */
  readonly onChange: (socket: Socket) => void
  /** Nothing is known of it any more. */
  readonly onForgotten: () => void
}

/** One guarded channel that a socket was granted. */
type Held = {
  grant: Grant
  /** Open streams that have it or have asked for it again. */
  readonly visits: Set<Visit>
  /** False once the page has been away too long to count as present. */
  isLive: boolean
  /** Which state of the list of members the page was told last. */
  seen: number | null
  /** The end of the linger time, then of the time a grant is kept. */
  timer: NodeJS.Timeout | null
}

/** One page over all its streams: it is on a channel while a stream of it is, and a little longer. */
export class Socket {
  readonly id: string
  readonly #options: SocketOptions
  readonly #held = new Map<string, Held>()
  readonly #visits = new Set<Visit>()
  /** How long what is left is kept, ms. */
  keepMs = 0

  constructor(id: string, options: SocketOptions) {
    this.id = id
    this.#options = options
  }

  visit(wanted: ReadonlySet<string>, hooks: VisitHooks): Visit {
    const visit = new Visit(this, hooks)
    this.#visits.add(visit)
    for (const [channel, held] of this.#held) {
      if (wanted.has(channel)) this.#claim(held, visit)
      // It comes back without the channel, so it has left it.
      else if (held.visits.size === 0) this.#drop(channel)
    }
    return visit
  }

  /** All that was granted, for a stream that continues another. */
  grants(): ReadonlyMap<string, Grant> {
    return new Map([...this.#held].map(([channel, { grant }]) => [channel, grant]))
  }

  live(channel: string): Grant | undefined {
    const held = this.#held.get(channel)
    return held?.isLive === true ? held.grant : undefined
  }

  /** True when the page has not seen this state of the channel's list; from now on it has. */
  sees(channel: string, listed: number): boolean {
    const held = this.#held.get(channel)
    if (held === undefined || held.seen === listed) return false
    held.seen = listed
    return true
  }

  grant(channel: string): Grant | undefined {
    return this.#held.get(channel)?.grant
  }

  /** What other nodes may know of it. The secret of an encrypted channel is for its page alone. */
  record(): GrantedChannels {
    const record = new Map<string, Member | null>()
    for (const [channel, { grant, isLive }] of this.#held) {
      if (isLive && grant.sharedSecret === undefined) record.set(channel, grant.member ?? null)
    }
    return record
  }

  granted(visit: Visit, channel: string, grant: Grant): void {
    const held = this.#held.get(channel) ?? { grant, visits: new Set(), isLive: false, seen: null, timer: null }
    held.grant = grant
    held.isLive = true
    this.#claim(held, visit)
    this.#held.set(channel, held)
    this.#options.onChange(this)
  }

  /** Laravel says no to this stream; `keepMs` is 0 when the answer is final. */
  denied(visit: Visit, channel: string, keepMs: number): void {
    const held = this.#held.get(channel)
    if (held === undefined || !held.visits.delete(visit) || held.visits.size > 0) return
    if (keepMs === 0) this.#drop(channel)
    else this.#linger(channel, held, keepMs)
  }

  ended(visit: Visit, keepMs: number): void {
    this.#visits.delete(visit)
    for (const [channel, held] of this.#held) {
      if (!held.visits.delete(visit) || held.visits.size > 0) continue
      // Another stream of the page goes on without the channel, so it has left it.
      if (this.#visits.size > 0) this.#drop(channel)
      else this.#linger(channel, held, keepMs)
    }
    this.#forgetIfEmpty()
  }

  leave(): void {
    for (const channel of [...this.#held.keys()]) this.#drop(channel)
    for (const visit of [...this.#visits]) visit.hooks.onLeft()
  }

  revoke(revocation: Revocation): number {
    const userId = this.#userId()
    const channels = [...this.#held.keys()].filter((channel) =>
      covers(revocation, { socketId: this.id, channel, userId }),
    )
    for (const channel of channels) {
      const visits = this.#held.get(channel)?.visits ?? []
      this.#drop(channel)
      for (const { hooks } of visits) hooks.onRevoked(channel)
    }
    return channels.length
  }

  stop(): void {
    for (const held of this.#held.values()) this.#calm(held)
  }

  #claim(held: Held, visit: Visit): void {
    this.#calm(held)
    held.visits.add(visit)
  }

  #linger(channel: string, held: Held, keepMs: number): void {
    this.#calm(held)
    held.timer = setTimeout(() => this.#goneFor(channel, held, keepMs), keepMs).unref()
  }

  #goneFor(channel: string, held: Held, goneMs: number): void {
    const keepMs = this.#options.grantMs - goneMs
    if (keepMs <= 0) {
      this.#drop(channel)
      return
    }
    this.#endLife(channel, held)
    this.keepMs = keepMs
    held.timer = setTimeout(() => this.#drop(channel), keepMs).unref()
  }

  #drop(channel: string): void {
    const held = this.#held.get(channel)
    if (held === undefined) return
    this.#calm(held)
    this.#held.delete(channel)
    if (this.#held.size === 0) this.keepMs = 0
    this.#endLife(channel, held)
    this.#forgetIfEmpty()
  }

  #endLife(channel: string, held: Held): void {
    const wasLive = held.isLive
    held.isLive = false
    if (wasLive) this.#options.onLeave(channel, this.id)
    this.#options.onChange(this)
  }

  #calm(held: Held): void {
    if (held.timer !== null) clearTimeout(held.timer)
    held.timer = null
  }

  #forgetIfEmpty(): void {
    if (this.#held.size === 0 && this.#visits.size === 0) this.#options.onForgotten()
  }

  #userId(): string | null {
    for (const { grant } of this.#held.values()) if (grant.member !== undefined) return grant.member.id
    return null
  }
}

/** One open stream of a page, or the answer of one long-poll. */
export class Visit {
  readonly hooks: VisitHooks
  readonly #socket: Socket

  constructor(socket: Socket, hooks: VisitHooks) {
    this.#socket = socket
    this.hooks = hooks
  }

  granted(channel: string, grant: Grant): void {
    this.#socket.granted(this, channel, grant)
  }

  grant(channel: string): Grant | undefined {
    return this.#socket.grant(channel)
  }

  /** As Socket.sees. */
  sees(channel: string, listed: number): boolean {
    return this.#socket.sees(channel, listed)
  }

  /** Refused; what an earlier stream was granted is kept for `keepMs` more. */
  denied(channel: string, keepMs: number): void {
    this.#socket.denied(this, channel, keepMs)
  }

  /** The stream is over; the page counts as present for `keepMs` more. */
  ended(keepMs: number): void {
    this.#socket.ended(this, keepMs)
  }
}
