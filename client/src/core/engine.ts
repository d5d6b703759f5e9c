import type { ConnectedData, GapData } from '../../../src/protocol.ts'
import type { StreamEnd, TransportName } from '../transports/transport.ts'
import { Alarm } from './alarm.ts'
import { Channels } from './channels.ts'
import { Identity } from './identity.ts'
import { isolate } from './isolate.ts'
import { Link, type LinkState } from './link.ts'
import type { AuthFailure, EngineListener, EngineOptions, Headers } from './listener.ts'
import { followPage } from './page.ts'
import { Refusals } from './refusals.ts'
import type { Frame } from './stream.ts'
import type { Subscription } from './subscription.ts'

export type { AuthFailure, EngineListener, EngineOptions, Headers, Refusal } from './listener.ts'

/** Calls in one tick make one request, and those that follow a moment later too. */
const BATCH_MS = 50
/** A channel that was left costs a request only when nobody has come back to it by then. */
const LINGER_MS = 5000

/** The page's channels over one stream: when to ask for them, and who this page is. */
export class Engine {
  readonly #options: EngineOptions
  readonly #listener: EngineListener
  readonly #identity: Identity
  readonly #link: Link
  readonly #refusals: Refusals
  readonly #channels: Channels
  readonly #batch = new Alarm()
  readonly #linger = new Alarm()
  #isDisconnected = false
  /** The page is in the back/forward cache, or about to be closed. */
  #isSuspended = false
  #unfollow: (() => void) | null = null

