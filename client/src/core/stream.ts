import type { ConnectedData } from '../../../src/protocol.ts'
import type { Connection, StreamEnd, StreamRequest, Transport, TransportName } from '../transports/transport.ts'

export type Frame = { readonly name: string; readonly data: Record<string, unknown>; readonly id: string }

export type Bye = { readonly reason: unknown; readonly retryAfterMs: number }

export type StreamListener = {
  /** The first frame: from now on the gateway knows this stream. */
  onConnected(stream: Stream, data: ConnectedData, id: string): void
  onFrame(stream: Stream, frame: Frame): void
  /** Once, and never after `close`. */
  onEnd(stream: Stream, end: StreamEnd): void
  onError(error: Error): void
}

/** What a client does without that was not told how often to expect a `ping`. */
const HEARTBEAT_MS = 15_000

/** One request and its answer: a stream, or one long-poll. */
export class Stream {
  readonly transport: TransportName
  readonly openedAt = Date.now()
  /** When the last frame came. */
  heardAt = this.openedAt
  heartbeatMs = HEARTBEAT_MS
  isConnected = false
  /** Something for the page was among the frames. */
  hasNews = false
  /** The gateway has said that it ends here. */
  bye: Bye | null = null
  readonly #listener: StreamListener
  readonly #connection: Connection
  #isOver = false

  constructor(transport: TransportName, open: Transport, request: StreamRequest, listener: StreamListener) {
    this.transport = transport
    this.#listener = listener
    this.#connection = open(request, {
      onFrame: (name, data, id) => this.#isOver || this.#receive(name, data, id),
      onEnd: (end) => {
        if (this.#isOver) return
        this.#isOver = true
        listener.onEnd(this, end)
      },
    })
  }

  /** Nothing is heard of it any more. */
  close(): void {
    this.#isOver = true
    this.#connection.close()
  }

  #receive(name: string, text: string, id: string): void {
    this.heardAt = Date.now()
    try {
      this.#take(name, JSON.parse(text), id)
    } catch (cause) {
      this.#listener.onError(new Error(`A frame (${name}) could not be read and was left out.`, { cause }))
    }
  }

  #take(name: string, data: Record<string, unknown>, id: string): void {
    if (name === 'connected') {
      if (this.isConnected) return
      this.isConnected = true
      this.heartbeatMs = Number(data.heartbeatMs) || HEARTBEAT_MS
      this.#listener.onConnected(this, data as ConnectedData, id)
      return
    }
    if (name === 'bye') this.bye = { reason: data.reason, retryAfterMs: Number(data.retryAfterMs) || 0 }
    else if (name !== 'subscribed' && name !== 'ping') this.hasNews = true
    this.#listener.onFrame(this, { name, data, id })
  }
}
