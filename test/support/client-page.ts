import { vi } from 'vitest'
import type { PusherOptions } from '../../client/src/pusher/options.ts'
import { SsePusher } from '../../client/src/pusher/pusher.ts'
import { atEndOfTest } from './at-end.ts'
import { GATEWAY_URL, pass } from './engine-page.ts'
import { FakeGateway, type FakeRequest } from './fake-gateway.ts'

/** A page of a browser, as far as a client asks for one. Its clock is the test's. */
export class ClientPage {
  readonly gateway = new FakeGateway()
  readonly errors: Error[] = []
  readonly options: PusherOptions = { url: GATEWAY_URL, onError: (error) => this.errors.push(error) }

  constructor() {
    vi.useFakeTimers()
    vi.stubGlobal('self', globalThis)
    atEndOfTest(() => {
      for (const pusher of [...SsePusher.instances]) pusher.disconnect()
      vi.useRealTimers()
      vi.unstubAllGlobals()
      vi.restoreAllMocks()
    })
  }

  pusher(options: PusherOptions = {}): SsePusher {
    return new SsePusher('key', { ...this.options, ...options })
  }

  /** The stream that is asked for now, with all its channels granted. */
  async open(grants: Record<string, Record<string, unknown>> = {}): Promise<FakeRequest> {
    await pass(50)
    const stream = this.gateway.last()
    stream.connect()
    for (const channel of stream.channels) stream.grant(channel, grants[channel])
    await pass()
    return stream
  }
}

/** As the gateway sends it. */
export function broadcast(stream: FakeRequest, channel: string, event: string, data: unknown, more = {}): void {
  stream.frame('', { channel, event, data, ...more })
}

export { GATEWAY_URL, pass }
