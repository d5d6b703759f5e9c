import type { Grant, Member } from './authorizer.ts'
import type { GrantedChannels, GrantStore } from './grant-store.ts'
import { type Revocation, RevocationLog } from './revocation.ts'
import { Socket, type Visit, type VisitHooks } from './socket.ts'

export type GrantsOptions = {
  /** How long a page that comes back need not be asked about again, ms; 0: always ask. */
  readonly grantMs: number
  /** What other nodes are told; null when there are none. */
  readonly store: GrantStore | null
  /** A socket no longer counts as present on a guarded channel. */
  readonly onLeave: (channel: string, socketId: string) => void
  readonly onError: (error: unknown) => void
  readonly now?: () => number
}

/** How long another node's answer is waited for before Laravel is asked instead. */
const PATIENCE_MS = 1000

/**
 * What each socket has been granted: at this node while a stream of it is open, and a little longer; at other nodes
 * as far as they tell. It saves questions to Laravel, judges whispers, and is what a revocation takes away.
 */
export class Grants {
  readonly #options: GrantsOptions
  readonly #sockets = new Map<string, Socket>()
  readonly #changed = new Set<Socket>()
  readonly #revocations: RevocationLog

  constructor(options: GrantsOptions) {
    this.#options = options
    this.#revocations = new RevocationLog({ keepMs: options.grantMs + 1000, now: options.now ?? Date.now })
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
  async continuing(socketId: string): Promise<ReadonlyMap<string, Grant>> {
    if (this.#options.grantMs === 0) return new Map()
    const own = this.#sockets.get(socketId)?.grants()
    if (own !== undefined && own.size > 0) return own
    const record = await this.#find(socketId)
    const grants = new Map<string, Grant>()
    for (const [channel, member] of record?.channels ?? []) {
      if (this.#revocations.covers({ socketId, channel, userId: userOf(record?.channels, member) })) continue
      grants.set(channel, member === null ? { allowed: true } : { allowed: true, member })
    }
    return grants
  }

  /** The grant with which a socket may whisper on a channel at this moment; null when it has none. Never rejects. */
  async live(socketId: string, channel: string): Promise<Grant | null> {
    const own = this.#sockets.get(socketId)?.live(channel)
    if (own !== undefined) return own
    const record = await this.#find(socketId)
    const member = record?.channels.get(channel)
    if (record?.isLive !== true || member === undefined) return null
    if (this.#revocations.covers({ socketId, channel, userId: userOf(record.channels, member) })) return null
    return member === null ? { allowed: true } : { allowed: true, member }
  }

  /** The page has gone: nothing is kept for it, and its streams end. */
  leave(socketId: string): void {
    this.#sockets.get(socketId)?.leave()
  }

  /** Takes away what the revocation names. Returns how many grants that were. */
  revoke(revocation: Revocation): number {
    this.#revocations.add(revocation)
    const { socket: socketId } = revocation
    const named = socketId === null ? this.#sockets.values() : [this.#sockets.get(socketId)]
    let count = 0
    for (const socket of [...named]) count += socket?.revoke(revocation) ?? 0
    return count
  }

  /** What this node has told the others is worth nothing any more: tells it again. */
  tellAgain(): void {
    for (const socket of this.#sockets.values()) if (socket.record().size > 0) this.#tellLater(socket)
  }

  stop(): void {
    for (const socket of this.#sockets.values()) socket.stop()
    this.#sockets.clear()
  }

  #open(socketId: string): Socket {
    const { grantMs, onLeave } = this.#options
    return new Socket(socketId, {
      grantMs,
      onLeave,
      onChange: (socket) => this.#tellLater(socket),
      onForgotten: () => this.#sockets.delete(socketId),
    })
  }

  async #find(socketId: string) {
    const { store, onError } = this.#options
    if (store === null) return null
    let impatience: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      impatience = setTimeout(() => resolve(null), PATIENCE_MS).unref()
    })
    const found = store.find(socketId).catch((error: unknown) => {
      onError(error)
      return null
    })
    return Promise.race([found, late]).finally(() => clearTimeout(impatience))
  }

  // At the end of the turn: what is granted together is told together.
  #tellLater(socket: Socket): void {
    if (this.#options.store === null) return
    if (this.#changed.size === 0) setImmediate(() => this.#tell())
    this.#changed.add(socket)
  }

  #tell(): void {
    const { store, onError } = this.#options
    for (const socket of this.#changed) {
      const live = socket.record()
      const told = live.size > 0 ? store?.write(socket.id, live) : store?.release(socket.id, socket.keepMs)
      told?.catch(onError)
    }
    this.#changed.clear()
  }
}

/** Who the socket is, as far as any of its channels tells. */
function userOf(channels: GrantedChannels | undefined, member: Member | null): string | null {
  if (member !== null) return member.id
  for (const other of channels?.values() ?? []) if (other !== null) return other.id
  return null
}
