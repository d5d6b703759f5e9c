import type { ConnectedData } from '../../../src/protocol.ts'
import type { Parameter, StreamEnd } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'
import type { Channels } from './channels.ts'
import { Choice } from './choice.ts'
import type { Identity } from './identity.ts'
import { nameOf, type Page } from './listener.ts'
import { DRIFT_MS, startPulse } from './pulse.ts'
import { Pace } from './retry.ts'
import { type Frame, Stream, type StreamOwner } from './stream.ts'

/** `connected` stays over a change of channels and between two polls. */
export type LinkState = 'disconnected' | 'connecting' | 'connected' | 'reconnecting' | 'failed'

const POLL_WAIT_S = 25
/** Between two polls when the first brought something. */
const POLL_PAUSE_MS = 100
/** A poll without news is answered by then; one that is not was lost while the page slept. */
const POLL_OVERDUE_MS = 30_000
/** A stream that lived so long was a success, whatever has ended it. */
const STABLE_MS = 10_000
/** Refusals that have nothing to do with what was asked for. */
const MAY_PASS = [408, 425, 429]
const MAX_REFUSALS = 5
const NO_GATEWAY = "this is not the gateway; `url` must be the gateway's base address"

/**
 * Keeps one stream to the gateway, whatever happens to it. A new request is made beside the stream that is there and
 * takes over with its `connected`; the cursor sees to it that nothing is lost or told twice.
 */
export class Link implements StreamOwner {
  state: LinkState = 'disconnected'
  /** The stream that is there, or was there last. */
  last: Stream | null = null
  readonly choice: Choice
  readonly pace = new Pace()
  /** What came last; a stream that begins without it continues nothing. */
  cursor = ''
  readonly #page: Page
  readonly #channels: Channels
  readonly #identity: Identity
  readonly #retry = new Alarm()
  #stopPulse: (() => void) | null = null
  #live: Stream | null = null
  #next: Stream | null = null
  #wasUrgent = false
  #refusals = 0
  /** Whether the page was asked for a login: until then nothing else is tried, and afterwards it is not asked again. */
  #login: 'waiting' | 'asked' | null = null

  constructor(page: Page, channels: Channels, identity: Identity) {
    this.#page = page
    this.#channels = channels
    this.#identity = identity
    this.choice = new Choice(page)
  }

  get isOpen(): boolean {
    return !!this.#stopPulse
  }

  /** Asks for what is wanted now. While it waits for its next attempt, that attempt asks for it. */
  open(): void {
    if (!this.#stopPulse) {
      this.#isWell()
      this.pace.succeeded()
      this.#stopPulse = startPulse(
        () => this.#watch(),
        () => this.check(),
      )
      if (this.state === 'disconnected' || this.state === 'failed') this.#turn('connecting')
    }
    if (!this.#isWaiting && this.#login !== 'waiting') this.#ask()
  }

  /** Ends everything; `state` says what the page is told. */
  close(state = this.state): void {
    this.#stopPulse?.()
    this.#retry.clear()
    this.#next?.close()
    this.#live?.close()
    this.#stopPulse = this.#next = this.#live = null
    this.#turn(state)
  }

