import type { ConnectedData } from '../../../src/protocol.ts'
import type { Parameter, StreamEnd, TransportName } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'
import { Attempt } from './attempt.ts'
import { Choice } from './choice.ts'
import type { EngineOptions, Headers } from './listener.ts'
import { DRIFT_MS, PULSE_MS, Pulse } from './pulse.ts'
import { Pace } from './retry.ts'
import type { Frame, Stream } from './stream.ts'

/** `connected` stays over a change of channels and between two polls. */
export type LinkState = 'disconnected' | 'connecting' | 'connected' | 'reconnecting' | 'failed'

export type LinkOptions = Omit<EngineOptions, 'headers'> & {
  readonly headers: () => Headers
  /** The parameters of a request that is made now, without the cursor. */
  readonly wish: () => readonly Parameter[]
  /** Some channel is not decided: a poll is not to wait for anything else. */
  readonly isUrgent: () => boolean
}

export type LinkListener = {
  onState(state: LinkState, previous: LinkState): void
  /** A stream has taken over; what comes next comes from it. */
  onConnected(data: ConnectedData): void
  onFrame(frame: Frame): void
  /** The gateway, or something before it, refuses these channels as a whole. Told once until it takes them. */
  onRefused(end: StreamEnd): void
  /** A login is missing. True when there is something new to try. */
  onUnauthorized(status: number): Promise<boolean>
  onTransport(transport: TransportName, reason: string): void
  onError(error: Error): void
  log(line: string): void
}

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

/**
 * Keeps one stream to the gateway, whatever happens to it. A new request is made beside the stream that is there and
 * takes over with its `connected`; the cursor sees to it that nothing is lost or told twice.
 */
