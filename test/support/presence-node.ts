import { Redis } from 'ioredis'
import { defaultConfig } from '../../src/config/config.ts'
import { printMember } from '../../src/presence/member.ts'
import { RedisPresenceStore } from '../../src/presence/redis.ts'
import { RedisLease, type RedisLeaseOptions } from '../../src/presence/redis-lease.ts'
import { PRESENCE_TRAFFIC, type PresenceNews } from '../../src/presence/store.ts'
import { atEndOfTest } from './at-end.ts'
import { Log } from './log.ts'
import { PresenceEars } from './presence-ears.ts'

export type PresenceNode = {
  readonly lease: RedisLease
  readonly store: RedisPresenceStore
  readonly log: Log
  /** How often it was asked to say everything again. */
  readonly forgotten: () => number
  /** Who came and who is gone, as it was told. */
  readonly news: PresenceNews[]
  /** What it does when it is asked; nothing unless a test says so. */
  sayAgain: () => void
  /** What remains of it in Redis is that it was there: no goodbye, as after a SIGKILL. */
  kill(): void
}

export type PresenceNodeOptions = Partial<RedisLeaseOptions>

/** 1.2 s: long enough for a busy machine to renew in time, short enough to wait for. */
export const SHORT_LEASE_S = 1.2

/** A node that has signed on. */
export async function startNode(options: PresenceNodeOptions): Promise<PresenceNode> {
  const log = new Log()
  const all = { ...defaultConfig({ readyTimeoutMs: 3000 }), leaseS: SHORT_LEASE_S, ...options }
  const lease = new RedisLease(all, { logger: log.logger })
  const store = new RedisPresenceStore({ lease })
  let forgotten = 0
  const node: PresenceNode = {
    lease,
    store,
    log,
    forgotten: () => forgotten,
    news: [],
    sayAgain: () => {},
    kill: () => lease.stop(),
  }
  atEndOfTest(() => lease.stop())
  store.start({
    onForgotten: () => {
      forgotten += 1
      node.sayAgain()
    },
    onNews: (news) => node.news.push(news),
  })
  await store.verify()
  return node
}

/** Hears the changes under a prefix, on a connection of its own. */
export async function openEars(url: string, redisPrefix: string): Promise<PresenceEars & { close(): void }> {
  const ears = new PresenceEars()
  const redis = new Redis(url, { protocol: 2 })
  redis.on('message', (_channel: string, payload: string) => ears.hear(payload))
  await redis.subscribe(redisPrefix + PRESENCE_TRAFFIC)
  const close = () => redis.disconnect()
  atEndOfTest(close)
  return Object.assign(ears, { close })
}

/** Who came (+) to a channel and who is gone (-) from it, one text each time: `+7 +8`, `-7`. */
export function storyOf(news: readonly PresenceNews[], channel: string): string[] {
  return news
    .filter((one) => one.channel === channel)
    .map(({ joined, left }) => [...joined.map((id) => `+${id}`), ...left.map((id) => `-${id}`).sort()].join(' '))
}

export const user = (id: string, info: unknown = { name: `User ${id}` }) => printMember({ id, info })