  /** A good moment to look: the page was woken, is seen again, or has a network again. */
  check(): void {
    const now = Date.now()
    const [live, next] = [this.#live, this.#next]
    if (this.#isWaiting) this.#askIn(this.pace.leastMs(Math.random() * 1000))
    else if (
      next
        ? next.transport === 'poll' && now - next.openedAt > POLL_OVERDUE_MS
        : live && now - live.heardAt > live.heartbeatMs + DRIFT_MS
    )
      this.#ask()
  }

  /** The CSRF token in the cookie was refused. True when fetch brings another one from now on. */
  tryToken(): boolean {
    const isNew = this.last?.transport === 'eventsource' && 'x-csrf-token' in nameOf(this.#page).headers
    this.choice.needsToken ||= isNew
    return isNew
  }

  onConnected(stream: Stream, data: ConnectedData, id: string): void {
    const { transport } = stream
    const { choice, last } = this
    this.#live?.close()
    this.#live = this.last = stream
    this.#next = null
    this.#isWell()
    // Without an id the `gap` that follows brings it.
    this.cursor = id || this.cursor
    if (transport !== 'poll') choice.learn(false)
    if (transport !== last?.transport) this.#page.onTransport(transport, choice.reason(transport))
    this.#page.log(`connected as ${data.socketId} (${transport}, ${data.resume})`)
    this.#identity.proof = { socketId: data.socketId, key: data.key }
    if (data.resume !== 'ok') for (const subscription of this.#channels.all.values()) subscription.lapse()
    this.#turn('connected')
  }

  onFrame(stream: Stream, frame: Frame): void {
    if (stream !== this.#live) return
    this.cursor = frame.id || this.cursor
    this.#channels.take(frame)
  }

  onBroken(name: string, cause: unknown): void {
    this.#page.onError(new Error(`A frame (${name}) is unreadable`, { cause }))
  }

  onEnd(stream: Stream, { isWhole }: StreamEnd): void {
    if (stream !== this.#live) return
    if (stream.transport !== 'poll' || !isWhole || stream.bye) {
      this.#lost(stream)
      return
    }
    this.#live = null
    this.pace.succeeded()
    const hasNews = stream.hasNews || (this.#wasUrgent && !this.#channels.isUndecided)
    this.#askIn(this.pace.leastMs(0, hasNews ? POLL_PAUSE_MS : undefined))
  }

  onFailed(end: StreamEnd): void {
    this.#next = null
    const { status = 0, retryAfterMs } = end
    this.#page.log(`refused: ${status}`)
    if (status === 401 || status === 419) this.#askForLogin(end, status).catch(this.#page.onError)
    else if (status === 0 || status >= 500 || MAY_PASS.includes(status)) this.#retryLater(retryAfterMs)
    else {
      this.#refusals += 1
      this.#refused(end, this.#refusals === 1, this.#refusals >= MAX_REFUSALS)
      if (this.isOpen) this.#retryLater(retryAfterMs)
    }
  }

  get #isWaiting(): boolean {
    return this.#retry.isSet || !!this.#next?.isFailing
  }

  #ask(isTrial = false): void {
    const { cursor } = this
    this.#retry.clear()
    this.#next?.close()
    const parameters: Parameter[] = [...this.#channels.ask(), ...Object.entries({ ...this.#identity.proof })]
    if (cursor) parameters.push(['lastEventId', cursor])
    this.#wasUrgent = this.#channels.isUndecided
    this.#next = new Stream({ ...nameOf(this.#page), parameters }, isTrial, this.#wasUrgent ? 0 : POLL_WAIT_S, this)
    const { transport } = this.#next
    this.#page.log(`asking by ${transport}`)
    if (transport !== 'poll') return
    // One poll is in flight, and nothing beside it.
    this.#live?.close()
    this.#live = null
  }

  #askIn(delayMs: number): void {
    this.#retry.set(delayMs, () => this.#ask())
  }

  #isWell(): void {
    this.#refusals = 0
    this.#login = null
  }

  #lost({ bye, openedAt }: Stream): void {
    this.#live = null
    this.#page.log(`ended: ${bye?.reason}`)
    if (Date.now() - openedAt >= STABLE_MS) this.pace.succeeded()
    // The attempt that is on its way already takes over.
    if (!this.#next) this.#retryLater(bye?.retryAfterMs)
  }

  // The gateway, or something before it, refuses these channels as a whole. Only what was never granted can be at fault:
  // the rest has a stream.
  #refused({ status = 0, message = NO_GATEWAY }: StreamEnd, isTold: boolean, isFinal: boolean): void {
    if (isTold) {
      this.#page.onError(new Error(`${this.#page.url}/stream answered with ${status}: ${message}`))
      this.#channels.refuse({ status, code: 'refused', message, retry: !isFinal })
    }
    if (isFinal && !this.#live) this.close('failed')
  }

  async #askForLogin(end: StreamEnd, status: number): Promise<void> {
    if (this.#login === 'waiting') return
    if (!this.#login) {
      this.#login = 'waiting'
      const isNew = await this.#page.onAuthError([{ channel: '*', status }])
      if (this.#login !== 'waiting' || !this.isOpen) return
      this.#login = 'asked'
      if (isNew) {
        this.#askIn(this.pace.leastMs())
        return
      }
    }
    this.#refused(end, true, true)
  }

  // Where there is still a stream, only what was to replace it has failed.
  #retryLater(floorMs?: number): void {
    const delayMs = this.pace.failed(floorMs)
    // Before anybody hears of it, who may disconnect then.
    this.#askIn(delayMs)
    if (this.#live) return
    if (this.state !== 'connecting') this.#turn('reconnecting')
    this.#page.onRetry(delayMs)
  }

  #watch(): void {
    const live = this.#live
    // Clocks are compared, never beats counted: a hidden page gets few of them. The next look may be a beat away.
    if (live && Date.now() - live.heardAt >= 2 * live.heartbeatMs) {
      live.close()
      this.pace.succeeded()
      this.#lost(live)
    } else if (this.state === 'connected' && this.choice.isDoubtful) this.#ask(true)
  }

  #turn(state: LinkState): void {
    const previous = this.state
    if (state === previous) return
    this.state = state
    this.#page.log(`${previous} → ${state}`)
    this.#page.onState(state, previous)
  }
}
