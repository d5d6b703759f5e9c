import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Cluster, Redis, type RedisOptions } from 'ioredis'

/** Where Redis is and how to log in; the fields of the configuration that concern it. */
export type RedisAddress = {
  redis: string | null
  redisUsername: string | null
  redisPassword: string | null
  /** TLS towards Sentinels' masters and cluster nodes; a `rediss://` URL says it itself. */
  redisTls: boolean
  redisTlsCa: string | null
  redisSentinels: readonly string[]
  redisSentinelName: string
  redisSentinelPassword: string | null
  redisCluster: readonly string[]
}

export type Commands = Redis | Cluster
export type RedisNode = { readonly host: string; readonly port: number }

const MAX_RETRY_MS = 2000
const DEFAULT_URL = 'redis://127.0.0.1:6379'

/** A plain connection to one server: the master the Sentinels name, `node` of a cluster, or the server of the URL. */
export function openRedis(address: RedisAddress, extra: RedisOptions, node?: RedisNode): Redis {
  const options = { ...shared(address), ...extra }
  if (node !== undefined) return create({ ...options, ...node })
  if (address.redisSentinels.length > 0) {
    return create({
      ...options,
      sentinels: address.redisSentinels.map(hostAndPort),
      name: address.redisSentinelName,
      // During a planned failover the old master goes on for seconds as if nothing had happened; the Sentinels know.
      failoverDetector: true,
      sentinelReconnectStrategy: retryDelayMs,
      enableTLSForSentinelMode: address.redisTls,
      ...(address.redisSentinelPassword === null ? {} : { sentinelPassword: address.redisSentinelPassword }),
    })
  }
  return create({ ...options, ...endpointOf(address) })
}

/**
 * Comes back by itself, whatever it was doing when its connection was ended. ioredis gives up for good when that happens
 * while it asks the Sentinels for the master, and its own failover detector is one that does so.
 */
class LastingRedis extends Redis {
  #isGivenUp = false

  // The cast fills in the default of a type parameter that the options type leaves open.
  constructor(options: RedisOptions) {
    super(options as RedisOptions & { replyMapping: 'legacy' })
    this.on('end', () => this.#comeBack())
  }

  override disconnect(reconnect = false): void {
    this.#isGivenUp ||= !reconnect
    super.disconnect(reconnect)
  }

  #comeBack(): void {
    const delayMs = this.options.retryStrategy?.(1)
    if (typeof delayMs !== 'number') return
    setTimeout(() => {
      if (!this.#isGivenUp && this.status === 'end') this.connect().catch(() => {}) // Told by 'error'.
    }, delayMs).unref()
  }
}

function create(options: RedisOptions): Redis {
  const redis = new LastingRedis(options)
  // A TLS stream that is ended during its handshake fails twice, and ioredis listens once: the second would be
  // an uncaught exception.
  redis.on('connecting', () => setImmediate(() => redis.stream?.on('error', () => {})))
  return redis
}

/** The connection for commands: a cluster client where there is a cluster. */
export function openCommands(address: RedisAddress, extra: RedisOptions): Commands {
  if (address.redisCluster.length === 0) return openRedis(address, extra)
  const { lazyConnect: _ignored, ...redisOptions } = { ...shared(address), ...extra }
  return new Cluster(address.redisCluster.map(hostAndPort), {
    redisOptions: redisOptions as typeof redisOptions & { replyMapping: 'legacy' },
    lazyConnect: true,
    clusterRetryStrategy: retryDelayMs,
  })
}

/** The database that holds the gateway's keys. Pub/sub knows no databases. */
export function databaseOf(address: RedisAddress): number {
  const isNamed = address.redisCluster.length === 0 && address.redisSentinels.length === 0
  return isNamed ? (endpointOf(address).db ?? 0) : 0
}

/** Text for logs and sentences: where Redis is, without user and password. */
export function describeRedis(address: RedisAddress): string {
  if (address.redisCluster.length > 0) return `the Redis Cluster at ${address.redisCluster.join(', ')}`
  if (address.redisSentinels.length > 0)
    return `the Redis master "${address.redisSentinelName}" of the Sentinels at ${address.redisSentinels.join(', ')}`
  const url = new URL(address.redis ?? DEFAULT_URL)
  return `Redis at ${url.protocol === 'unix:' ? url.pathname : `${url.hostname || '127.0.0.1'}:${url.port || 6379}`}`
}

function shared(address: RedisAddress): RedisOptions {
  return {
    // RESP2: a connection in subscriber mode behaves the same on every server version.
    protocol: 2,
    // No CLIENT SETINFO: it would need a further right in the ACL.
    disableClientInfo: true,
    // INFO as a readiness check would need one too; what needs a loaded server fails and is tried again.
    enableReadyCheck: false,
    lazyConnect: true,
    connectTimeout: 5000,
    keepAlive: 5000,
    retryStrategy: retryDelayMs,
    ...(address.redisUsername === null ? {} : { username: address.redisUsername }),
    ...(address.redisPassword === null ? {} : { password: address.redisPassword }),
    ...(address.redisTls ? { tls: authorityOf(address) } : {}),
  }
}

function authorityOf({ redisTlsCa }: RedisAddress): { ca?: Buffer } {
  return redisTlsCa === null ? {} : { ca: readFileSync(redisTlsCa) }
}

function endpointOf(address: RedisAddress): RedisOptions {
  const { redis, redisUsername, redisPassword } = address
  const url = new URL(redis ?? DEFAULT_URL)
  const login = {
    ...(url.username === '' || redisUsername !== null ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' || redisPassword !== null ? {} : { password: decodeURIComponent(url.password) }),
  }
  if (url.protocol === 'unix:') {
    return { ...login, path: decodeURIComponent(url.pathname), db: Number(url.searchParams.get('db') ?? 0) }
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
  const name = isIP(host) === 0 ? { servername: host } : {}
  const tls = url.protocol === 'rediss:' ? { tls: { ...name, ...authorityOf(address) } } : {}
  return { ...login, ...tls, host, port: Number(url.port || 6379), db: Number(url.pathname.slice(1) || 0) }
}

function hostAndPort(text: string): RedisNode {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) }
}

/** Full jitter: a fleet that lost Redis together shall not come back in the same moment. */
export function retryDelayMs(attempt: number): number {
  return 50 + Math.random() * Math.min(MAX_RETRY_MS, 100 * 2 ** Math.min(attempt, 10))
}
