import { describeRedis, openCommands } from '../broker/redis-connection.ts'
import { explainRedisError } from '../broker/redis-errors.ts'
import type { Config } from '../config/config.ts'
import type { Message, Outcome } from './publication.ts'

/** PUBLISHes what Laravel's RedisBroadcaster would, on each channel under the prefix. */
export async function publishByRedis(message: Message, config: Config): Promise<Outcome> {
  const redis = openCommands(config, { maxRetriesPerRequest: 0, commandTimeout: 5000, retryStrategy: () => null })
  let failure: unknown
  // ioredis tells why a connection failed only here; what a command rejects with is "Connection is closed."
  redis.on('error', (error) => {
    failure = error
  })
  try {
    await redis.connect()
    const counts: number[] = []
    for (const channel of message.channels) {
      counts.push(Number(await redis.publish(config.redisPrefix + channel, payloadOf(message))))
    }
    return describe(message, counts, config)
  } catch (error) {
    return { sentence: explainRedisError(failure ?? error, describeRedis(config)), failed: true }
  } finally {
    redis.disconnect()
  }
}

/** [Illuminate/Broadcasting/Broadcasters/RedisBroadcaster.php] These three keys in this order. */
function payloadOf({ event, data, socketId }: Message): string {
  return `{"event":${JSON.stringify(event)},"data":${data},"socket":${JSON.stringify(socketId)}}`
}

function describe({ channels, event }: Message, counts: readonly number[], { redisPrefix }: Config): Outcome {
  const heard = channels.map((channel, index) => `${counts[index]} on ${redisPrefix}${channel}`).join(', ')
  const deaf = counts.some((count) => count === 0)
  const advice = deaf ? ' Is the gateway running, on this Redis and with this prefix?' : ''
  return { sentence: `${event}: subscribers on Redis that heard it: ${heard}.${advice}`, failed: deaf }
}
