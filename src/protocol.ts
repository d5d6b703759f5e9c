/**
 * The words of the wire, shared with the browser client: paths, parameters, frame names and the
 * JSON each frame carries. docs/protocol.md says what they mean. This file imports nothing.
 */

export const PROTOCOL_VERSION = 1

export const PATHS = {
  tryIt: '/',
  stream: '/stream',
  whisper: '/whisper',
  leave: '/leave',
  apps: '/apps',
  health: '/health',
  ready: '/ready',
  metrics: '/metrics',
} as const

/** The parameters of /stream, in the query string or in the body. */
export const PARAMETERS = {
  channels: 'channels',
  channel: 'channel',
  lastEventId: 'lastEventId',
  fresh: 'fresh',
  socketId: 'socketId',
  key: 'key',
  mode: 'mode',
  wait: 'wait',
  heartbeat: 'heartbeat',
} as const

/** The longest a long-poll may wait: 25 s pass every proxy that was measured, 65 s do not. */
export const MAX_WAIT_S = 25

/** The shortest heartbeat a client may ask for. */
export const MIN_HEARTBEAT_MS = 2000

export type StreamMode = 'stream' | 'poll'

/** `event:` names. A broadcast has none, so it arrives as EventSource's `message`. */
export type FrameName =
  | 'connected'
  | 'subscribed'
  | 'denied'
  | 'joining'
  | 'leaving'
  | 'revoked'
  | 'cache_miss'
  | 'ping'
  | 'gap'
  | 'bye'

/** How the stream relates to what the client saw before. */
export type ResumeVerdict = 'fresh' | 'ok' | 'gap'

export type ConnectedData = {
  protocol: typeof PROTOCOL_VERSION
  socketId: string
  key: string
  heartbeatMs: number
  resume: ResumeVerdict
  mode: StreamMode
  /** The gateway's clock, ms since 1970. */
  time: number
}

/** Somebody on a presence channel. `info` is what Laravel's channel callback returned. */
export type MemberData = { id: string; info: unknown }

export type SubscribedData = {
  channel: string
  /** Who is there, this page included; on presence channels. It replaces any list the page had. */
  members?: MemberData[]
  /** How many are there, when `members` names only the first of them. */
  count?: number
  /** The user id Laravel gave for this page, on presence channels. */
  me?: string
  /** Key to decrypt this channel, on encrypted channels. */
  sharedSecret?: string
}

export type DeniedData = {
  channel: string
  status: number
  code: string
  message: string
  /** True when the same question may get another answer later. */
  retry: boolean
  retryAfterMs?: number
}

/** The first connection of a user has come, or the last one has gone. */
export type MemberChangeData = { channel: string; member: MemberData }

/** A cache channel has no last event that the page could be told first. */
export type CacheMissData = { channel: string }

/** A permission is withdrawn while the stream lives; nothing more of the channel follows. */
export type RevokedData = { channel: string; status: number; code: string; message: string }

/** What a broadcast looks like to the page. `data` is Laravel's JSON, digit for digit. */
export type BroadcastData = {
  channel: string
  event: string
  data: unknown
  /** Who whispers, as Laravel named them; on whispers of presence channels. */
  userId?: string
  /** It is the last event of a cache channel, from before the page came. */
  cached?: true
}

/** The body of POST /whisper. */
export type WhisperBody = { channel: string; event: string; data?: unknown; socketId: string; key: string }

/** The body of POST /leave. */
export type LeaveBody = { socketId: string; key: string }

export type PingData = { time: number }

export type GapReason = 'expired' | 'restart' | 'relay-lost' | 'overflow' | 'denied'

/** Messages may be missing on these channels; null means on all. */
export type GapData = { channels: string[] | null; reason: GapReason }

export type ByeReason = 'drain' | 'slow' | 'left' | 'terminated' | 'replaced' | 'expired' | 'shutdown' | 'overload'

/** The gateway ends the stream; come back no sooner than `retryAfterMs`. */
export type ByeData = { reason: ByeReason; retryAfterMs: number }

/** The body of every refusal made before a stream exists. */
export type ErrorBody = { error: { code: string; message: string } }