  constructor(options: EngineOptions, listener: EngineListener) {
    const told = isolate(listener)
    this.#options = options
    this.#listener = told
    this.#identity = new Identity({ ...options, headers: () => this.#headers() })
    this.#refusals = new Refusals({
      onRefused: told.onRefused,
      onAuthError: (failures) => this.#askForLogin(failures),
      tryToken: () => this.#link.tryToken(),
      onReleased: () => this.#schedule(),
    })
    this.#channels = new Channels(told, this.#refusals)
    this.#link = new Link(
      {
        ...options,
        headers: () => this.#headers(),
        wish: () => [...this.#channels.ask(), ...this.#identity.parameters],
        isUrgent: () => this.#channels.isUndecided,
      },
      {
        onState: told.onState,
        onConnected: (data) => this.#connected(data),
        onFrame: (frame) => this.#take(frame),
        onRefused: (end) => this.#refused(end),
        onUnauthorized: (status) => this.#askForLogin([{ channel: '*', status }]),
        onTransport: told.onTransport,
        onError: told.onError,
        log: told.log,
      },
    )
  }

  /** Known from `connected` on, over every reconnect, until `disconnect`. */
  get socketId(): string | null {
    return this.#identity.socketId
  }

  get state(): LinkState {
    return this.#link.state
  }

  /** Of the stream that is there, or was there last; null before the first. */
  get transport(): TransportName | null {
    return this.#link.transport
  }

  /** ms since 1970; 0 before anything was heard. */
  get lastEventAt(): number {
    return this.#link.lastEventAt
  }

  subscription(channel: string): Subscription | undefined {
    return this.#channels.get(channel)
  }

  /** Wants a channel. One that is still there, or was left a moment ago, is as it was. */
  join(channel: string): Subscription {
    const subscription = this.#channels.join(channel)
    this.#schedule()
    return subscription
  }

  leave(channel: string): void {
    if (!this.#channels.leave(channel) || !this.#isActive) return
    // Others are waiting to see that it has gone.
    if (channel.startsWith('presence-')) this.#schedule()
    else this.#linger.set(LINGER_MS, () => this.#apply(true))
  }

  /** Listens again after `disconnect` or `failed`, to the channels it had. */
  connect(): void {
    this.#isDisconnected = false
    this.#schedule()
  }

  /** Ends the stream and forgets who this page was: somebody else may be logged in by the next `connect`. */
  disconnect(): void {
    // What was granted to this page shall not be granted to the next user of it.
    if (this.#channels.has(/^(private|presence)-/)) this.#identity.leave()
    this.#part()
  }

  /** False when the channel is not there yet: a whisper is now or never. */
  whisper(channel: string, event: string, data: unknown): boolean {
    if (this.subscription(channel)?.status !== 'subscribed') return false
    this.#identity.whisper({ channel, event, data }).catch((error: Error) => this.#listener.onError(error))
    return true
  }

  get #isActive(): boolean {
    // Pages are also rendered where nobody listens.
    return !this.#isDisconnected && !this.#isSuspended && typeof self !== 'undefined'
  }

  #schedule(): void {
    if (!this.#isActive) return
    this.#unfollow ??= followPage({
      onAwake: () => (this.#link.isOpen ? this.#link.check() : this.#schedule()),
      onHide: () => this.#suspend(),
      onShow: () => this.#resume(),
    })
    if (!this.#batch.isSet) this.#batch.set(this.#link.isOpen ? BATCH_MS : 0, () => this.#apply())
  }

  #apply(hasLingered = false): void {
    this.#channels.forgetLeft()
    const isNeeded = !this.#channels.isUnused || this.#options.keepAlive === true
    if (hasLingered && !isNeeded) {
      this.#link.close()
      // Whoever joins next has missed nothing.
      this.#link.forget()
    } else if (this.#link.isOpen ? this.#channels.isChanged : !this.#channels.isEmpty || this.#options.keepAlive) {
      this.#link.open()
      // Without any channel for a while, the stream is of no use.
      if (!isNeeded && !this.#linger.isSet) this.#linger.set(LINGER_MS, () => this.#apply(true))
    }
  }

  #headers(): Headers {
    try {
      return this.#options.headers?.() ?? {}
    } catch (error) {
      this.#listener.onError(error as Error)
      return {}
    }
  }

  #connected(data: ConnectedData): void {
    this.#identity.take(data)
    if (data.resume !== 'ok') this.#channels.lapse()
  }

  #take(frame: Frame): void {
    const { name, data } = frame
    if (name === 'gap') this.#listener.onGap(data as GapData)
    // Somebody else goes on under this identity: two would take it from each other for ever.
    else if (name === 'bye') data.reason === 'replaced' && this.#part()
    else if (name !== 'ping' && !this.#channels.take(frame))
      this.#listener.onError(new Error(`A frame (${name}) is unknown here and was left out.`))
  }

  async #askForLogin(failures: readonly AuthFailure[]): Promise<boolean> {
    try {
      return await this.#listener.onAuthError(failures)
    } catch (error) {
      this.#listener.onError(error as Error)
      return false
    }
  }

  // Only what was never granted can be at fault: the rest has a stream.
  #refused({ status = 0, message = NO_GATEWAY }: StreamEnd): void {
    this.#listener.onError(new Error(`${this.#options.url}/stream answered with ${status}: ${message}`))
    this.#channels.refuse({ status, code: 'refused', message, retry: status !== 401 && status !== 419 })
  }

  #suspend(): void {
    this.#isSuspended = true
    this.#rest()
    if (this.#channels.has(/^presence-/)) this.#identity.leave()
    this.#link.close()
  }

  #resume(): void {
    this.#isSuspended = false
    this.#schedule()
  }

  #part(): void {
    this.#isDisconnected = true
    this.#unfollow?.()
    this.#unfollow = null
    this.#rest()
    this.#channels.reset()
    this.#identity.forget()
    // Told last: who hears of it reads the socket id and the channels as they are now.
    this.#link.close('disconnected')
  }

  #rest(): void {
    this.#batch.clear()
    this.#linger.clear()
    this.#refusals.clear()
  }
}

const NO_GATEWAY = 'this is not the gateway; set `url` (or `wsHost`) to its base address'
