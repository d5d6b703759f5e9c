import { type HashTagOptions, hashTag } from '../broker/hash-tag.ts'
import { RESERVED_PREFIX } from '../channels/channel.ts'

/** What presence, grants and occupancy keep in Redis. */
export type PresenceKeys = {
  /**
   * Sorted set: incarnation of a node → when its lease ends, in Redis's milliseconds; 0 once it was taken for dead, -1
   * when Redis has begun anew since.
   */
  readonly nodes: string
  /** Text: the run of the server by which all of this was said; another one has forgotten it. */
  readonly run: string
  /** Hash: the channels where this incarnation has users; `step` → the number of what it said last. */
  node(incarnation: string): string
  /** Hash: `v` → version; a user's id as JSON text → the incarnations that say so, a line break, the member's JSON. */
  presence(channel: string): string
  /** Hash: what a socket has been granted. */
  socket(socketId: string): string
  /** Sorted set: a revocation as JSON → when it was heard, in Redis's microseconds. */
  readonly revocations: string
  /** Hash: an occupied channel → its sockets on all nodes; 0 until it is vacated. */
  readonly occupancy: string
  /** Hash: channels where this incarnation has sockets → how many; `sse:step` → the number of what it said last. */
  occupants(incarnation: string): string
  /** Sorted set: a channel that was left → when it is vacated, unless somebody came, in Redis's milliseconds. */
  readonly vacating: string
}

/** The names of the keys; in a cluster all of them live where the clock lives, since the relays listen there. */
export function presenceKeys(options: HashTagOptions): PresenceKeys {
  const tag = hashTag(options)
  const key = (...parts: string[]) => `${options.redisPrefix}${RESERVED_PREFIX}${parts.join(':')}`
  // The tag stands before what others choose: the first braces of a key count, and channel names may have some.
  const place = tag === '' ? [] : [tag]
  return {
    nodes: key('nodes', ...place),
    run: key('run', ...place),
    node: (incarnation) => key('node', ...place, incarnation),
    presence: (channel) => key('presence', ...place, channel),
    socket: (socketId) => key('socket', ...place, socketId),
    revocations: key('revocations', ...place),
    occupancy: key('occupancy', ...place),
    occupants: (incarnation) => key('occupants', ...place, incarnation),
    vacating: key('vacating', ...place),
  }
}
