import { authAddress } from '../auth/laravel-address.ts'
import { probeLaravel } from '../auth/probe.ts'
import { describeRedis } from '../broker/redis-connection.ts'
import type { Config } from '../config/config.ts'
import type { Outcome } from './publication.ts'
import { askRedis } from './publish-redis.ts'

/** Whether Redis answers, in a sentence. */
export function checkRedis(config: Config): Promise<Outcome> {
  return askRedis(config, async (redis) => {
    await redis.ping()
    return { sentence: `${describeRedis(config)} answers.`, failed: false }
  })
}

/** Whether Laravel's auth route answers as it should, in a sentence. */
export async function checkLaravel(config: Config): Promise<Outcome> {
  const laravel = {
    url: config.laravelUrl,
    endpoint: config.authEndpoint,
    timeoutMs: config.authTimeoutMs,
    maxBodyBytes: config.authMaxBodyBytes,
  }
  const found = await probeLaravel(laravel)
  if (found !== null) return { sentence: found.sentence, failed: true }
  return { sentence: `Laravel answers at ${authAddress(laravel).href} as it should.`, failed: false }
}
