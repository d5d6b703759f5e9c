import type { GrantedChannels, GrantRecord, GrantStore } from './grant-store.ts'
import { type Revocation, RevocationLog } from './revocation.ts'
import type { Socket } from './socket.ts'

export type SharedGrantsOptions = {
  readonly store: GrantStore
  /** Sockets of this node. */
  readonly sockets: ReadonlyMap<string, Socket>
  /** How long the record of a socket that has left is kept, ms. */
  readonly grantMs: number
  readonly onError: (error: unknown) => void
  readonly now: () => number
}

/** How long another node's answer is waited for before Laravel is asked instead. */
const PATIENCE_MS = 1000
/** What could not be told is told again after this. */
const RETRY_MS = 1000
/** Two nodes hear the same revocation within this. */
const ECHO_MS = 2000
/** The record of a node that stopped, and so hears of no revocation, outlives it by its lease. */
const RECORDS_OUTLIVE_MS = 60_000

/** What this node tells the others of its sockets, and learns from them. */
export class SharedGrants {
  readonly #options: SharedGrantsOptions
  readonly #untold = new Set<string>()
  readonly #failed = new Set<string>()
  /** Revocations that this node knows of. */
  readonly #heard: RevocationLog
  /** Those that the store does not know yet. */
  readonly #unstored: RevocationLog
  #retry: NodeJS.Timeout | null = null
  #catchUpAgain: NodeJS.Timeout | null = null
  #isStopped = false

  constructor(options: SharedGrantsOptions) {
    this.#options = options
    const memory = { keepMs: this.#keepRevocationsMs, now: options.now }
    this.#heard = new RevocationLog(memory)
    this.#unstored = new RevocationLog(memory)
  }

  /** Something is another now. At the end of the turn: what is granted together is told together. */
  changed(socketId: string): void {
    if (this.#isStopped) return
    if (this.#untold.size === 0) setImmediate(() => this.#tellAll())
    this.#untold.add(socketId)
  }

  /** Whichever node keeps it. */
  forget(socketId: string): Promise<void> {
    return this.#options.store.forget(socketId)
  }

  /** What other nodes know of a socket; undefined when the store does not say. Never rejects, nor waits for long. */
  async find(socketId: string): Promise<readonly GrantRecord[] | undefined> {
    const { store, onError } = this.#options
    let impatience: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      impatience = setTimeout(() => resolve(undefined), PATIENCE_MS).unref()
    })
    const found = store.find(socketId).catch((error: unknown) => {
      onError(error)
      return undefined
    })
    const records = await Promise.race([found, late]).finally(() => clearTimeout(impatience))
    return records?.map(({ isLive, channels }) => ({ isLive, channels: this.#unstored.without(socketId, channels) }))
  }

  /** `id` as in GrantStore. */
  revoke(revocation: Revocation, id: string | null): void {
    const { store, onError } = this.#options
    this.#heard.add(revocation)
    this.#unstored.add(revocation)
    store.revoke(revocation, this.#keepRevocationsMs, id).then(() => this.#unstored.delete(revocation), onError)
  }

  /** Hands over what was revoked while this node heard nothing; tries until the store answers. Never rejects. */
  async catchUp(revoke: (revocation: Revocation) => void): Promise<void> {
    const { store, onError } = this.#options
    if (this.#catchUpAgain !== null) clearTimeout(this.#catchUpAgain)
    this.#catchUpAgain = null
    try {
      for (const { revocation, agoMs } of await store.revocations()) {
        const heardAgoMs = this.#heard.agoMs(revocation) ?? Number.POSITIVE_INFINITY
        if (heardAgoMs <= agoMs + ECHO_MS || this.#isStopped) continue
        this.#heard.add(revocation)
        revoke(revocation)
      }
    } catch (error) {
      onError(error)
      if (this.#isStopped) return
      this.#catchUpAgain = setTimeout(() => this.catchUp(revoke).catch(onError), RETRY_MS).unref()
    }
  }

  /** Tells what is still untold, and nothing after that. */
  stop(): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#catchUpAgain !== null) clearTimeout(this.#catchUpAgain)
    this.#tellAll()
    this.#isStopped = true
  }

  get #keepRevocationsMs(): number {
    return this.#options.grantMs + RECORDS_OUTLIVE_MS
  }

  #tellAll(): void {
    const untold = [...this.#untold]
    this.#untold.clear()
    for (const socketId of untold) {
      this.#tell(socketId).catch((error: unknown) => {
        this.#options.onError(error)
        this.#tellAgain(socketId)
      })
    }
  }

  async #tell(socketId: string): Promise<void> {
    const { store, sockets } = this.#options
    const socket = sockets.get(socketId)
    const record: GrantedChannels = socket?.record() ?? new Map()
    if (record.size === 0) await store.release(socketId, socket?.keepMs ?? 0)
    // Between its streams it is granted nothing here, and what is revoked meanwhile the store knows by the revocation.
    else if (socket?.isOpen === true) await store.write(socketId, record)
  }

  // A record that nobody takes back would count for a day.
  #tellAgain(socketId: string): void {
    if (this.#isStopped) return
    this.#failed.add(socketId)
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.#tellFailed().catch(this.#options.onError)
    }, RETRY_MS).unref()
  }

  // One after the other, and only until one fails: a store that is away is not asked about thousands.
  async #tellFailed(): Promise<void> {
    for (const socketId of this.#failed) {
      if (this.#isStopped) return
      this.#failed.delete(socketId)
      try {
        await this.#tell(socketId)
      } catch {
        this.#tellAgain(socketId)
        return
      }
    }
  }
}
