import type { ConnectedData } from '../../../src/protocol.ts'
import { eventSource } from '../transports/event-source.ts'
import { fetchStream } from '../transports/fetch.ts'
import type { Connection, Parameter, StreamEnd, StreamRequest, TransportName } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'
import type { Choice } from './choice.ts'
import { type OnSeen, probe } from './probe.ts'
import type { Pace } from './retry.ts'
import { Stream, type StreamListener } from './stream.ts'

export type AttemptOptions = {
  /** A path that has held streams back is tried again. */
  readonly isTrial: boolean
  /** How long a poll may wait for news. */
  readonly waitS: number
}

/** `onEnd` is the end of a stream that had connected. */
export type AttemptListener = StreamListener & {
  /** It is over, and there is no stream. Without a status something may be wrong with the way there. */
  onFailed(end: StreamEnd): void
  /** The gateway is well, and the stream does not come through. */
  onHeldBack(): void
}

/** A stream that has said nothing for so long may be held back on its way. */
const PATIENCE_MS = 1500
const LEAST_PATIENCE_MS = 500
const OPEN_TIMEOUT_MS = 10_000
/** What a poll may take to be answered. */
const POLL_TIMEOUT_MS = 40_000

/** One request until its `connected`, and what can be learnt when that does not come. */
export class Attempt {
  readonly transport: TransportName
  readonly openedAt = Date.now()
  /** It has failed, and why is being found out. */
  isFailing = false
  readonly #request: StreamRequest
  readonly #isTrial: boolean
  readonly #stream: Stream
  readonly #choice: Choice
  readonly #pace: Pace
  readonly #listener: AttemptListener
  readonly #patience = new Alarm()
  readonly #deadline = new Alarm()
  #probe: Connection | null = null

  constructor(
    request: StreamRequest,
    { isTrial, waitS }: AttemptOptions,
    choice: Choice,
    pace: Pace,
    listener: AttemptListener,
  ) {
    this.#request = request
    this.#isTrial = isTrial
    this.#choice = choice
    this.#pace = pace
    this.#listener = listener
    this.transport = choice.transport(request, isTrial)
    const isPoll = this.transport === 'poll'
    const more: Parameter[] = isPoll ? Object.entries({ mode: 'poll', wait: String(waitS) }) : []
    const wanted = { ...request, parameters: [...request.parameters, ...more] }
    const open = this.transport === 'eventsource' ? eventSource : fetchStream
    pace.asked()
    this.#stream = new Stream(this.transport, open, wanted, {
      ...listener,
      onConnected: (stream, data, id) => this.#connected(stream, data, id),
      onEnd: (stream, end) => (stream.isConnected ? listener.onEnd(stream, end) : this.#ended(end)),
    })
    this.#deadline.set(isPoll ? POLL_TIMEOUT_MS : OPEN_TIMEOUT_MS, () => this.#fail({}))
    // A path that has held streams back before is not probed again for that.
    if (isTrial) this.#patience.set(PATIENCE_MS, () => this.#isHeldBack())
    else if (choice.asked === 'auto' && !isPoll) this.#patience.set(PATIENCE_MS, () => this.#judge())
  }

  /** Nothing comes of it. */
  close(): void {
    this.#rest()
    this.#stream.close()
  }

  #connected(stream: Stream, data: ConnectedData, id: string): void {
    this.#rest()
    this.#listener.onConnected(stream, data, id)
  }

  #ended(end: StreamEnd): void {
    const { bye } = this.#stream
    if (this.#isTrial) this.#isHeldBack()
    else if (bye !== null) this.#fail({ retryAfterMs: bye.retryAfterMs })
    else if (this.transport === 'eventsource') this.#learnWhy()
    else this.#fail(end)
  }

  // EventSource does not say. Where all is well otherwise, fetch will see what is wrong with this very request.
  #learnWhy(): void {
    this.#rest()
    this.isFailing = true
    this.#patience.set(this.#pace.leastMs(), () =>
      this.#ask((isWell, end) => {
        this.#choice.needsStatus = isWell
        this.#fail(end)
      }),
    )
  }

  // Headers may come at once and events never, so only `connected` counts. A request with an end tells apart a network
  // that is slow, where it is slow too, from a path that holds streams back.
  #judge(): void {
    const startedAt = Date.now()
    this.#ask((isWell) => {
      if (!isWell) return
      const tookMs = Date.now() - startedAt
      this.#patience.set(Math.max(LEAST_PATIENCE_MS, 2 * tookMs), () => this.#isHeldBack())
    })
  }

  #ask(onSeen: OnSeen): void {
    this.#pace.asked()
    this.#probe = probe(this.#request, onSeen)
  }

  #isHeldBack(): void {
    this.close()
    this.#choice.heldBack.found()
    this.#listener.onHeldBack()
  }

  #fail(end: StreamEnd): void {
    this.close()
    this.#listener.onFailed(end)
  }

  #rest(): void {
    this.#patience.clear()
    this.#deadline.clear()
    this.#probe?.close()
  }
}
