import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { GatewayError } from '../errors.ts'
import { type Broker, type BrokerListener, ONCE_FOR_MS, type Publication } from './broker.ts'
import { Clock, parseMarker } from './clock.ts'
import { hashTag } from './hash-tag.ts'
import { relayPattern } from './pattern.ts'
import {
  type Commands,
  databaseOf,
  describeRedis,
  openCommands,
  type RedisAddress,
  type RedisNode,
} from './redis-connection.ts'
import { explainRedisError, isPermanent, isRefusal, isReplica } from './redis-errors.ts'
import { RelayConnection } from './redis-relay.ts'
import { type Scripts, withScripts } from './redis-scripts.ts'

/** A gateway that runs offers its secret at the marker that a newcomer waits for: so long it gets to be first. */
const SECRET_HEAD_START_MS = 100

export type RedisBrokerOptions = RedisAddress & {
  redisPrefix: string
  markerIntervalMs: number
  readyTimeoutMs: number
}

type RedisBrokerHooks = {
  logger: Logger
  /** Counted: how often the relay connection was lost. */
  onLost?: () => void
}

/** Hears Laravel through one PSUBSCRIBE; the order of that connection is the order of everything. */
export class RedisBroker implements Broker {
  readonly kind = 'redis'
  readonly #options: RedisBrokerOptions
  readonly #logger: Logger
  readonly #onLost: () => void
  readonly #where: string
  readonly #clockKey: string
  readonly #clockChannel: string
  /** What the keys begin with that remember what was published once. */
  readonly #onceKey: string
  readonly #prefixBytes: number
  /** How long something may not come back before that means something. */
  readonly #patienceMs: number
  readonly #commands: Commands & Scripts
  readonly #relay: RelayConnection
  #clock: Clock | null = null
  #isStopped = false
  #subscribedAtMs = 0
  /** When anything of the gateways' own was heard last. */
  #heardAtMs = Number.NEGATIVE_INFINITY
  /** Since when nothing was heard although a marker or canary was sent; null when all came back. */
  #unheardSinceMs: number | null = null
  #timer: NodeJS.Timeout | null = null
  /** Trouble that was told since the last marker went through. */
  readonly #complaints = new Set<string>()
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null

