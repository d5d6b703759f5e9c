import type { ByeData, ConnectedData } from '../../../src/protocol.ts'
import { eventSource } from '../transports/event-source.ts'
import { fetchStream } from '../transports/fetch.ts'
import type { Close, Parameter, StreamEnd, StreamRequest, TransportName } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'
import type { Choice } from './choice.ts'
import type { Pace } from './retry.ts'

export type Frame = { readonly name: string; readonly data: Record<string, unknown>; readonly id: string }

/** Who has the stream made, and is told of it. */
export type StreamOwner = {
  readonly choice: Choice
  readonly pace: Pace
  /** The first frame: from now on the gateway knows this stream. */
  onConnected(stream: Stream, data: ConnectedData, id: string): void
  /** There will be no stream. Without a status something may be wrong with the way there. */
  onFailed(end: StreamEnd): void
  /** Asks for what is wanted now: the gateway is well, and the stream does not come through. */
  open(): void
  /** From `connected` on. */
  onFrame(stream: Stream, frame: Frame): void
  /** Once, and never after `close`. */
  onEnd(stream: Stream, end: StreamEnd): void
  onBroken(name: string, cause: unknown): void
}

/** What a client does without that was not told how often to expect a `ping`. */
const HEARTBEAT_MS = 15_000
/** A stream that has said nothing for so long may be held back on its way. */
const PATIENCE_MS = 1500
const LEAST_PATIENCE_MS = 500
const OPEN_TIMEOUT_MS = 10_000
/** What a poll may take to be answered. */
const POLL_TIMEOUT_MS = 40_000

/** The page was told of it. */
let isWarned = false

/** One request and its answer, a stream or one long-poll; and what can be learnt when its `connected` does not come. */
export class Stream {
  readonly transport: TransportName
  readonly openedAt = Date.now()
  /** When the last frame came. */
  heardAt = this.openedAt
  heartbeatMs = HEARTBEAT_MS
  isConnected = false
  /** It has failed, and why is being found out. */
  isFailing = false
  /** Something for the page was among the frames. */
  hasNews = false
  /** The gateway has said that it ends here. */
  bye: ByeData | null = null
  readonly #request: StreamRequest
  /** A path that has held streams back is tried again. */
  readonly #isTrial: boolean
  readonly #owner: StreamOwner
  readonly #close: Close
  readonly #patience = new Alarm()
  readonly #deadline = new Alarm()
  #probe: Close | null = null
  #isAnswered = false

  /** `waitS`: how long a poll may wait for news. */
  constructor(request: StreamRequest, isTrial: boolean, waitS: number, owner: StreamOwner) {
    const { choice, pace } = owner
    this.#request = request
    this.#isTrial = isTrial
    this.#owner = owner
    this.transport = choice.transport(request, isTrial)
    const isPoll = this.transport === 'poll'
    const more: Parameter[] = isPoll ? asPoll(waitS) : []
    const open = this.transport === 'eventsource' ? eventSource : fetchStream
    this.#close = open(
      { ...request, parameters: [...request.parameters, ...more] },
      {
        onAnswer: () => {
          this.#isAnswered = true
        },
        onFrame: (name, data, id) => this.#receive(name, data, id),
        onEnd: (end) => (this.isConnected ? owner.onEnd(this, end) : this.#ended(end)),
      },
    )
    // The next may not come sooner because this one was slow to leave.
    pace.asked()
    this.#failIn(isPoll ? POLL_TIMEOUT_MS : OPEN_TIMEOUT_MS)
    // A path that has held streams back before is not probed again for that.
    if (isTrial) this.#patience.set(PATIENCE_MS, () => this.#isHeldBack())
    else if (choice.asked === 'auto' && !isPoll) this.#patience.set(PATIENCE_MS, () => this.#judge())
  }

  /** Nothing is heard of it any more. */
  close(): void {
    this.#rest()
    this.#close()
  }

  #receive(name: string, text: string, id: string): void {
    this.heardAt = Date.now()
    try {
      this.#take({ name, data: JSON.parse(text), id })
    } catch (cause) {
      this.#owner.onBroken(name, cause)
    }
  }

  #take(frame: Frame): void {
    const { name, data, id } = frame
    if (name !== 'connected') {
      if (name === 'bye') this.bye = data as ByeData
      else if (name !== 'subscribed' && name !== 'ping') this.hasNews = true
      if (this.isConnected) this.#owner.onFrame(this, frame)
    } else if (!this.isConnected) {
      this.isConnected = true
      this.heartbeatMs = (data as ConnectedData).heartbeatMs || HEARTBEAT_MS
      this.#rest()
      this.#owner.onConnected(this, data as ConnectedData, id)
    }
  }

  #ended(end: StreamEnd): void {
    if (this.#isTrial) this.#isHeldBack()
    else if (this.bye === null && this.transport === 'eventsource') this.#learnWhy()
    else this.#fail(this.bye ?? end)
  }

  // EventSource does not say. Where all is well otherwise, fetch will see what is wrong with this very request.
  #learnWhy(): void {
    const { choice, pace } = this.#owner
    this.#rest()
    this.isFailing = true
    this.#patience.set(pace.leastMs(), () => {
      this.#failIn(OPEN_TIMEOUT_MS)
      this.#ask((isWell, end) => {
        choice.needsStatus = isWell
        this.#fail(end)
      })
    })
  }

  // Headers may come at once and events never, so only `connected` counts. A request with an end tells apart a network
  // that is slow, where it is slow too, from a path that holds streams back.
  #judge(): void {
    const startedAt = Date.now()
    this.#ask((isWell) => {
      const tookMs = Date.now() - startedAt
      if (isWell) this.#patience.set(Math.max(LEAST_PATIENCE_MS, 2 * tookMs), () => this.#isHeldBack())
    })
  }

  // For nothing, with an end: no channel, so nobody is asked for a login. It has the status that EventSource does not tell.
  #ask(onSeen: (isWell: boolean, end: StreamEnd) => void): void {
    let isWell = false
    this.#probe = fetchStream(
      { ...this.#request, parameters: [['channels', ''], ...asPoll(0)] },
      {
        onAnswer: () => {},
        onFrame: (name) => {
          isWell ||= name === 'connected'
        },
        onEnd: (end) => onSeen(isWell, end),
      },
    )
    this.#owner.pace.asked()
  }

  #isHeldBack(): void {
    this.close()
    this.#owner.choice.learn(true)
    this.#owner.open()
  }

  #failIn(delayMs: number): void {
    this.#deadline.set(delayMs, () => {
      if (!this.#isAnswered) warnOfLimit(this.#request.url, delayMs)
      this.#fail({})
    })
  }

  #fail(end: StreamEnd): void {
    this.close()
    this.#owner.onFailed(end)
  }

  #rest(): void {
    this.#patience.clear()
    this.#deadline.clear()
    this.#probe?.()
  }
}

function asPoll(waitS: number): Parameter[] {
  return Object.entries({ mode: 'poll', wait: `${waitS}` })
}

// What waits for a free connection looks like this, and nothing else in the page says why.
function warnOfLimit(url: string, waitedMs: number): void {
  if (isWarned) return
  isWarned = true
  console.warn(
    `${url} has not answered in ${waitedMs / 1000} s: over HTTP/1.1 a browser allows six streams, over HTTP/2 many (nginx/gateway.conf)`,
  )
}
