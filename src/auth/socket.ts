import type { Grant, Member } from './authorizer.ts'
import type { GrantedChannels } from './grant-store.ts'
import { type Revocation, revokedChannels } from './revocation.ts'
import { Visit, type VisitHooks } from './visit.ts'

export type SocketOptions = {
  readonly grantMs: number
  /** How old Laravel's word may be before it is asked again, ms; 0: any age. */
  readonly recheckMs: number
  readonly now: () => number
  readonly onLeave: (channel: string, socketId: string) => void
  /** What is live, or kept, is another now. */
  readonly onChange: (socketId: string) => void
  /** Nothing is known of it any more. */
  readonly onForgotten: (socket: Socket) => void
}

/** What was granted before. */
export type KnownGrant = {
  readonly grant: Grant
  /** Laravel is to be asked again, unless it is away. */
  readonly isDue: boolean
}

/** One guarded channel that a socket was granted. */
type Held = {
  grant: Grant
  /** When Laravel said so last. */
  saidAtMs: number
  /** Open streams that have it or have asked for it again. */
  readonly visits: Set<Visit>
  /** Since when no stream has been granted it; null while one is. */
  awaySinceMs: number | null
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

  constructor(id: string, options: SocketOptions) {
    this.id = id
    this.#options = options
  }

  /** True while a stream of it is open at this node. */
  get isOpen(): boolean {
    return this.#visits.size > 0
  }

  get isEmpty(): boolean {
    return this.#held.size === 0
  }

  /** How long what is left is kept, ms. */
  get keepMs(): number {
    const left = [...this.#held.values()].map(({ awaySinceMs }) => this.#keepMsOf(awaySinceMs))
    return Math.max(0, ...left)
  }

  visit(wanted: ReadonlySet<string>, hooks: VisitHooks): Visit {
    const visit = new Visit(this, wanted, hooks)
    this.#visits.add(visit)
    for (const [channel, held] of this.#held) {
      if (wanted.has(channel)) this.#claim(held, visit)
      // It comes back without the channel, so it has left it.
      else if (held.visits.size === 0) this.#drop(channel)
    }
    return visit
  }

  /** All that was granted and still counts, for a stream that continues another. */
  known(): ReadonlyMap<string, KnownGrant> {
    const { now, recheckMs } = this.#options
    const counting = [...this.#held].filter(([, { awaySinceMs }]) => this.#keepMsOf(awaySinceMs) > 0)
    return new Map(
      counting.map(([channel, { grant, saidAtMs }]) => {
        const isDue = recheckMs > 0 && now() - saidAtMs >= recheckMs
        return [channel, { grant, isDue }]
      }),
    )
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

  grant(visit: Visit, channel: string): Grant | undefined {
    const held = this.#held.get(channel)
    return held?.visits.has(visit) === true ? held.grant : undefined
  }

  /** True when Laravel has named this user for it on any of its channels. */
  isOf(user: string): boolean {
    return [...this.#held.values()].some(({ grant }) => grant.member?.id === user)
  }

  /** What other nodes may know of it. The secret of an encrypted channel is for its page alone. */
  record(): GrantedChannels {
    const told = [...this.#held].filter(([, { isLive, grant }]) => isLive && grant.sharedSecret === undefined)
    return new Map(told.map(([channel, { grant }]) => [channel, grant.member ?? null]))
  }

  granted(visit: Visit, channel: string, grant: Grant): void {
    const held = this.#held.get(channel) ?? this.#hold(channel, grant)
    // The same once more is what was known, and no new word of Laravel's.
    if (held.grant !== grant) held.saidAtMs = this.#options.now()
    held.grant = grant
    held.isLive = true
    held.awaySinceMs = null
    this.#claim(held, visit)
    // A stream that still waits for its answer has the channel too: the page has not left when this one ends first.
    for (const other of this.#visits) if (other.isAsking(channel)) this.#claim(held, other)
    this.#options.onChange(this.id)
  }

  confirmed(channel: string): void {
    const held = this.#held.get(channel)
    if (held !== undefined) held.saidAtMs = this.#options.now()
  }

  /** Laravel says no to this stream; `keepMs` is 0 when the answer is final. */
  denied(visit: Visit, channel: string, keepMs: number): void {
    const held = this.#held.get(channel)
    if (held === undefined || !held.visits.delete(visit) || held.visits.size > 0) return
    if (keepMs === 0) this.#drop(channel)
    else this.#linger(channel, held, keepMs)
  }

  ended(visit: Visit, keepMs: number): void {
    if (!this.#visits.delete(visit)) return
    for (const [channel, held] of this.#held) {
      if (!held.visits.delete(visit) || held.visits.size > 0) continue
      // Another stream of the page goes on without the channel, so it has left it.
      if (this.isOpen) this.#drop(channel)
      else this.#linger(channel, held, keepMs)
    }
    this.#forgetIfEmpty()
  }

  leave(): void {
    for (const channel of [...this.#held.keys()]) this.#drop(channel)
    this.#end('left')
  }

  /** Between its streams it no longer counts as present. */
  endLinger(): void {
    for (const [channel, held] of [...this.#held]) {
      if (held.visits.size > 0 || !held.isLive) continue
      this.#calm(held)
      this.#lingered(channel, held)
    }
  }

  revoke(revocation: Revocation): number {
    const channels = this.#members()
    for (const visit of this.#visits) visit.heard(revocation, channels)
    const revoked = revokedChannels(revocation, this.id, channels)
    if (revocation.terminate && revoked.length > 0) this.#end('terminated')
    for (const channel of revoked) {
      // First the page: with a broker in this process it would otherwise be told that its own member leaves.
      for (const { hooks } of [...(this.#held.get(channel)?.visits ?? [])]) hooks.onRevoked(channel)
      this.#drop(channel)
    }
    return revoked.length
  }

  stop(): void {
    for (const held of this.#held.values()) this.#calm(held)
  }

  #end(reason: 'left' | 'terminated'): void {
    for (const visit of [...this.#visits]) visit.hooks.onOver(reason)
  }

  #members(): GrantedChannels {
    return new Map<string, Member | null>(
      [...this.#held].map(([channel, { grant }]) => [channel, grant.member ?? null]),
    )
  }

  #hold(channel: string, grant: Grant): Held {
    const held: Held = {
      grant,
      saidAtMs: this.#options.now(),
      visits: new Set(),
      awaySinceMs: null,
      isLive: false,
      seen: null,
      timer: null,
    }
    this.#held.set(channel, held)
    return held
  }

  #claim(held: Held, visit: Visit): void {
    this.#calm(held)
    held.visits.add(visit)
  }

  #linger(channel: string, held: Held, lingerMs: number): void {
    this.#calm(held)
    held.awaySinceMs ??= this.#options.now()
    held.timer = setTimeout(() => this.#lingered(channel, held), lingerMs).unref()
  }

  #lingered(channel: string, held: Held): void {
    const keepMs = this.#keepMsOf(held.awaySinceMs)
    if (keepMs <= 0) {
      this.#drop(channel)
      return
    }
    held.timer = setTimeout(() => this.#drop(channel), keepMs).unref()
    this.#endLife(channel, held)
  }

  #keepMsOf(awaySinceMs: number | null): number {
    const { grantMs, now } = this.#options
    return awaySinceMs === null ? grantMs : awaySinceMs + grantMs - now()
  }

  #drop(channel: string): void {
    const held = this.#held.get(channel)
    if (held === undefined) return
    this.#calm(held)
    this.#held.delete(channel)
    this.#endLife(channel, held)
    this.#forgetIfEmpty()
  }

  #endLife(channel: string, held: Held): void {
    const wasLive = held.isLive
    held.isLive = false
    if (wasLive) this.#options.onLeave(channel, this.id)
    this.#options.onChange(this.id)
  }

  #calm(held: Held): void {
    if (held.timer !== null) clearTimeout(held.timer)
    held.timer = null
  }

  #forgetIfEmpty(): void {
    if (this.isEmpty && !this.isOpen) this.#options.onForgotten(this)
  }
}
