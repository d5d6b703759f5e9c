import { join } from 'node:path'
import { Redis } from 'ioredis'
import { atEndOfTest } from './at-end.ts'
import { FakeLaravel, type FakeReply, type FakeRequest, GRANT, presenceGrant, REFUSAL } from './fake-laravel.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import { laravel as broadcast } from './history.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { untilTrue } from './until-true.ts'

/** Gateways as processes of their own that are one service, and a Laravel that takes the bearer token for the user's id. */
export type Fleet = {
  readonly server: RedisServer
  readonly laravel: FakeLaravel
  /** As Laravel's Redis driver does. */
  publish(channel: string, data: unknown, socket?: string | null): Promise<unknown>
  /** Anything at all, under the prefix of the service. */
  say(channel: string, payload: string | Buffer): Promise<unknown>
  /** What the gateways tell each other of a socket; null when nothing is known any more. */
  recordOf(socketId: string): Promise<SocketRecord | null>
  /** How many gateways are on record in Redis: alive, or dead and not yet cleaned up after. */
  nodesOnRecord(): Promise<number>
  untilNodesOnRecord(count: number): Promise<void>
  /** One more gateway. */
  start(options?: NodeOptions): Promise<GatewayProcess>
  /** Ends everything. A test that ends calls it by itself. */
  close(): Promise<void>
}

export type SocketRecord = { readonly isLive: boolean; readonly channels: readonly string[] }

export type NodeOptions = {
  /** Arguments before those of the fleet: where Redis is, for a node that reaches it another way. */
  readonly redis?: readonly string[]
  /** Further arguments of its own. */
  readonly args?: readonly string[]
  /** How wrong its clock is. */
  readonly clockShiftMs?: number
}

export type FleetOptions = {
  readonly lingerMs?: number
  readonly leaseS?: number
  readonly args?: readonly string[]
}

export const PREFIX = 'laravel_database_'
/** Renewals are a sixth of it apart: half a second, which a busy machine keeps to. */
export const LEASE_S = 3
/** A browser or a page of a test that is starved comes back within it. */
export const LINGER_MS = 1200

/** A Redis and a Laravel, and no gateway yet. */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const server = await startRedis()
  const laravel = await FakeLaravel.start(grantByBearer)
  const redis = new Redis(server.url, { protocol: 2, retryStrategy: () => 20 })
  redis.on('error', () => {})
  const nodes: GatewayProcess[] = []
  const fleetArgs = argumentsOf(options, laravel)
  const nodesOnRecord = async () => Number(await server.cli('ZCARD', `${PREFIX}sse:nodes`))
  let closed: Promise<void> | null = null
  const end = async () => {
    // A frozen process hears no SIGTERM.
    await Promise.all(nodes.map((node) => node.stop('SIGKILL')))
    redis.disconnect()
    await Promise.all([laravel.close(), server.close()])
  }
  const close = () => {
    closed ??= end()
    return closed
  }
  atEndOfTest(close)
  return {
    server,
    laravel,
    publish: (channel, data, socket = null) => redis.publish(PREFIX + channel, broadcast(data, socket)),
    say: (channel, payload) => redis.publish(PREFIX + channel, payload),
    recordOf: async (socketId) => {
      const nodes = Object.values(await redis.hgetall(`${PREFIX}sse:socket:${socketId}`))
      if (nodes.length === 0) return null
      const granted = nodes.flatMap((node) => JSON.parse(node.slice(node.indexOf('['))) as [string, unknown][])
      return { isLive: nodes.some((node) => node.startsWith('1')), channels: granted.map(([name]) => name) }
    },
    nodesOnRecord,
    untilNodesOnRecord: async (count) => {
      await untilTrue(async () => (await nodesOnRecord()) === count)
    },
    start: async ({ redis: where = ['--redis', server.url], args = [], clockShiftMs = 0 } = {}) => {
      const env = clockShiftMs === 0 ? {} : shiftedClock(clockShiftMs)
      const node = await startGatewayProcess([...where, ...fleetArgs, ...args], env)
      nodes.push(node)
      return node
    },
    close,
  }
}

/** So many gateways, started together. */
export function startNodes(fleet: Fleet, count: 2): Promise<[GatewayProcess, GatewayProcess]>
export function startNodes(fleet: Fleet, count: 3): Promise<[GatewayProcess, GatewayProcess, GatewayProcess]>
export function startNodes(fleet: Fleet, count: number): Promise<GatewayProcess[]> {
  return Promise.all(Array.from({ length: count }, () => fleet.start()))
}

function argumentsOf(
  { lingerMs = LINGER_MS, leaseS = LEASE_S, args = [] }: FleetOptions,
  laravel: FakeLaravel,
): string[] {
  const timing = ['--linger-ms', lingerMs, '--lease-s', leaseS, '--drain-ms', 500, '--marker-interval-ms', 200]
  return ['--laravel-url', laravel.url, '--redis-prefix', PREFIX, ...timing.map(String), ...args]
}

const ENCRYPTED_GRANT = { ...GRANT, body: '{"auth":"key:signature","shared_secret":"c2VjcmV0"}' }

/** Takes the bearer token for the user's id. Callbacks of `private-named.…` return an array, as those of presence channels. */
export function grantByBearer({ headers, channel }: FakeRequest): FakeReply {
  const id = userOf(headers)
  if (id === undefined) return REFUSAL
  if (channel.startsWith('private-encrypted-')) return ENCRYPTED_GRANT
  return /^(presence-|private-named\.)/.test(channel) ? presenceGrant(id, { name: id }) : GRANT
}

export function userOf({ authorization = '' }: FakeRequest['headers']): string | undefined {
  return /^Bearer (\S+)$/.exec(authorization)?.[1]
}

function shiftedClock(shiftMs: number): Record<string, string> {
  const script = join(import.meta.dirname, 'shifted-clock.mjs')
  return { NODE_OPTIONS: `--import=${script}`, CLOCK_SHIFT_MS: String(shiftMs) }
}
