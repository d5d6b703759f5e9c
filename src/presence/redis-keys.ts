import { RESERVED_PREFIX } from '../channels/channel.ts'

/** What presence and grants keep in Redis. */
export type PresenceKeys = {
  /** Sorted set: incarnation of a node → when its lease ends, in Redis's milliseconds; 0 once it was taken for dead. */
  readonly nodes: string
  /** Hash: the channels where this incarnation has users; `step` → the number of what it said last. */
  node(incarnation: string): string
  /** Hash: `v` → version; a user's id as JSON text → the incarnations that say so, a line break, the member's JSON. */
  presence(channel: string): string
  /** Hash: what a socket has been granted. */
  socket(socketId: string): string
  /** Sorted set: a revocation as JSON → when it was heard, in Redis's microseconds. */
  readonly revocations: string
}

export type PresenceKeysOptions = { redisPrefix: string; redisCluster: readonly string[] }

/** The names of the keys; in a cluster all of them live where the clock lives, since the relays listen there. */
export function presenceKeys({ redisPrefix, redisCluster }: PresenceKeysOptions): PresenceKeys {
  const tag = redisCluster.length === 0 ? '' : tagOfClock(redisPrefix)
  const key = (...parts: string[]) => `${redisPrefix}${RESERVED_PREFIX}${parts.join(':')}`
  // The tag stands before what others choose: the first braces of a key count, and channel names may have some.
  const place = tag === '' ? [] : [tag]
  return {
    nodes: key('nodes', ...place),
    node: (incarnation) => key('node', ...place, incarnation),
    presence: (channel) => key('presence', ...place, channel),
    socket: (socketId) => key('socket', ...place, socketId),
    revocations: key('revocations', ...place),
  }
}

/** [Redis Cluster specification, "Hash tags"] What stands between the first { and the } after it decides the slot, unless it is empty. */
function tagOfClock(prefix: string): string {
  if (/^[^{]*\{[^}]+\}/.test(prefix)) return ''
  if (/[{}]/.test(prefix)) {
    throw new Error(`In a Redis Cluster the prefix "${prefix}" may hold braces only as one hash tag, {like-this}.`)
  }
  return `{${prefix}${RESERVED_PREFIX}clock}`
}
