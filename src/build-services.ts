import type { Logger } from 'pino'
import type { Authorizer } from './auth/authorizer.ts'
import type { GrantStore } from './auth/grant-store.ts'
import { Grants } from './auth/grants.ts'
import { LaravelAuthorizer } from './auth/laravel.ts'
import { RedisGrantStore } from './auth/redis-grants.ts'
import type { Broker } from './broker/broker.ts'
import { MemoryBroker } from './broker/memory.ts'
import { RedisBroker } from './broker/redis.ts'
import type { LastEvents } from './cache/last-events.ts'
import { MemoryLastEvents } from './cache/memory.ts'
import { RedisLastEvents } from './cache/redis.ts'
import { REVOCATIONS } from './channels/own-traffic.ts'
import type { Config } from './config/config.ts'
import { History } from './history/history.ts'
import { Admission } from './http/admission.ts'
import { whyNotReady } from './http/health.ts'
import type { Services } from './http/services.ts'
import { backlogBytes } from './hub/backlog.ts'
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
import { Webhooks } from './webhooks/webhooks.ts'

/** Parts that a test may bring along. */
export type GatewayParts = { readonly broker?: Broker; readonly authorizer?: Authorizer }

/** Builds every part once and ties them together. Nothing connects or starts a timer. */
export function buildServices(config: Config, logger: Logger, parts: GatewayParts): Services {
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
    onForgotten: async (isAnew) => {
      // What was revoked unheard goes first: it would be shown again, and count as granted after it was revoked.
      await services.grants.refresh()
      if (!isAnew) services.grants.endLinger()
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
      onRevokedElsewhere: (revocation) => {
        broker.publish([REVOCATIONS], JSON.stringify(revocation)).catch((error: unknown) => {
          const { socket: socketId } = revocation
          logger.warn(
            { err: error, socketId },
            'a revocation did not reach the other gateways; revoke this socket again',
          )
        })
      },
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
  readonly onForgotten: (isAnew: boolean) => Promise<void>
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
