import type { Redis } from 'ioredis'
import { openRedis, type RedisAddress, type RedisNode } from './redis-connection.ts'
import { isRefusal } from './redis-errors.ts'

export type RelayConnectionOptions = {
  address: RedisAddress
  pattern: string
  /** Which node of a cluster to listen at; undefined where the address says enough. */
  findNode(): Promise<RedisNode | undefined>
  /** Redis has acknowledged the subscription. */
  onSubscribed(): void
  onMessage(channel: Buffer, payload: Buffer): void
  /** A subscription is gone: what is published from here on is not heard. */
  onLost(): void
  onError(error: unknown): void
}

/** How long to wait before a server that said no is asked again. */
const ASK_AGAIN_MS = 1000

/** The one connection everything is heard on: a PSUBSCRIBE and nothing else. It comes back by itself. */
export class RelayConnection {
  readonly #options: RelayConnectionOptions
  #redis: Redis | null = null
  #isSubscribed = false
  #isStopped = false

  constructor(options: RelayConnectionOptions) {
    this.#options = options
  }

  get isSubscribed(): boolean {
    return this.#isSubscribed && !this.#isStopped
  }

  start(): void {
    this.#connect().catch((error: unknown) => {
      this.#options.onError(error)
      this.#startAgain(ASK_AGAIN_MS)
    })
  }

  /** Gives up a connection that hears nothing; another one follows. */
  replace(): void {
    this.#redis?.disconnect(true)
  }

  stop(): void {
    this.#isStopped = true
    this.#redis?.disconnect()
  }

  async #connect(): Promise<void> {
    const { address, findNode, onMessage, onError } = this.#options
    const node = await findNode()
    if (this.#isStopped) return
    const redis = openRedis(address, { autoResubscribe: false, maxRetriesPerRequest: 0 }, node)
    this.#redis = redis
    redis.on('error', onError)
    redis.on('ready', () => this.#subscribe(redis))
    redis.on('close', () => this.#lost())
    redis.on('pmessageBuffer', (_pattern: Buffer, channel: Buffer, payload: Buffer) => onMessage(channel, payload))
    // In a cluster the node to listen at may be another one after each loss.
    if (node !== undefined) redis.once('close', () => this.#leaveNode(redis))
    redis.connect().catch(() => {}) // Told by 'error'; ioredis tries again by itself.
  }

  async #subscribe(redis: Redis): Promise<void> {
    try {
      await redis.psubscribe(this.#options.pattern)
    } catch (error) {
      // A connection that broke meanwhile is told by 'error' and comes back by itself.
      if (isRefusal(error)) this.#refused(redis, error)
      return
    }
    if (this.#isStopped) return
    this.#isSubscribed = true
    this.#options.onSubscribed()
  }

  #refused(redis: Redis, error: unknown): void {
    this.#options.onError(error)
    setTimeout(() => {
      if (!this.#isSubscribed && !this.#isStopped) redis.disconnect(true)
    }, ASK_AGAIN_MS).unref()
  }

  #lost(): void {
    if (!this.#isSubscribed) return
    this.#isSubscribed = false
    this.#options.onLost()
  }

  #leaveNode(redis: Redis): void {
    redis.disconnect()
    this.#startAgain(100 + Math.random() * 400)
  }

  #startAgain(delayMs: number): void {
    if (this.#isStopped) return
    setTimeout(() => {
      if (!this.#isStopped) this.start()
    }, delayMs).unref()
  }
}
