/** The first hour: what keeps broadcasts from arriving is looked for once, and told in a sentence. */

import { LaravelAuthorizer } from './auth/laravel.ts'
import { authAddress } from './auth/laravel-address.ts'
import { type Wait, waitFor } from './auth/laravel-session.ts'
import { probeLaravel } from './auth/probe.ts'
import { watchRedis } from './broker/redis-watch.ts'
import type { Services } from './http/services.ts'
import { PrefixWatch } from './relay/prefix-watch.ts'

/** A Laravel that is away when the gateway starts is given a few minutes. */
const PROBE_AGAIN_AFTER_MS = [1000, 2000, 4000, 8000, 15_000, 30_000, 60_000, 60_000]

/** Looks at Laravel's auth route and at the prefix on Redis, beside everything else. Returns what stops it. */
export function startAdvice(services: Services, { wait = waitFor }: { wait?: Wait } = {}): () => void {
  const { authorizer, broker, logger, config } = services
  const probing = new AbortController()
  // Whoever tries the gateway by itself has no Laravel yet, and has named none.
  const isAlone = broker.kind === 'memory' && config.sources.laravelUrl.layer === 'default'
  if (authorizer instanceof LaravelAuthorizer && !isAlone) {
    adviseOnLaravel(services, wait, probing.signal).catch((error: unknown) => {
      if (!probing.signal.aborted) logger.error({ err: error }, 'the look at Laravel failed')
    })
  }
  const watch = broker.kind === 'redis' ? watchPrefix(services) : null
  return () => {
    probing.abort()
    watch?.stop()
  }
}

async function adviseOnLaravel({ config, logger }: Services, wait: Wait, signal: AbortSignal): Promise<void> {
  const laravel = {
    url: config.laravelUrl,
    endpoint: config.authEndpoint,
    timeoutMs: config.authTimeoutMs,
    maxBodyBytes: config.authMaxBodyBytes,
  }
  let told = ''
  for (const delayMs of [...PROBE_AGAIN_AFTER_MS, null]) {
    const found = await probeLaravel(laravel, signal)
    if (signal.aborted) return
    if (found === null) {
      logger.info(`Laravel answers at ${authAddress(laravel).href} as it should.`)
      return
    }
    if (found.sentence !== told) logger.warn(found.sentence)
    told = found.sentence
    if (!found.mayPass || delayMs === null) return
    await wait(delayMs, signal)
  }
}

function watchPrefix({ config, logger, metrics }: Services): PrefixWatch {
  const watch = new PrefixWatch({
    configured: config.redisPrefix,
    alternatives: config.alternativePrefixes,
    logger,
    onOtherPrefix: () => metrics.ignored.inc({ reason: 'other_prefix' }),
    hearAll: (onMessage) =>
      watchRedis(config, {
        onMessage,
        onSubscribed: () => logger.debug('looking for broadcasts under other Redis prefixes'),
        onRefused: (error) =>
          logger.debug({ err: error }, 'Redis does not let this user look for broadcasts under other prefixes'),
      }),
  })
  watch.start()
  return watch
}
