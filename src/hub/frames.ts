import type { Denial, Grant } from '../auth/authorizer.ts'
import type { Broadcast } from '../channels/broadcast.ts'
import type {
  ByeData,
  CacheMissData,
  ConnectedData,
  DeniedData,
  FrameName,
  GapData,
  PingData,
  RevokedData,
  SubscribedData,
} from '../protocol.ts'
import { encodeFrame, Frame } from '../sse/frame.ts'

/** The gateway's own frames: what it says beside the broadcasts. */

export function connectedFrame(data: ConnectedData, id: string | null, retryMs: number): Frame {
  return frame('connected', data, { retry: retryMs, ...(id === null ? {} : { id }) })
}

/** Who is on a presence channel: JSON, and how many they are when it does not name them all. */
export type MemberList = { readonly json: string; readonly count: number | null }

export function subscribedFrame(channel: string, { member, sharedSecret }: Grant, list?: MemberList): Frame {
  const rest: Omit<SubscribedData, 'channel' | 'members'> = {
    ...(list === undefined || list.count === null ? {} : { count: list.count }),
    ...(member === undefined || list === undefined ? {} : { me: member.id }),
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
  }
  // The members are printed already: a list of a thousand is the same text for all who come.
  const members = list === undefined ? [] : [`"members":${list.json}`]
  const fields = [`"channel":${JSON.stringify(channel)}`, ...members, JSON.stringify(rest).slice(1, -1)]
  return jsonFrame('subscribed', `{${fields.filter((field) => field !== '').join(',')}}`)
}

/** Somebody has come, or left. `memberJson` is `{"id":…,"info":…}`. */
export function memberFrame(event: 'joining' | 'leaving', channel: string, memberJson: string): Frame {
  return jsonFrame(event, `{"channel":${JSON.stringify(channel)},"member":${memberJson}}`)
}

/** What a page says to the others. `dataJson` is printed as it came. */
export function whisperFrame(channel: string, event: string, dataJson: string, userId: string | null): Frame {
  const head = `{"channel":${JSON.stringify(channel)},"event":${JSON.stringify(event)},"data":${dataJson}`
  return new Frame(encodeFrame({ data: userId === null ? `${head}}` : `${head},"userId":${JSON.stringify(userId)}}` }))
}

/** The last event of a cache channel, which has its place before all that the stream tells: no id. */
export function cachedFrame(channel: string, { eventJson, dataJson }: Broadcast): Frame {
  const data = `{"channel":${JSON.stringify(channel)},"event":${eventJson},"data":${dataJson},"cached":true}`
  return new Frame(encodeFrame({ data }))
}

export function cacheMissFrame(channel: string): Frame {
  const data: CacheMissData = { channel }
  return frame('cache_miss', data)
}

export function revokedFrame(channel: string, { status, code, message }: Denial): Frame {
  const data: RevokedData = { channel, status, code, message }
  return frame('revoked', data)
}

export function deniedFrame(channel: string, { status, code, message, retry, retryAfterMs }: Denial): Frame {
  const data: DeniedData = {
    channel,
    status,
    code,
    message,
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
  return frame('denied', data)
}

export function pingFrame(data: PingData, id: string | null): Frame {
  return frame('ping', data, id === null ? {} : { id })
}

export function gapFrame(data: GapData, id: string | null): Frame {
  return frame('gap', data, id === null ? {} : { id })
}

/**
 * `retry:` beside `retryAfterMs`, for a client that leaves reconnecting to the browser. Never 0: Chromium then came back
 * 37 times in 1.3 s.
 */
export function byeFrame(data: ByeData): Frame {
  return frame('bye', data, { retry: data.retryAfterMs })
}

function frame(event: FrameName, data: unknown, extra: { id?: string; retry?: number } = {}): Frame {
  return new Frame(encodeFrame({ event, data: JSON.stringify(data), ...extra }))
}

function jsonFrame(event: FrameName, data: string): Frame {
  return new Frame(encodeFrame({ event, data }))
}
