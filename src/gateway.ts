import { randomBytes } from 'node:crypto'
import { chmodSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { startAdvice } from './advice.ts'
import { Identities } from './auth/identity.ts'
import { buildServices, type GatewayParts } from './build-services.ts'
import type { Config } from './config/config.ts'
import { buildApp, createServer } from './http/app.ts'
import { registerHealth } from './http/health.ts'
import { registerMetrics } from './http/metrics.ts'
import type { Services } from './http/services.ts'
import { makeRoom, spareSuccessor } from './http/unix-socket.ts'
import { boundBacklog } from './hub/backlog.ts'
import { drain, MAX_RETRY_AFTER_MS } from './hub/drain.ts'
import { OwnTraffic } from './relay/own-traffic.ts'
import { Relay } from './relay/relay.ts'

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

function listenerOf(services: Services): Relay {
  const { history, hub, rules, logger, metrics, presence, grants, occupancy, lastEvents } = services
  const offerSecret = secretOffer(services)
  const ownTraffic = new OwnTraffic({ hub, presence, grants, occupancy })
  return new Relay({
    history,
    hub,
    rules,
    logger,
    onOwnTraffic: (channel, payload, position) => ownTraffic.heard(channel, payload, position),
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
