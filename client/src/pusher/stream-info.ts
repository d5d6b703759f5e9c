import type { LinkState } from '../core/link.ts'
import type { TransportName } from '../transports/transport.ts'
import { SsePusher } from './pusher.ts'

/** What a page can show of its stream. */
export type StreamInfo = {
  readonly status: LinkState
  /** Null before there was one. */
  readonly transport: TransportName | null
  /** Why it is this transport. */
  readonly reason: string
}

/** A client, or the Echo that has one: ours, or the real one. */
export type StreamSource = SsePusher | { readonly connector: object }

export const NO_STREAM: StreamInfo = { status: 'disconnected', transport: null, reason: '' }

/** Tells now and at every change; without a source, of the newest client. Returns how to stop that. */
export function followStream(source: StreamSource | undefined, tell: (info: StreamInfo) => void): () => void {
  const connection = clientOf(source)?.connection
  if (!connection) return () => {}
  const tellNow = () => {
    const { status, transport, reason } = connection
    tell({ status, transport, reason })
  }
  connection.bind('status', tellNow).bind('transport_change', tellNow)
  tellNow()
  return () => {
    connection.unbind('status', tellNow).unbind('transport_change', tellNow)
  }
}

function clientOf(source: StreamSource | undefined): SsePusher | undefined {
  if (source === undefined) return SsePusher.instances.at(-1)
  const client = source instanceof SsePusher ? source : (source.connector as { pusher?: unknown }).pusher
  return client instanceof SsePusher ? client : undefined
}