  constructor(options: RedisBrokerOptions, { logger, onLost = () => {} }: RedisBrokerHooks) {
    const { redisPrefix, readyTimeoutMs } = options
    this.#options = options
    this.#logger = logger
    this.#onLost = onLost
    this.#where = describeRedis(options)
    this.#clockKey = `${redisPrefix}${RESERVED_PREFIX}clock`
    // Pub/sub knows no databases, the clock lives in one: two applications that share a server and a prefix must
    // not take each other's clock for a restart.
    const database = databaseOf(options)
    this.#clockChannel = `${RESERVED_PREFIX}clock${database === 0 ? '' : `:${database}`}`
    // The tag stands before what others choose: the first braces of a key count.
    this.#onceKey = `${redisPrefix}${RESERVED_PREFIX}once:${hashTag(options)}`
    this.#prefixBytes = Buffer.byteLength(redisPrefix)
    this.#patienceMs = readyTimeoutMs / 2
    this.#commands = this.#openCommands()
    this.#relay = new RelayConnection({
      address: options,
      pattern: relayPattern(redisPrefix),
      findNode: () => this.#findRelayNode(),
      onSubscribed: () => this.#subscribed(),
      onMessage: (channel, payload) => this.#heard(channel, payload),
      onLost: () => this.#lost(),
      onError: (error) => this.#failed(error),
    })
  }

  start(listener: BrokerListener): Promise<void> {
    // Spelled out: the methods of a class are not its own, and a spread would leave them behind.
    this.#clock = new Clock({
      onMessage: (message) => listener.onMessage(message),
      onAdvance: (position) => listener.onAdvance(position),
      onHole: (position, reason) => {
        listener.onHole(position, reason)
        this.#settle?.resolve()
      },
    })
    const started = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#commands.connect().catch((error: unknown) => this.#failed(error))
    this.#relay.start()
    this.#arm()
    return started
  }

  isReady(): boolean {
    const isHeard = performance.now() - this.#heardAtMs < this.#options.readyTimeoutMs
    return this.#relay.isSubscribed && this.#clock?.isWaiting === false && isHeard
  }

  publish(channels: readonly string[], payload: string): Promise<void> {
    return this.publishAll([{ channels, payload }])
  }

  async publishAll(publications: readonly Publication[]): Promise<void> {
    // A connection that only looks for other prefixes counts as a hearer in Redis's answer; this gateway's relay must hear it.
    if (!this.#relay.isSubscribed) throw new GatewayError('broker_unavailable')
    const keys = [this.#clockKey]
    const payloads = publications.flatMap(({ channels, payload, once = null }) => {
      const names = channels.map((channel) => this.#options.redisPrefix + channel)
      const key = once === null ? 0 : keys.push(this.#onceKey + once)
      return [key, payload, names.length, ...names]
    })
    const heard = await this.#commands
      .ssePublish(keys.length, ...keys, ONCE_FOR_MS, ...payloads)
      .catch((cause: unknown) => {
        this.#complain(cause)
        throw new GatewayError('broker_unavailable', { cause })
      })
    if (heard === 0)
      throw new GatewayError('broker_unavailable', { message: 'No gateway listens on Redis right now; try again.' })
  }

  async sharedSecret(current?: string): Promise<string> {
    const name = `${this.#options.redisPrefix}${RESERVED_PREFIX}secret`
    // After a flush the keys that pages hold are worth something only if the secret they were signed with returns.
    if (current === undefined && (await this.#commands.get(name)) === null) await delay(SECRET_HEAD_START_MS)
    const own = current ?? randomBytes(32).toString('base64url')
    await this.#commands.set(name, own, 'NX')
    return (await this.#commands.get(name)) ?? own
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#relay.stop()
    this.#commands.disconnect()
  }

  #openCommands(): Commands & Scripts {
    const commands = openCommands(this.#options, {
      commandTimeout: this.#options.readyTimeoutMs,
      // A peer that vanished without a word would otherwise be waited for until the system gives up, a quarter of an hour.
      socketTimeout: this.#options.readyTimeoutMs,
      maxRetriesPerRequest: 0,
      // A server that became a replica refuses writes: leave it and ask again who the master is.
      reconnectOnError: isReplica,
    })
    commands.on('error', (error) => this.#failed(error))
    return withScripts(commands)
  }

  // A cluster carries every PUBLISH to all its nodes, but only the owner of the clock's slot runs our scripts in its order.
  async #findRelayNode(): Promise<RedisNode | undefined> {
    if (this.#options.redisCluster.length === 0) return undefined
    const slot = Number(await this.#commands.call('CLUSTER', 'KEYSLOT', this.#clockKey))
    const slots = (await this.#commands.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
    const owner = slots.find(([first, last]) => first <= slot && slot <= last)?.[2]
    if (owner === undefined) throw new Error(`no node owns slot ${slot}`)
    return { host: owner[0], port: owner[1] }
  }

  #subscribed(): void {
    this.#subscribedAtMs = performance.now()
    this.#unheardSinceMs = null
    this.#logger.info({ pattern: relayPattern(this.#options.redisPrefix) }, 'relay subscribed')
    this.#mark().catch((error: unknown) => this.#failed(error))
  }

  #lost(): void {
    this.#clock?.lost()
    if (this.#isStopped) return
    this.#onLost()
    this.#logger.warn('relay connection lost')
  }

  #heard(channel: Buffer, payload: Buffer): void {
    // With a marker on its way, every message shows that the connection is late, not deaf.
    if (this.#unheardSinceMs !== null) this.#unheardSinceMs = performance.now()
    const name = channel.toString('utf8', this.#prefixBytes)
    if (name.startsWith(RESERVED_PREFIX)) {
      this.#heardAtMs = performance.now()
      this.#unheardSinceMs = null
      const marker = name === this.#clockChannel ? parseMarker(payload.toString('latin1')) : null
      if (marker !== null) {
        this.#clock?.marker(marker)
        this.#arm()
        return
      }
    }
    // A copy: the parser's buffer is shared by all that came in one read and would be kept whole.
    this.#clock?.message(name, ownCopy(payload))
  }

  /** The next marker is due when nobody's was heard for a while; jitter makes a fleet send about one. */
  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#isStopped) return
    const delayMs = this.#options.markerIntervalMs * (1 + Math.random() / 2)
    this.#timer = setTimeout(() => {
      this.#arm()
      this.#watchRelay()
      this.#mark().catch((error: unknown) => this.#failed(error))
    }, delayMs)
    this.#timer.unref()
  }

  #watchRelay(): void {
    if (!this.#relay.isSubscribed || this.#unheardSinceMs === null) return
    if (performance.now() - this.#unheardSinceMs <= this.#patienceMs) return
    this.#logger.warn('relay connection is deaf: Redis took a marker that never came back')
    this.#relay.replace()
  }

  async #mark(): Promise<void> {
    if (!this.#relay.isSubscribed) return
    const heard = this.#clock?.heard ?? null
    const interval = heard === null ? '-' : `${heard.interval} ${heard.count}`
    try {
      await this.#expectBack(() =>
        this.#commands.sseMark(this.#clockKey, this.#options.redisPrefix + this.#clockChannel, interval),
      )
      this.#complaints.clear()
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#complain(error)
      // On a replica we would hear what is published on the master, but nobody would hear us: leave it. Anything
      // else (no rights, no memory, no disk) does not keep a plain PUBLISH from proving that messages come through.
      if (isReplica(error)) this.#relay.replace()
      else await this.#canary()
    }
  }

  async #canary(): Promise<void> {
    const channel = `${this.#options.redisPrefix}${RESERVED_PREFIX}canary`
    await this.#expectBack(() => this.#commands.publish(channel, ''))
    if (this.#clock?.isWaiting !== true || performance.now() - this.#subscribedAtMs < this.#patienceMs) return
    this.#logger.warn(
      'no marker to be had: positions of this node are its own, a client that changes nodes is told of a gap',
    )
    const epoch = Date.now() * 1000 + Math.floor(Math.random() * 1000)
    this.#clock.marker({ epoch, number: 0, heard: null })
  }

  // What was sent may have come back before the answer to the command did, on the other connection.
  async #expectBack(send: () => Promise<unknown>): Promise<void> {
    const sentAtMs = performance.now()
    await send()
    if (this.#heardAtMs < sentAtMs) this.#unheardSinceMs ??= performance.now()
  }

  // Before the first marker, what waiting cannot cure ends the start; later it is only told.
  #failed(error: unknown): void {
    if (this.#isStopped) return
    this.#complain(error)
    if (isPermanent(error)) this.#settle?.reject(new Error(explainRedisError(error, this.#where), { cause: error }))
  }

  /** One line per kind of trouble, not one per attempt. */
  #complain(error: unknown): void {
    if (this.#isStopped) return
    const sentence = explainRedisError(error, this.#where)
    // Some name the delay until the next attempt.
    const kind = sentence.replace(/\d+/g, '')
    if (this.#complaints.has(kind)) return
    this.#complaints.add(kind)
    this.#logger.warn(sentence)
  }
}

// In memory of its own: Node's shared pool would keep 8 KiB alive for one message that stays in the log.
function ownCopy(payload: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(payload.length)
  payload.copy(copy)
  return copy
}
