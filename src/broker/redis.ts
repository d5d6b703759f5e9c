import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { GatewayError } from '../errors.ts'
import type { Broker, BrokerListener } from './broker.ts'
import { Clock, parseMarker } from './clock.ts'
import { relayPattern } from './pattern.ts'
import { type Commands, describeRedis, openCommands, openRedis, type RedisAddress } from './redis-connection.ts'
import { explainRedisError, isPermanent } from './redis-errors.ts'

/**
 * Puts a marker into Redis's order. KEYS[1] the clock (hash: run_id, epoch, n); ARGV[1] the marker channel;
 * ARGV[2] what the sender heard in its last interval. A server that is not the one of the last marker
 * (restart, failover, flush) begins a new epoch, named by its own time in microseconds.
 */
const MARK = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local stored = redis.call('HMGET', KEYS[1], 'run_id', 'epoch')
local epoch = stored[2]
if not epoch or stored[1] ~= run then
  local time = redis.call('TIME')
  epoch = time[1] .. string.format('%06d', time[2])
  if stored[2] and tonumber(epoch) <= tonumber(stored[2]) then
    epoch = string.format('%.0f', tonumber(stored[2]) + 1)
  end
  redis.call('HSET', KEYS[1], 'run_id', run, 'epoch', epoch, 'n', '0')
end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('PUBLISH', ARGV[1], epoch .. ' ' .. n .. ' ' .. ARGV[2])
return n
`

/**
 * Publishes one payload on several channels at once, as Laravel does. KEYS[1] the clock, so that a cluster runs
 * it where the relays listen; ARGV[1] the payload; the rest the channels. Answers the smallest number of hearers.
 */
const PUBLISH = `
local heard = nil
for i = 2, #ARGV do
  local n = redis.call('PUBLISH', ARGV[i], ARGV[1])
  if heard == nil or n < heard then heard = n end
