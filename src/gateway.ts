import { randomBytes } from 'node:crypto'
import { chmodSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { startAdvice } from './advice.ts'
import type { Authorizer } from './auth/authorizer.ts'
import type { GrantStore } from './auth/grant-store.ts'
import { Grants } from './auth/grants.ts'
import { Identities } from './auth/identity.ts'
import { LaravelAuthorizer } from './auth/laravel.ts'
import { RedisGrantStore } from './auth/redis-grants.ts'
import type { Broker } from './broker/broker.ts'
import { MemoryBroker } from './broker/memory.ts'
import { RedisBroker } from './broker/redis.ts'
import type { LastEvents } from './cache/last-events.ts'
import { MemoryLastEvents } from './cache/memory.ts'
import { RedisLastEvents } from './cache/redis.ts'
import type { Config } from './config/config.ts'
import { History } from './history/history.ts'
import { Admission } from './http/admission.ts'
import { buildApp, createServer } from './http/app.ts'
import { registerHealth, whyNotReady } from './http/health.ts'
import { registerMetrics } from './http/metrics.ts'
import type { Services } from './http/services.ts'
import { makeRoom, spareSuccessor } from './http/unix-socket.ts'
import { backlogBytes, boundBacklog } from './hub/backlog.ts'
import { drain, MAX_RETRY_AFTER_MS } from './hub/drain.ts'
import { memberFrame } from './hub/frames.ts'
import { Heartbeat } from './hub/heartbeat.ts'
import { Hub } from './hub/hub.ts'
import { LifeLog } from './log.ts'
import { Metrics } from './metrics.ts'
import { MemoryOccupancyStore } from './occupancy/memory.ts'
import { Occupancy } from './occupancy/occupancy.ts'
import { RedisOccupancyStore } from './occupancy/redis.ts'
import type { OccupancyStore } from './occupancy/store.ts'
import { MemoryPresenceStore } from './presence/memory.ts'
import { Presence } from './presence/presence.ts'
import { RedisPresenceStore } from './presence/redis.ts'
import { RedisLease } from './presence/redis-lease.ts'
import type { PresenceStore } from './presence/store.ts'
import { OwnTraffic } from './relay/own-traffic.ts'
import { Relay } from './relay/relay.ts'
import { Webhooks } from './webhooks/webhooks.ts'

/** Parts that a test may bring along. */
export type GatewayParts = { readonly broker?: Broker; readonly authorizer?: Authorizer }

/** How often the log forgets what is too old and the backlog of all streams is looked at. */
const UPKEEP_MS = 1000
/** How long connections get to close by themselves at the end. */
const CLOSE_MS = 1000

/** Builds every part once. Nothing connects, listens or starts a timer before `start`. */
export async function createGateway(config: Config, logger: Logger, parts: GatewayParts = {}): Promise<Gateway> {
  const services = buildServices(config, logger, parts)
  const app = await buildApp(services)
  if (config.adminPort === null) return new Gateway(services, app, null)
  const admin = createServer(services)
  registerMetrics(admin, services, { isAdmin: true })
  registerHealth(admin, services)
  return new Gateway(services, app, admin)
}

/** The running whole: knows the order in which parts start and stop. */
export class Gateway {
  readonly services: Services
  readonly #app: FastifyInstance
  readonly #admin: FastifyInstance | null
  #upkeep: NodeJS.Timeout | null = null
  #stopAdvice: () => void = () => {}
  #listening: Promise<string[]> | null = null
  #stopped: Promise<void> | null = null

  constructor(services: Services, app: FastifyInstance, admin: FastifyInstance | null) {
    this.services = services
    this.#app = app
    this.#admin = admin
  }

  /** Resolves when requests are served and what is published is heard, or early once `stop` was called. */
  async start(): Promise<{ urls: string[] }> {
    const { services } = this
    if (this.#isStopped()) return { urls: [] }
    const { config, broker, hub, history, heartbeat } = services
    heartbeat.start()
    this.#upkeep = setInterval(() => {
      history.sweep()
      boundBacklog(hub, config.totalBacklogBytes)
    }, UPKEEP_MS)
    this.#upkeep.unref()
    // Listening comes first: while Redis is away, /health and /ready can already say so.
    this.#listening = this.#listen()
    const urls = await this.#listening
    if (this.#isStopped()) return { urls }
    await broker.start(listenerOf(services))
    // Redis may come up during the drain, which is no time to begin anything.
    if (this.#isStopped()) return { urls }
    services.presence.start()
    services.occupancy.start()
    const secret = await secretOf(services)
    if (this.#isStopped()) return { urls }
    services.identities = new Identities({ secret, keyTtlS: config.keyTtlS })
    this.#stopAdvice = startAdvice(services)
    return { urls }
  }

  /** Says goodbye to everybody and stops; takes `drainMs` at most and a little. May be called twice. */
  stop(_reason = 'shutdown'): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  // A method, for the compiler takes a field that was null once for null ever after.
  #isStopped(): boolean {
    return this.#stopped !== null
  }

  async #listen(): Promise<string[]> {
    const { host, port, socket, adminPort } = this.services.config
    if (this.#admin !== null && adminPort !== null) await this.#admin.listen({ host, port: adminPort })
    if (this.#isStopped()) return []
    if (socket === null) return [await this.#app.listen({ host, port })]
    await makeRoom(socket)
    if (this.#isStopped()) return []
    await this.#app.listen({ path: socket })
    spareSuccessor(this.#app.server, socket)
    // nginx runs as another user; who may reach the folder decides.
    chmodSync(socket, 0o666)
    return [`unix:${socket}`]
  }

  async #stop(): Promise<void> {
    const { config, admission, hub, heartbeat, authorizer, grants, presence, broker } = this.services
    const { occupancy, lastEvents, webhooks } = this.services
    this.#stopAdvice()
    admission.drain()
    await drain(hub, config.drainMs)
    heartbeat.stop()
    if (this.#upkeep !== null) clearInterval(this.#upkeep)
    await authorizer.stop()
    // What is about to listen could not be closed yet.
    await this.#listening?.catch(() => {})
    await Promise.all([close(this.#app), this.#admin === null ? null : close(this.#admin)])
    grants.stop()
    // Who was here is on the way to another gateway, and must not be shown leaving meanwhile.
    const returnMs = MAX_RETRY_AFTER_MS + config.lingerMs
    // First: the connection they speak through ends with presence.
    await Promise.all([occupancy.stop(config.broker === 'memory' ? 0 : returnMs), lastEvents.stop()])
    await presence.stop(presence.size === 0 ? 0 : returnMs)
    await webhooks.stop()
    await broker.stop()
  }
}

// Goodbyes that are still on their way get a moment; a client that does not hang up does not hold up the end.
async function close(app: FastifyInstance): Promise<void> {
  const impatience = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS)
  await app.close()
  clearTimeout(impatience)
}

function buildServices(config: Config, logger: Logger, parts: GatewayParts): Services {
  const history = new History({
    maxMessages: config.historyMessages,
    maxChannelBytes: config.historyChannelBytes,
    maxBytes: config.historyBytes,
    maxAgeMs: config.historyAgeS * 1000,
    onMalformed: () => metrics.ignored.inc({ reason: 'malformed' }),
  })
  const hub = new Hub(history)
  const admission = new Admission(config)
  const metrics: Metrics = new Metrics({
    streams: () => hub.size,
    channels: () => hub.channelCount,
    historyMessages: () => history.length,
    historyBytes: () => history.sizeBytes,
    backlogBytes: () => backlogBytes(hub),
    delivered: () => hub.delivered,
    isReady: () => whyNotReady(services) === null,
    members: () => presence.size,
  })
  const broker = parts.broker ?? createBroker(config, logger, metrics)
  const stores = createStores(config, logger, broker)
  const webhooks = createWebhooks(config, logger, metrics)
  const presence = createPresence({
    ...{ config, logger, hub, webhooks, store: stores.presence },
    onForgotten: async () => {
      // What was revoked unheard goes first: it would be shown again, and count as granted after it was revoked.
      await services.grants.refresh()
      services.grants.tellAgain()
      services.occupancy.sayAgain()
    },
  })
  const services: Services = {
    config,
    logger,
    lifeLog: new LifeLog(logger),
    metrics,
    broker,
    presence,
    occupancy: createOccupancy({ config, logger, hub, webhooks, store: stores.occupancy }),
    lastEvents: stores.lastEvents,
    webhooks,
    grants: new Grants({
      grantMs: config.grantS * 1000,
      recheckMs: config.recheckS * 1000,
      store: stores.grants,
      onLeave: (channel, socketId) => presence.leave(channel, socketId),
      onError: (error) => logger.debug({ err: error }, 'grants could not be shared with other gateways'),
    }),
    history,
    hub,
    heartbeat: new Heartbeat(),
    authorizer: parts.authorizer ?? createAuthorizer(config, metrics),
    admission,
    rules: { maxNameBytes: config.maxChannelBytes, prefix: config.redisPrefix },
    identities: null,
  }
  return services
}

function createBroker(config: Config, logger: Logger, metrics: Metrics): Broker {
  if (config.broker === 'memory') return new MemoryBroker()
  return new RedisBroker(config, { logger, onLost: () => metrics.relayLost.inc() })
}

type Stores = {
  readonly presence: PresenceStore
  readonly occupancy: OccupancyStore
  readonly grants: GrantStore | null
  readonly lastEvents: LastEvents
}

function createStores(config: Config, logger: Logger, broker: Broker): Stores {
  if (!(broker instanceof RedisBroker)) {
    const publish = (channel: string, payload: string) => broker.publish([channel], payload)
    return {
      presence: new MemoryPresenceStore({ publish }),
      occupancy: new MemoryOccupancyStore(),
      grants: null,
      lastEvents: new MemoryLastEvents({ ttlS: config.cacheTtlS }),
    }
  }
  const lease = new RedisLease(config, { logger })
  const occupancy = new RedisOccupancyStore({ lease })
  return {
    presence: new RedisPresenceStore({ lease, reapBefore: (incarnation) => occupancy.reap(incarnation) }),
    occupancy,
    grants: new RedisGrantStore({ lease, keyTtlS: config.keyTtlS }),
    lastEvents: new RedisLastEvents({ ...config, lease }),
  }
}

function createWebhooks(config: Config, logger: Logger, metrics: Metrics): Webhooks {
  return new Webhooks({
    urls: config.webhookUrls,
    names: config.webhookEvents,
    key: config.appKey ?? '',
    secret: config.appSecret ?? '',
    logger,
    onOutcome: (outcome, events) => metrics.webhooks.inc({ outcome }, events),
  })
}

type PresenceParts = Pick<Services, 'config' | 'logger' | 'hub' | 'webhooks'> & {
  readonly store: PresenceStore
  readonly onForgotten: () => Promise<void>
}

function createPresence({ config, logger, hub, webhooks, store, onForgotten }: PresenceParts): Presence {
  return new Presence({
    store,
    maxListed: config.maxMembersListed,
    // A peer that lives renews its lease within this time, and then says again who is there.
    graceMs: config.leaseS * 1000,
    onDifference: (channel, { joined, left }) => {
      const leaving = left.map(({ json }) => memberFrame('leaving', channel, json))
      const joining = joined.map(({ json }) => memberFrame('joining', channel, json))
      hub.pass(channel, [...leaving, ...joining])
    },
    onForgotten,
    onNews: ({ channel, joined, left }) => {
      for (const id of joined) webhooks.tell({ name: 'member_added', channel, user_id: id })
      for (const id of left) webhooks.tell({ name: 'member_removed', channel, user_id: id })
    },
    onError: (error) => logger.debug({ err: error }, 'presence could not be stored; trying again'),
  })
}

type OccupancyParts = Pick<Services, 'config' | 'logger' | 'hub' | 'webhooks'> & { readonly store: OccupancyStore }

function createOccupancy({ config, logger, hub, webhooks, store }: OccupancyParts): Occupancy {
  return new Occupancy({
    open: hub,
    store,
    // Pages of a gateway that was here before may take so long to come back.
    graceMs: config.broker === 'memory' ? 0 : config.leaseS * 1000,
    onOccupied: (channel) => webhooks.tell({ name: 'channel_occupied', channel }),
    onVacated: (channel) => webhooks.tell({ name: 'channel_vacated', channel }),
    onCount: (channel, subscription_count) =>
      webhooks.tell({ name: 'subscription_count', channel, subscription_count }),
    onError: (error) => logger.debug({ err: error }, 'occupancy could not be stored; trying again'),
  })
}

function createAuthorizer(config: Config, metrics: Metrics): Authorizer {
  return new LaravelAuthorizer(
    {
      url: config.laravelUrl,
      endpoint: config.authEndpoint,
      concurrency: config.authConcurrency,
      perRequest: config.authPerRequest,
      timeoutMs: config.authTimeoutMs,
      tries: config.authTries,
      maxBodyBytes: config.authMaxBodyBytes,
      maxDenialsPerMinute: config.maxDenialsPerMinute,
      anonymous: config.authAnonymous,
    },
    {
      onDecision: ({ reason }) => metrics.authDecisions.inc({ reason }),
      onCall: ({ durationMs }) => metrics.authSeconds.observe(durationMs / 1000),
    },
  )
}

function listenerOf(services: Services): Relay {
  const { history, hub, rules, logger, metrics, presence, grants, occupancy, lastEvents } = services
  const offerSecret = secretOffer(services)
  const ownTraffic = new OwnTraffic({ hub, presence, grants, occupancy })
  return new Relay({
    history,
    hub,
    rules,
    logger,
    onOwnTraffic: (channel, payload) => ownTraffic.heard(channel, payload),
    onReceived: () => metrics.received.inc(),
    onCacheable: (channel, payload, position) => lastEvents.heard(channel, payload, position),
    onIgnored: (reason) => metrics.ignored.inc({ reason }),
    onHole: (reason) => {
      metrics.holes.inc({ reason })
      offerSecret()
      grants.refresh().catch((error: unknown) => logger.error({ err: error }, 'revocations were not looked up'))
      occupancy.sayAgain()
      presence.refresh().catch((error: unknown) => logger.error({ err: error }, 'presence was not compared'))
    },
  })
}

// Without rights or memory for it on Redis a secret of this node alone still works, as long as a page stays here.
async function secretOf({ config, broker, logger }: Services): Promise<string> {
  if (config.secret !== null) return config.secret
  return broker.sharedSecret().catch((error: unknown) => {
    logger.warn(
      { err: error },
      'no secret could be shared through the broker: pages that change nodes get a new socket id; set --secret',
    )
    return randomBytes(32).toString('base64url')
  })
}

// A Redis that was flushed or began anew has forgotten the secret, and the next gateway to start would make another:
// whoever runs brings it back, or follows what is there by now.
function secretOffer(services: Services): () => void {
  let isTold = false
  return () => {
    const { config, broker, identities, logger } = services
    if (config.secret !== null || identities === null) return
    broker.sharedSecret(identities.secret).then(
      (secret) => {
        isTold = false
        identities.adopt(secret)
      },
      (error: unknown) => {
        if (!isTold) logger.warn({ err: error }, 'the secret could not be shared again; trying at the next gap')
        isTold = true
      },
    )
  }
}
