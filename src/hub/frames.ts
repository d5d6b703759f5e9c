import type { Denial, Grant } from '../auth/authorizer.ts'
import type { ByeData, ConnectedData, DeniedData, FrameName, GapData, PingData, SubscribedData } from '../protocol.ts'
import { encodeFrame, Frame } from '../sse/frame.ts'

/** The gateway's own frames: what it says beside the broadcasts. */

export function connectedFrame(data: ConnectedData, id: string | null, retryMs: number): Frame {
  return frame('connected', data, { retry: retryMs, ...(id === null ? {} : { id }) })
}

export function subscribedFrame(channel: string, { member, sharedSecret }: Grant): Frame {
  const data: SubscribedData = {
    channel,
    ...(member === undefined ? {} : { me: member.id }),
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
  }
  return frame('subscribed', data)
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
