import type { Grant, Member } from './authorizer.ts'
import type { GrantStore } from './grant-store.ts'
import type { Revocation } from './revocation.ts'
import { SharedGrants } from './shared-grants.ts'
import { type KnownGrant, Socket } from './socket.ts'
import type { Visit, VisitHooks } from './visit.ts'

export type GrantsOptions = {
  /** How long a page that comes back need not be asked about again, ms; 0: always ask. */
  readonly grantMs: number
  /** How old Laravel's word may be before it is asked again, ms. Default 0: any age. */
  readonly recheckMs?: number
  /** What other nodes are told; null when there are none. */
  readonly store: GrantStore | null
  /** A socket no longer counts as present on a guarded channel. */
  readonly onLeave: (channel: string, socketId: string) => void
  /** Other nodes may not know that a revocation concerns them: they are to hear this one too. */
  readonly onRevokedElsewhere?: (revocation: Revocation) => void
  readonly onError: (error: unknown) => void
  /** Milliseconds since whenever. */
  readonly now?: () => number
}

/** How much later the record of a socket is looked for again. */
const SECOND_LOOK_MS = 100

/**
 * What each socket has been granted: at this node while a stream of it is open, and a little longer; at other nodes
 * as far as they tell. It saves questions to Laravel, judges whispers, and is what a revocation takes away.
 */
export class Grants {
  readonly #options: GrantsOptions
  // No wall clock: nobody's grant is to last longer because somebody has set it.
  readonly #now: () => number
  readonly #sockets = new Map<string, Socket>()
  readonly #shared: SharedGrants | null

  constructor(options: GrantsOptions) {
    const { store, grantMs, onError, now = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#shared = store && new SharedGrants({ store, sockets: this.#sockets, grantMs, onError, now })
  }

  /** Sockets with a guarded channel, those included that may come back. */
  get size(): number {
    return this.#sockets.size
  }

  /** A stream of this socket begins and asks for these guarded channels. Channels it goes on without are left. */
  visit(socketId: string, wanted: ReadonlySet<string>, hooks: VisitHooks): Visit | null {
    let socket = this.#sockets.get(socketId)
    if (socket === undefined) {
      if (wanted.size === 0) return null
      socket = this.#open(socketId)
      this.#sockets.set(socketId, socket)
    }
    return socket.visit(wanted, hooks)
  }

  /** What a page that comes back was granted before, and need not be asked about. Never rejects. */
  async continuing(socketId: string): Promise<ReadonlyMap<string, KnownGrant>> {
    const { grantMs, recheckMs = 0 } = this.#options
    if (grantMs === 0) return new Map()
    const socket = this.#sockets.get(socketId)
    if (socket?.isEmpty === false) return socket.known()
    const records = (await this.#shared?.find(socketId)) ?? []
    // When Laravel was asked is not on record.
    const isDue = recheckMs > 0
    const known = records.flatMap(({ channels }) => [...channels])
    return new Map(known.map(([channel, member]) => [channel, { grant: grantOf(member), isDue }]))
  }

  /** The grant with which a socket may whisper on a channel at this moment; null when it has none. Never rejects. */
  async live(socketId: string, channel: string): Promise<Grant | null> {
    const own = this.#sockets.get(socketId)?.live(channel)
    if (own !== undefined) return own
    return (await this.#liveElsewhere(socketId, channel)) ?? null
  }

  /** What other nodes keep for a page that says it is gone. Rejects when they cannot be told. */
  async forget(socketId: string): Promise<void> {
    await this.#shared?.forget(socketId)
  }

  /** The page has gone: nothing is kept for it, and its streams end. */
  leave(socketId: string): void {
    this.#sockets.get(socketId)?.leave()
  }

  /** Takes away what the revocation names; `id` as in GrantStore. Returns how many grants that were. */
  revoke(revocation: Revocation, id: string | null = null): number {
    this.#shared?.revoke(revocation, id)
    return this.#take(revocation)
  }

  /** Something may have been missed: what was revoked meanwhile is taken away too. Never rejects. */
  async refresh(): Promise<void> {
    await this.#shared?.catchUp((revocation) => this.#take(revocation))
  }

  /** Nobody waits any longer for pages between two streams: all others have seen them leave. */
  endLinger(): void {
    for (const socket of [...this.#sockets.values()]) socket.endLinger()
  }

  /** What this node has told the others is worth nothing any more: tells it again. */
  tellAgain(): void {
    for (const [socketId, socket] of this.#sockets) if (socket.record().size > 0) this.#shared?.changed(socketId)
  }

  stop(): void {
    this.#shared?.stop()
    for (const socket of this.#sockets.values()) socket.stop()
    this.#sockets.clear()
  }

  async #liveElsewhere(socketId: string, channel: string, isSecondLook = false): Promise<Grant | undefined> {
    const records = await this.#shared?.find(socketId)
    const record = records?.find(({ isLive, channels }) => isLive && channels.has(channel))
    if (record !== undefined) return grantOf(record.channels.get(channel) ?? null)
    if (records === undefined || isSecondLook) return undefined
    // A page may whisper the moment it is told that it may, and its node tells the others at the same moment.
    await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS))
    return this.#liveElsewhere(socketId, channel, true)
  }

  #take(revocation: Revocation): number {
    const { user, socket: socketId } = revocation
    const passOn = this.#shared === null ? undefined : this.#options.onRevokedElsewhere
    const named = socketId === null ? [...this.#sockets.values()] : [this.#sockets.get(socketId)]
    let count = 0
    for (const socket of named) {
      // Where a page has only channels for which Laravel named nobody, or is about to, nobody knows whose page it is.
      if (user !== null && socket?.isOf(user) === true) passOn?.({ ...revocation, user: null, socket: socket.id })
      count += socket?.revoke(revocation) ?? 0
    }
    return count
  }

  #open(socketId: string): Socket {
    const { grantMs, recheckMs = 0, onLeave } = this.#options
    return new Socket(socketId, {
      grantMs,
      recheckMs,
      now: this.#now,
      onLeave,
      onChange: () => this.#shared?.changed(socketId),
      onForgotten: (socket) => {
        if (this.#sockets.get(socketId) === socket) this.#sockets.delete(socketId)
      },
    })
  }
}

function grantOf(member: Member | null): Grant {
  return member === null ? { allowed: true } : { allowed: true, member }
}
