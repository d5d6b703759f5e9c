import { type HashTagOptions, hashTag } from '../broker/hash-tag.ts'
import type { Commands } from '../broker/redis-connection.ts'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { formatPosition, type Position, parsePosition } from '../history/position.ts'
import type { RedisLease } from '../presence/redis-lease.ts'
import { type CachedEvent, isNewer, type LastEvent, type LastEvents } from './last-events.ts'
import { type CacheScripts, withCacheScripts } from './redis-scripts.ts'
import { Unwritten } from './unwritten.ts'

export type RedisLastEventsOptions = HashTagOptions & {
  /** Whose connection is used; the presence store starts and stops it. */
  readonly lease: RedisLease
  /** 0 keeps none. */
  readonly cacheTtlS: number
}

/**
 * Of a service of many nodes. Every node writes what it hears, behind the relay's back; while Redis is away that is
 * dropped, and the next event heals it.
 */
export class RedisLastEvents implements LastEvents {
  readonly #lease: RedisLease
  readonly #ttlS: number
  readonly #keyPrefix: string
  readonly #unwritten = new Unwritten()
  #commands: (Commands & CacheScripts) | null = null
  #writing: Promise<void> | null = null
  /** Questions that are on their way: whoever asks the same meanwhile shares the answer. */
  readonly #reading = new Map<string, Promise<LastEvent | null>>()

  constructor(options: RedisLastEventsOptions) {
    this.#lease = options.lease
    this.#ttlS = options.cacheTtlS
    const tag = hashTag(options)
    // The tag stands before what others choose: the first braces of a key count.
    this.#keyPrefix = `${options.redisPrefix}${RESERVED_PREFIX}cache:${tag === '' ? '' : `${tag}:`}`
  }

  heard(channel: string, payload: Buffer, position: Position): void {
    if (this.#ttlS === 0) return
    this.#unwritten.add(channel, { payload, position })
    this.#writing ??= this.#write()
  }

  async read(channel: string): Promise<LastEvent | null> {
    if (this.#ttlS === 0) return null
    // Looked up now and not when Redis has answered: it may by then be written, after Redis has read.
    const own = this.#unwritten.get(channel)
    const stored = await this.#share(channel)
    if (own === undefined || (stored !== null && isNewer(stored.position, own.position))) return stored
    return { ...own, ttlS: this.#ttlS }
  }

  async stop(): Promise<void> {
    await this.#writing
  }

  // At the end of the turn, so that what came in one piece is written in one piece.
  async #write(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    while (!this.#unwritten.isEmpty) {
      const batch = [...this.#unwritten.takeBatch()]
      // The lease has said what is wrong.
      await this.#ask((commands) => this.#writeBatch(commands, batch)).catch(() => this.#unwritten.drop())
    }
    this.#unwritten.drop()
    this.#writing = null
  }

  #writeBatch(commands: CacheScripts, batch: readonly (readonly [string, CachedEvent])[]): Promise<number> {
    const keys = batch.map(([channel]) => this.#keyPrefix + channel)
    const events = batch.flatMap(([, { position, payload }]) => [formatPosition(position), payload])
    return commands.sseWriteCache(keys.length, ...keys, this.#ttlS * 1000, ...events)
  }

  // Redis answers in order: what a shared question could have missed was heard after it was put, and is not known to be
  // written before it is answered.
  #share(channel: string): Promise<LastEvent | null> {
    let answer = this.#reading.get(channel)
    if (answer === undefined) {
      answer = this.#readStored(channel).finally(() => this.#reading.delete(channel))
      this.#reading.set(channel, answer)
    }
    return answer
  }

  async #readStored(channel: string): Promise<LastEvent | null> {
    const key = this.#keyPrefix + channel
    const [place, payload, ttlMs] = await this.#ask((commands) => commands.sseReadCacheBuffer(key))
    const position = place === null ? null : parsePosition(place.toString())
    if (position === null || payload === null) return null
    return { payload, position, ttlS: Math.max(Math.ceil(ttlMs / 1000), 0) }
  }

  #ask<T>(command: (commands: CacheScripts) => Promise<T>): Promise<T> {
    return this.#lease.ask((commands) => {
      this.#commands ??= withCacheScripts(commands)
      return command(this.#commands)
    })
  }
}
