import { RedisLastEvents } from '../../src/cache/redis.ts'
import { type PresenceNode, type PresenceNodeOptions, startNode } from './presence-node.ts'

export type LastEventsNode = {
  readonly store: RedisLastEvents
  readonly log: PresenceNode['log']
  close(): Promise<void>
}

/** What a gateway knows of cache channels, on the connection of its lease. */
export async function startLastEvents(
  options: PresenceNodeOptions & { redisPrefix: string },
  cacheTtlS: number,
): Promise<LastEventsNode> {
  const { lease, store, log } = await startNode(options)
  const { redisPrefix, redisCluster = [] } = options
  const lastEvents = new RedisLastEvents({ lease, redisPrefix, redisCluster, cacheTtlS })
  return {
    store: lastEvents,
    log,
    close: async () => {
      await lastEvents.stop()
      await store.stop(0)
    },
  }
}