end
return heard or 0
`

type Scripts = {
  sseMark(clock: string, channel: string, heard: string): Promise<number>
  ssePublish(clock: string, payload: string, ...channels: string[]): Promise<number>
}

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

/** A marker that Redis took but nobody heard for so long means that the relay connection is dead. */
const UNHEARD_MS = 3000
/** How long a subscription waits for somebody's marker before this node goes on with an epoch of its own. */
const ALONE_AFTER_MS = 3000
const COMMAND_TIMEOUT_MS = 5000

/** Hears Laravel through one PSUBSCRIBE; the order of that connection is the order of everything. */
export class RedisBroker implements Broker {
  readonly kind = 'redis'
  readonly #options: RedisBrokerOptions
  readonly #logger: Logger
  readonly #onLost: () => void
  readonly #where: string
  readonly #clockName: string
  readonly #prefixBytes: number
  readonly #commands: Commands & Scripts
  #relay: Redis | null = null
  #clock: Clock | null = null
  #isSubscribed = false
  #isStopped = false
  #subscribedAtMs = 0
  #heardAtMs = 0
  /** When the oldest marker that was not heard yet was sent; 0 when all came back. */
  #unheardSinceMs = 0
  #timer: NodeJS.Timeout | null = null
  #lastComplaint = ''
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null

  constructor(options: RedisBrokerOptions, { logger, onLost = () => {} }: RedisBrokerHooks) {
    this.#options = options
    this.#logger = logger
    this.#onLost = onLost
    this.#where = describeRedis(options)
    this.#clockName = `${options.redisPrefix}${RESERVED_PREFIX}clock`
    this.#prefixBytes = Buffer.byteLength(options.redisPrefix)
    this.#commands = this.#openCommands()
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
    this.#commands.connect().catch((error: unknown) => this.#complain(error))
    this.#connectRelay().catch((error: unknown) => this.#relayFailed(error))
    this.#arm()
    return started
  }

  isReady(): boolean {
    const isHeard = Date.now() - this.#heardAtMs < this.#options.readyTimeoutMs
    return this.#isSubscribed && this.#clock?.isWaiting === false && isHeard
  }

  async publish(channels: readonly string[], payload: string): Promise<void> {
    const names = channels.map((channel) => this.#options.redisPrefix + channel)
    const heard = await this.#commands.ssePublish(this.#clockName, payload, ...names).catch((cause: unknown) => {
      this.#complain(cause)
      throw new GatewayError('broker_unavailable', { cause })
    })
    if (heard === 0)
      throw new GatewayError('broker_unavailable', { message: 'No gateway listens on Redis right now; try again.' })
  }

  async sharedSecret(): Promise<string> {
    const name = `${this.#options.redisPrefix}${RESERVED_PREFIX}secret`
    const own = randomBytes(32).toString('base64url')
    await this.#commands.set(name, own, 'NX')
    return (await this.#commands.get(name)) ?? own
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#relay?.disconnect()
    this.#commands.disconnect()
  }

  #openCommands(): Commands & Scripts {
    const commands = openCommands(this.#options, {
      commandTimeout: COMMAND_TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      // A server that became a replica refuses writes: leave it and ask again who the master is.
      reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    })
    commands.on('error', (error) => this.#complain(error))
    commands.defineCommand('sseMark', { numberOfKeys: 1, lua: MARK })
    commands.defineCommand('ssePublish', { numberOfKeys: 1, lua: PUBLISH })
    return commands as Commands & Scripts
  }

  async #connectRelay(): Promise<void> {
    const node = await this.#relayNode()
    if (this.#isStopped) return
    const relay = openRedis(this.#options, { autoResubscribe: false, maxRetriesPerRequest: null }, node)
    this.#relay = relay
    relay.on('error', (error) => this.#complain(error))
    relay.on('ready', () => {
      this.#subscribe(relay).catch((error: unknown) => this.#relayFailed(error))
    })
    relay.on('close', () => this.#lost())
    relay.on('pmessageBuffer', (_pattern: Buffer, channel: Buffer, payload: Buffer) => this.#heard(channel, payload))
    // Whoever listens on a cluster must find the owner of the clock's slot again after each loss.
    if (node !== undefined) relay.once('close', () => this.#reconnectToCluster(relay))
    relay.connect().catch(() => {}) // Told by 'error'; ioredis tries again by itself.
  }

  // A cluster carries every PUBLISH to all its nodes, but only the owner of the clock's slot runs our scripts in its order.
  async #relayNode(): Promise<{ host: string; port: number } | undefined> {
    if (this.#options.redisCluster.length === 0) return undefined
    const slot = Number(await this.#commands.call('CLUSTER', 'KEYSLOT', this.#clockName))
    const slots = (await this.#commands.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
    const owner = slots.find(([first, last]) => first <= slot && slot <= last)?.[2]
    if (owner === undefined) throw new Error(`no node owns slot ${slot}`)
    return { host: owner[0], port: owner[1] }
  }

  #reconnectToCluster(relay: Redis): void {
    relay.disconnect()
    if (this.#isStopped) return
    const again = () => this.#connectRelay().catch((error: unknown) => this.#relayFailed(error))
    setTimeout(again, 100 + Math.random() * 400).unref()
  }

  async #subscribe(relay: Redis): Promise<void> {
    await relay.psubscribe(relayPattern(this.#options.redisPrefix))
    this.#isSubscribed = true
    this.#subscribedAtMs = Date.now()
    this.#unheardSinceMs = 0
    this.#lastComplaint = ''
    this.#logger.info({ pattern: relayPattern(this.#options.redisPrefix) }, 'relay subscribed')
    await this.#mark()
  }

  #lost(): void {
    if (!this.#isSubscribed) return
    this.#isSubscribed = false
    this.#clock?.lost()
    if (this.#isStopped) return
    this.#onLost()
    this.#logger.warn('relay connection lost')
  }

  // Before the first subscription, what waiting cannot cure ends the start; later it is only told.
  #relayFailed(error: unknown): void {
    if (this.#isStopped) return
    this.#complain(error)
    if (isPermanent(error)) this.#settle?.reject(new Error(explainRedisError(error, this.#where), { cause: error }))
    if (this.#relay === null) {
      setTimeout(() => this.#connectRelay().catch((cause: unknown) => this.#relayFailed(cause)), 1000).unref()
    } else {
      setTimeout(() => this.#relay?.disconnect(true), 1000).unref()
    }
  }

  #heard(channel: Buffer, payload: Buffer): void {
    const name = channel.toString('utf8', this.#prefixBytes)
    if (name.startsWith(RESERVED_PREFIX)) {
      this.#heardAtMs = Date.now()
      this.#unheardSinceMs = 0
      const marker = name === `${RESERVED_PREFIX}clock` ? parseMarker(payload.toString('latin1')) : null
      if (marker !== null) {
        this.#clock?.marker(marker)
        this.#arm()
        return
      }
    }
    // A copy: the parser's buffer is shared by all that came in one read and would be kept whole.
    this.#clock?.message(name, Buffer.from(payload))
  }

  /** The next marker is due when nobody's was heard for a while; jitter makes a fleet send about one. */
  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#isStopped) return
    const delayMs = this.#options.markerIntervalMs * (1 + Math.random() / 2)
    this.#timer = setTimeout(() => {
      this.#arm()
      this.#watchRelay()
      this.#mark().catch((error: unknown) => this.#complain(error))
    }, delayMs)
    this.#timer.unref()
  }

  #watchRelay(): void {
    const isDeaf = this.#unheardSinceMs !== 0 && Date.now() - this.#unheardSinceMs > UNHEARD_MS
    if (!this.#isSubscribed || !isDeaf) return
    this.#logger.warn('relay connection is deaf: Redis took a marker that never came back')
    this.#relay?.disconnect(true)
  }

  async #mark(): Promise<void> {
    if (!this.#isSubscribed) return
    const heard = this.#clock?.heard ?? null
    try {
      await this.#commands.sseMark(
        this.#clockName,
        this.#clockName,
        heard === null ? '-' : `${heard.interval} ${heard.count}`,
      )
      this.#sent()
    } catch (error) {
      this.#complain(error)
      if ((error as Error).name === 'ReplyError') await this.#canary()
    }
  }

  // Redis refuses the script (no rights, no memory): a plain PUBLISH still proves that messages come through.
  async #canary(): Promise<void> {
    await this.#commands.publish(`${this.#options.redisPrefix}${RESERVED_PREFIX}canary`, '')
    this.#sent()
    if (this.#clock?.isWaiting !== true || Date.now() - this.#subscribedAtMs < ALONE_AFTER_MS) return
    this.#logger.warn(
      'no marker to be had: positions of this node are its own, a client that changes nodes is told of a gap',
    )
    this.#clock.marker({ epoch: Date.now() * 1000, number: 0, heard: null })
  }

  // What was sent may have come back before the answer to the command did, on the other connection.
  #sent(): void {
    const now = Date.now()
    if (now - this.#heardAtMs > UNHEARD_MS && this.#unheardSinceMs === 0) this.#unheardSinceMs = now
  }

  /** One line per kind of trouble, not one per attempt. */
  #complain(error: unknown): void {
    if (this.#isStopped) return
    const sentence = explainRedisError(error, this.#where)
    if (sentence === this.#lastComplaint) return
    this.#lastComplaint = sentence
    this.#logger.warn(sentence)
  }
}
