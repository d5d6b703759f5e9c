import type { FrameName } from '../../../src/protocol.ts'
import { addressOf } from './address.ts'
import type { Transport } from './transport.ts'

/** Every name there is: a new one in the protocol is missed here by the compiler. */
const NAMES: Readonly<Record<FrameName | 'message', 1>> = {
  message: 1,
  connected: 1,
  subscribed: 1,
  denied: 1,
  joining: 1,
  leaving: 1,
  revoked: 1,
  cache_miss: 1,
  ping: 1,
  gap: 1,
  bye: 1,
}

/**
 * The browser's own EventSource, which never reconnects here: it gives up for ever on any status but 200, and otherwise
 * comes back after a fixed time and with its old address.
 */
export const eventSource: Transport = (request, listener) => {
  const source = new EventSource(addressOf(request), { withCredentials: !!request.withCredentials })
  let lastId = ''
  for (const name of Object.keys(NAMES)) {
    source.addEventListener(name, ({ data, lastEventId }: MessageEvent<string>) => {
      // A frame without an id shows the last one, which the gateway never repeats.
      const id = lastEventId === lastId ? '' : lastEventId
      lastId = lastEventId
      listener.onFrame(name, data, id)
    })
  }
  source.onopen = listener.onAnswer
  source.onerror = () => {
    source.close()
    listener.onEnd({})
  }
  return () => source.close()
}
