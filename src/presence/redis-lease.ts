import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import {
  type Commands,
  describeRedis,
  openCommands,
  type RedisAddress,
  retryDelayMs,
} from '../broker/redis-connection.ts'
import { explainRedisError, isReplica } from '../broker/redis-errors.ts'
import { GatewayError } from '../errors.ts'
import { type PresenceKeys, presenceKeys } from './redis-keys.ts'
import { type LeaseArguments, type PresenceScripts, withPresenceScripts } from './redis-scripts.ts'

export type RedisLeaseOptions = RedisAddress & {
  redisPrefix: string
  /** Within so many seconds everybody knows that a node is gone. */
  leaseS: number
  readyTimeoutMs: number
}

export type LeaseHooks = {
  /**
   * Nothing counts any more that this node has said as `former`. It has a new name already. `isAnew`: nor what others
   * have said, for Redis has begun anew with what it knew.
   */
  onForgotten(former: string, isAnew: boolean): void
  /**
   * A step after the last, these nodes are dead. Not called within a step of onForgotten: whoever is still here has been
   * said again by then.
   */
  onStep(dead: readonly string[]): void
}

/** Looks for the dead, and renewals, in the time of one lease. */
const STEPS = 6
/** So many steps a lease lasts in Redis: what is left is for the others to look and to clean up. */
const STEPS_TO_LIVE = 4
/** Steps of a newcomer before it judges: whoever lives, and could not renew before it came, has done so by then. */
const STEPS_OF_NEWCOMER = 3

/**
 * This node's sign of life in Redis: a random name of its own, the incarnation, that counts as long as it is renewed.
 * A node that was taken for dead goes on under a new one. Redis's clock alone decides.
 */
export class RedisLease {
  readonly keys: PresenceKeys
  /** What is published goes out under this. */
  readonly redisPrefix: string
  readonly #commands: Commands & PresenceScripts
  readonly #leaseMs: number
  readonly #where: string
  readonly #logger: Logger
  #hooks: LeaseHooks = { onForgotten: () => {}, onStep: () => {} }
  #incarnation: string | null = null
  /** The renewal that is under way, and what it finds: nodes whose lease has run out. */
  #renewal: Promise<readonly string[]> | null = null
  #timer: NodeJS.Timeout | null = null
  #isLeaving = false
  #isStopped = false
  #stepsBeforeJudging = 0
  #hasBegunAnew = false
  /** Trouble that was told and is not over. */
  readonly #complaints = new Set<string>()
  #hasFailedSinceRenewal = false

  constructor(options: RedisLeaseOptions, { logger }: { logger: Logger }) {
    this.keys = presenceKeys(options)
    this.redisPrefix = options.redisPrefix
    this.#leaseMs = options.leaseS * 1000
    this.#where = describeRedis(options)
    this.#logger = logger
    this.#commands = withPresenceScripts(
      openCommands(options, {
        commandTimeout: options.readyTimeoutMs,
        socketTimeout: options.readyTimeoutMs,
        maxRetriesPerRequest: 0,
        // The others wait for a lease before they take anybody for dead, so it is to be back well within one.
        retryStrategy: (attempt) => Math.min(retryDelayMs(attempt), this.#leaseMs / STEPS),
        reconnectOnError: isReplica,
      }),
    )
    this.#commands.on('error', (error) => this.complain(error))
  }

  /** The name this node goes by; null before it has signed on. */
  get incarnation(): string | null {
    return this.#incarnation
  }

  /** Connects and signs on, and goes on trying until `stop`. */
  start(hooks: LeaseHooks): void {
    this.#hooks = hooks
    this.#commands.connect().catch((error: unknown) => this.complain(error))
    this.#step()
  }

