import type { FastifyReply } from 'fastify'
import type { Subscriber } from '../hub/subscriber.ts'
import { MAX_WAIT_S } from '../protocol.ts'
import type { Frame } from '../sse/frame.ts'
import type { Outlet } from '../sse/outlet.ts'
import { PollResponse } from '../sse/poll-response.ts'
import type { StreamRequest } from './stream-request.ts'

/** An answer is closed at about this size; what is left comes with the next poll. */
const MAX_POLL_BYTES = 256 * 1024
/** How long a client may take to read its answer. */
const GRACE_MS = 15_000

/**
 * Decides when a long-poll is answered: with the first news once every channel is decided, at once when the client
 * comes for the first time (it needs a cursor more than it needs to wait), and in any case when its time is up.
 */
export class Poll {
  readonly #reply: FastifyReply
  readonly #wanted: StreamRequest
  #outlet: PollResponse | null = null
  #subscriber: Subscriber | null = null
  #timers: NodeJS.Timeout[] = []
  #isScheduled = false
  #hasNews = false
  #isTimeUp = false

  constructor(reply: FastifyReply, wanted: StreamRequest) {
    this.#reply = reply
    this.#wanted = wanted
  }

  open(first: Frame): Outlet {
    this.#outlet = new PollResponse(MAX_POLL_BYTES, (body) => this.#send(body))
    this.#outlet.write([first])
    return this.#outlet
  }

  follow(subscriber: Subscriber): void {
    this.#subscriber = subscriber
    const isFirst = this.#wanted.lastEventId === null || this.#wanted.lastEventId === ''
    this.#isTimeUp = isFirst || this.#wanted.waitMs === 0
    this.#after(this.#wanted.waitMs, () => {
      this.#isTimeUp = true
      this.#check()
    })
    // Longer than this no proxy waits; what is still undecided is asked again by the next poll.
    this.#after(MAX_WAIT_S * 1000, () => this.#answer())
    this.#reply.raw.once('close', () => this.#stopTimers())
    this.#check()
  }

  /** Something was written that is worth an answer. */
  gotNews(): void {
    this.#hasNews = true
    this.#check()
  }

  /** A channel was decided: what the answer waited for may be there. */
  decided(): void {
    this.#check()
  }

  // At the end of the turn, so that what arrives together leaves together.
  #check(): void {
    if (this.#isScheduled || this.#subscriber === null) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#isDue()) this.#answer()
    })
  }

  #isDue(): boolean {
    if (this.#outlet?.isFull === true) return true
    const isSettled = this.#subscriber?.isLive === true && this.#subscriber.isDecided
    return isSettled && (this.#hasNews || this.#isTimeUp)
  }

  #answer(): void {
    if (this.#subscriber === null || this.#subscriber.isEnded) return
    this.#subscriber.tellNow()
    this.#subscriber.ping(Date.now())
    this.#outlet?.end()
    this.#subscriber.close('poll')
  }

  #send(body: Buffer): void {
    const { raw } = this.#reply
    if (raw.destroyed || raw.headersSent) return
    raw.writeHead(200, { ...(this.#reply.getHeaders() as Record<string, string>), 'Content-Length': body.length })
    raw.end(body)
    // An answer that nobody takes would be kept for as long as the connection lasts.
    const grace = setTimeout(() => raw.destroy(), GRACE_MS).unref()
    raw.once('close', () => clearTimeout(grace))
  }

  // Also when the client has left: a timer would keep its whole answer until then.
  #stopTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    this.#timers.push(timer)
  }
}
