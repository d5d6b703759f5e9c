import { RESERVED_PREFIX } from '../channels/channel.ts'

export type HashTagOptions = { readonly redisPrefix: string; readonly redisCluster: readonly string[] }

/**
 * What a key must hold, before its first brace, to live where the clock lives in a cluster, since the relays listen
 * there; empty where any key does.
 * [Redis Cluster specification, "Hash tags"] What stands between the first { and the } after it decides the slot, unless it is empty.
 */
export function hashTag({ redisPrefix, redisCluster }: HashTagOptions): string {
  if (redisCluster.length === 0 || /^[^{]*\{[^}]+\}/.test(redisPrefix)) return ''
  if (/[{}]/.test(redisPrefix)) {
    throw new Error(`In a Redis Cluster the prefix "${redisPrefix}" may hold braces only as one hash tag, {like-this}.`)
  }
  return `{${redisPrefix}${RESERVED_PREFIX}clock}`
}
