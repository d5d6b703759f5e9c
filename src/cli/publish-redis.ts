import { randomUUID } from 'node:crypto'
import { type Commands, describeRedis, openCommands } from '../broker/redis-connection.ts'
import { explainRedisError } from '../broker/redis-errors.ts'
import type { Config } from '../config/config.ts'
import type { Message, Outcome } from './publication.ts'

/** PUBLISHes what Laravel's RedisBroadcaster would, on each channel under the prefix. */
export function publishByRedis(message: Message, config: Config): Promise<Outcome> {
  return askRedis(config, async (redis) => {
    const watchers = await countWatchers(redis, config)
    const counts: number[] = []
    for (const channel of message.channels) {
      const heard = Number(await redis.publish(config.redisPrefix + channel, payloadOf(message)))
      counts.push(Math.max(0, heard - watchers))
    }
    return describe(message, counts, watchers, config)
  })
}

/** Connects once and does something; what fails is a sentence. */
export async function askRedis(config: Config, work: (redis: Commands) => Promise<Outcome>): Promise<Outcome> {
  const redis = openCommands(config, {
    maxRetriesPerRequest: 0,
    commandTimeout: 5000,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
  })
  let failure: unknown
  // ioredis tells why a connection failed only here; what a command rejects with is "Connection is closed."
  redis.on('error', (error) => {
    failure = error
  })
  try {
    await redis.connect()
    return await work(redis)
  } catch (error) {
    return { sentence: explainRedisError(failure ?? error, describeRedis(config)), failed: true }
  } finally {
    redis.disconnect()
  }
}

/**
 * How many listen on everything, as a gateway does for a while beside its relay: they say nothing about the prefix.
 * With an empty one the relay is such a listener itself; in a cluster each node counts only its own.
 */
export async function countWatchers(redis: Commands, { redisPrefix, redisCluster }: Config): Promise<number> {
  if (redisPrefix === '' || redisCluster.length > 0) return 0
  const nowhere = `${redisPrefix.startsWith('!') ? '?' : '!'}${randomUUID()}`
  // A user that may publish under the prefix only is refused.
  return redis.publish(nowhere, '').then(Number, () => 0)
}

/** [Illuminate/Broadcasting/Broadcasters/RedisBroadcaster.php] These three keys in this order. */
function payloadOf({ event, data, socketId }: Message): string {
  return `{"event":${JSON.stringify(event)},"data":${data},"socket":${JSON.stringify(socketId)}}`
}

function describe(
  { channels, event }: Message,
  counts: readonly number[],
  watchers: number,
  { redisPrefix }: Config,
): Outcome {
  const heard = channels.map((channel, index) => `${counts[index]} on ${redisPrefix}${channel}`).join(', ')
  const deaf = counts.some((count) => count === 0)
  const others = deaf && watchers > 0 ? ` Not counted: ${watchers} that listen on everything.` : ''
  const advice = deaf ? ' Is the gateway running, on this Redis and with this prefix?' : ''
  return { sentence: `${event}: subscribers on Redis that heard it: ${heard}.${others}${advice}`, failed: deaf }
}