  /** Teaches its connection further scripts. They are to be run through `ask`. */
  teach<Scripts>(withScripts: (commands: Commands) => Commands & Scripts): Commands & Scripts {
    return withScripts(this.#commands)
  }

  /**
   * Runs a command in the name of this node, which signs on first if need be. Rejects with GatewayError
   * `broker_unavailable` when Redis does not do it.
   */
  async ask<T>(command: (commands: Commands & PresenceScripts, incarnation: string) => Promise<T>): Promise<T> {
    try {
      if (this.#incarnation === null) await this.renew()
      return await command(this.#commands, this.#incarnation ?? '')
    } catch (cause) {
      this.complain(cause)
      throw new GatewayError('broker_unavailable', { message: 'Redis cannot be asked right now; try again.', cause })
    }
  }

  /** Renews the lease now, or learns that it is gone. Answers those whose lease has run out. */
  async renew(): Promise<readonly string[]> {
    if (this.#isLeaving) return []
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null
    })
    try {
      return await this.#renewal
    } catch (error) {
      // Redis may have renewed it and found it late; or it was away, and all the others were late too.
      this.#stepsBeforeJudging = STEPS
      throw error
    }
  }

  /** One line per kind of trouble, not one per attempt. */
  complain(error: unknown): void {
    if (this.#isStopped) return
    this.#hasFailedSinceRenewal = true
    if (isEcho(error)) return
    const sentence = explainRedisError(error, this.#where)
    const kind = sentence.replace(/\d+/g, '')
    if (this.#complaints.has(kind)) return
    this.#complaints.add(kind)
    this.#logger.warn(`presence: ${sentence}`)
  }

  /** No more renewals; the lease ends `keepMs` from now. Commands still go through until `stop`. Never rejects. */
  async leave(keepMs: number): Promise<void> {
    this.#isLeaving = true
    this.#disarm()
    await this.#renewal?.catch(() => {})
    const incarnation = this.#incarnation
    if (incarnation === null) return
    await this.#commands
      .sseRenew(...this.#arguments(incarnation, Math.ceil(keepMs)))
      .catch((error: unknown) => this.complain(error))
  }

  /** Closes the connection. What the lease says is for `leave`. */
  stop(): void {
    this.#isStopped = true
    this.#disarm()
    this.#commands.disconnect()
  }

  #step(): void {
    this.renew()
      .then((late) => this.#look(late))
      .catch((error: unknown) => this.complain(error))
    // Jitter keeps a fleet that started together from looking for the dead together.
    const delayMs = (this.#leaseMs / STEPS) * (0.9 + Math.random() * 0.2)
    this.#timer = setTimeout(() => this.#step(), delayMs)
    this.#timer.unref()
  }

  // Steps are counted and not renewals: those that are asked for in between follow each other at once, when nobody else
  // has had the time to renew.
  #look(late: readonly string[]): void {
    if (this.#isLeaving) return
    if (this.#stepsBeforeJudging > 0) this.#stepsBeforeJudging -= 1
    if (!this.#hasBegunAnew) this.#hooks.onStep(this.#stepsBeforeJudging === 0 ? late : [])
    this.#hasBegunAnew = false
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  async #renew(): Promise<readonly string[]> {
    if (this.#incarnation === null) {
      await this.#enrol()
      this.#stepsBeforeJudging = Math.max(this.#stepsBeforeJudging, STEPS_OF_NEWCOMER)
    }
    const [state, ...late] = await this.#commands.sseRenew(...this.#arguments(this.#incarnation ?? '', this.#liveMs()))
    this.#recovered()
    // Whoever was late itself spares the others for a lease: when Redis was away they were all late, and are on their way
    // back.
    if (state === 'late') this.#stepsBeforeJudging = STEPS
    if (state === 'dead' || state === 'anew') await this.#beginAnew(state === 'anew')
    return late
  }

  // A name of its own for each attempt: one whose answer was lost may have been taken for dead meanwhile.
  async #enrol(): Promise<void> {
    const incarnation = randomBytes(12).toString('base64url')
    await this.#commands.sseEnrol(...this.#arguments(incarnation, this.#liveMs()))
    this.#incarnation = incarnation
  }

  async #beginAnew(isAnew: boolean): Promise<void> {
    const former = this.#incarnation ?? ''
    await this.#enrol()
    this.#stepsBeforeJudging = STEPS
    this.#hasBegunAnew = true
    this.#logger.warn(
      { former, incarnation: this.#incarnation },
      'presence: Redis no longer knew this node (it was frozen or cut off, or Redis began anew); it says again who is here',
    )
    this.#hooks.onForgotten(former, isAnew)
  }

  #recovered(): void {
    if (this.#complaints.size > 0 && !this.#hasFailedSinceRenewal) {
      this.#complaints.clear()
      this.#logger.info(`presence: ${this.#where} works again`)
    }
    this.#hasFailedSinceRenewal = false
  }

  #arguments(incarnation: string, leaseMs: number): LeaseArguments {
    const { nodes, run, node, presence } = this.keys
    return [nodes, run, incarnation, leaseMs, node(''), presence('')]
  }

  #liveMs(): number {
    return Math.ceil((this.#leaseMs * STEPS_TO_LIVE) / STEPS)
  }
}

/** What commands say when the connection has said why before. */
function isEcho(error: unknown): boolean {
  return error instanceof Error && /max retries per request|Connection is closed/.test(error.message)
}