export class Link {
  state: LinkState = 'disconnected'
  /** Of the stream that is there, or was there last. */
  transport: TransportName | null = null
  /** When the gateway was last heard, ms since 1970; 0 before that. */
  lastEventAt = 0
  readonly #options: LinkOptions
  readonly #listener: LinkListener
  readonly #choice: Choice
  readonly #pace = new Pace()
  readonly #pulse = new Pulse({ onBeat: () => this.#watch(), onAwake: () => this.check() })
  readonly #retry = new Alarm()
  #live: Stream | null = null
  #next: Attempt | null = null
  #cursor = ''
  #wasUrgent = false
  #refusals = 0
  /** Whether the page was asked for a login: until then nothing else is tried, and afterwards it is not asked again. */
  #login: 'not asked' | 'waiting' | 'asked' = 'not asked'
  #told = ''

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options
    this.#listener = listener
    this.#choice = new Choice(options.url, options.transport)
  }

  get isOpen(): boolean {
    return this.#pulse.isBeating
  }

  /** Asks for what is wished for now. While it waits for its next attempt, that attempt asks for it. */
  open(): void {
    if (!this.isOpen) this.#start()
    if (!this.#isWaiting) this.#ask()
  }

  /** Ends everything; `state` says what the page is told, and without it nothing. */
  close(state?: LinkState): void {
    this.#pulse.stop()
    this.#retry.clear()
    this.#next?.close()
    this.#live?.close()
    this.#next = this.#live = null
    if (state !== undefined) this.#turn(state)
  }

  /** What comes next continues nothing. */
  forget(): void {
    this.#cursor = ''
  }

  /** A good moment to look: the page was woken, is seen again, or has a network again. */
  check(): void {
    const now = Date.now()
    const [live, next] = [this.#live, this.#next]
    if (this.#retry.isSet || next?.isFailing) this.#askIn(this.#pace.leastMs(Math.random() * 1000))
    else if (next?.transport === 'poll' && now - next.openedAt > POLL_OVERDUE_MS) this.#ask()
    else if (live !== null && next === null && now - live.heardAt > live.heartbeatMs + DRIFT_MS) this.#ask()
  }

  /** The CSRF token in the cookie was refused. True when fetch brings another one from now on. */
  tryToken(): boolean {
    const names = Object.keys(this.#options.headers())
    const isNew = this.transport === 'eventsource' && names.some((name) => /^x-csrf-token$/i.test(name))
    this.#choice.needsToken ||= isNew
    return isNew
  }

  get #isWaiting(): boolean {
    return this.#retry.isSet || this.#next?.isFailing === true || this.#login === 'waiting'
  }

  #start(): void {
    this.#refusals = 0
    this.#login = 'not asked'
    this.#pace.succeeded()
    this.#pulse.start()
    if (this.state === 'disconnected' || this.state === 'failed') this.#turn('connecting')
  }

  #ask(isTrial = false): void {
    this.#retry.clear()
    this.#next?.close()
    const { url, withCredentials = false, headers, wish, isUrgent } = this.#options
    const parameters: Parameter[] = [...wish()]
    if (this.#cursor !== '') parameters.push(['lastEventId', this.#cursor])
    const request = { url, withCredentials, headers: headers(), parameters }
    this.#wasUrgent = isUrgent()
    this.#next = new Attempt(request, { isTrial, waitS: this.#wasUrgent ? 0 : POLL_WAIT_S }, this.#choice, this.#pace, {
      onConnected: (stream, data, id) => this.#takeOver(stream, data, id),
      onFailed: (end) => this.#failed(end),
      onHeldBack: () => this.#poll(),
      onFrame: (stream, frame) => this.#take(stream, frame),
      onEnd: (stream, end) => this.#ended(stream, end),
      onError: (error) => this.#listener.onError(error),
    })
    const { transport } = this.#next
    this.#listener.log(`asking (${transport})${this.#cursor === '' ? '' : ` after ${this.#cursor}`}`)
    if (transport !== 'poll') return
    // One poll is in flight, and nothing beside it.
    this.#live?.close()
    this.#live = null
  }

  #askIn(delayMs: number): void {
    this.#retry.set(delayMs, () => this.#ask())
  }

  #poll(): void {
    this.#listener.log('streams are held back on the way here; polling instead')
    this.#ask()
  }

  #takeOver(stream: Stream, data: ConnectedData, id: string): void {
    this.#live?.close()
    this.#live = stream
    this.#next = null
    this.#refusals = 0
    this.#login = 'not asked'
    this.lastEventAt = Date.now()
    // Without an id the `gap` that follows brings it.
    if (id !== '') this.#cursor = id
    this.#tellTransport(stream.transport)
    this.#listener.log(`connected as ${data.socketId} (${stream.transport}, ${data.resume})`)
    this.#listener.onConnected(data)
    this.#turn('connected')
  }

  #tellTransport(transport: TransportName): void {
    if (transport !== 'poll') this.#choice.heldBack.healed()
    this.transport = transport
    const reason = this.#choice.reason(transport)
    if (this.#told === transport + reason) return
    this.#told = transport + reason
    this.#listener.onTransport(transport, reason)
  }

  #take(stream: Stream, frame: Frame): void {
    if (stream !== this.#live) return
    this.lastEventAt = Date.now()
    if (frame.id !== '') this.#cursor = frame.id
    this.#listener.onFrame(frame)
  }

  #ended(stream: Stream, { isWhole }: StreamEnd): void {
    if (stream !== this.#live) return
    this.#live = null
    if (stream.transport === 'poll' && isWhole && stream.bye === null) {
      this.#pace.succeeded()
      const hasNews = stream.hasNews || (this.#wasUrgent && !this.#options.isUrgent())
      this.#askIn(this.#pace.leastMs(0, hasNews ? POLL_PAUSE_MS : undefined))
    } else this.#lost(stream)
  }

  #lost({ bye, openedAt }: Stream): void {
    this.#live = null
    this.#listener.log(`the stream has ended${bye === null ? '' : `: ${bye.reason}`}`)
    if (Date.now() - openedAt >= STABLE_MS) this.#pace.succeeded()
    // The attempt that is on its way already takes over.
    if (this.#next === null) this.#retryLater(bye?.retryAfterMs)
  }

  #failed(end: StreamEnd): void {
    this.#next = null
    const { status = 0, retryAfterMs } = end
    this.#listener.log(`refused: ${status || 'no answer'}`)
    if (status === 401 || status === 419) this.#report(this.#askForLogin(end, status))
    else if (status === 0 || status >= 500 || MAY_PASS.includes(status)) this.#retryLater(retryAfterMs)
    else this.#refused(end)
  }

  #refused(end: StreamEnd): void {
    this.#refusals += 1
    if (this.#refusals === 1) this.#listener.onRefused(end)
    if (this.#refusals >= MAX_REFUSALS && this.#live === null) this.close('failed')
    else this.#retryLater(end.retryAfterMs)
  }

  async #askForLogin(end: StreamEnd, status: number): Promise<void> {
    if (this.#login === 'waiting') return
    if (this.#login === 'asked') return this.#giveUp(end)
    this.#login = 'waiting'
    const isNew = await this.#listener.onUnauthorized(status)
    if (this.#login !== 'waiting' || !this.isOpen) return
    this.#login = 'asked'
    if (isNew) this.#askIn(this.#pace.leastMs())
    else this.#giveUp(end)
  }

  #giveUp(end: StreamEnd): void {
    this.#listener.onRefused(end)
    if (this.#live === null) this.close('failed')
  }

  // Where there is still a stream, only what was to replace it has failed.
  #retryLater(floorMs?: number): void {
    if (this.#live === null && this.state !== 'connecting') this.#turn('reconnecting')
    this.#askIn(this.#pace.failed(floorMs))
  }

  #watch(): void {
    const live = this.#live
    // Clocks are compared, never beats counted: a hidden page gets few of them.
    if (live !== null && Date.now() - live.heardAt >= 2 * live.heartbeatMs + PULSE_MS) {
      this.#listener.log('nothing was heard for too long')
      live.close()
      this.#pace.succeeded()
      this.#lost(live)
    } else if (this.state === 'connected' && this.#choice.isDoubtful) {
      this.#ask(true)
    }
  }

  #report(work: Promise<void>): void {
    work.catch((error: Error) => this.#listener.onError(error))
  }

  #turn(state: LinkState): void {
    const previous = this.state
    if (state === previous) return
    this.state = state
    this.#listener.log(`${previous} → ${state}`)
    this.#listener.onState(state, previous)
  }
}
