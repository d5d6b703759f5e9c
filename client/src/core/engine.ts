import { Alarm } from './alarm.ts'
import { Channels } from './channels.ts'
import { Identity } from './identity.ts'
import { isolate } from './isolate.ts'
import { Link } from './link.ts'
import type { EngineListener, EngineOptions, Page } from './listener.ts'
import { followPage } from './page.ts'
import type { Subscription } from './subscription.ts'

export type { AuthFailure, EngineListener, EngineOptions, Headers, Refusal } from './listener.ts'

/** Calls in one tick make one request, and those that follow a moment later too. */
const BATCH_MS = 50
/** A channel that was left costs a request only when nobody has come back to it by then. */
const LINGER_MS = 5000

/** The page's channels over one stream: when to ask for them, and who this page is. */
export class Engine {
  readonly #page: Page
  readonly #identity: Identity
  readonly #channels: Channels
  readonly #link: Link
  readonly #batch = new Alarm()
  readonly #linger = new Alarm()
  #isDisconnected = false
  /** The page is in the back/forward cache, or about to be closed. */
  #isSuspended = false
  #unfollow: (() => void) | null = null

  constructor(options: EngineOptions, listener: EngineListener) {
    this.#page = isolate({ ...options, ...listener })
    this.#identity = new Identity(this.#page)
    this.#channels = new Channels(this.#page, {
      tryToken: () => this.#link.tryToken(),
      onReleased: () => this.#schedule(),
      // Two pages would take an identity from each other for ever.
      onSentAway: () => this.#part(),
    })
    this.#link = new Link(this.#page, this.#channels, this.#identity)
  }

  /** Known from `connected` on, over every reconnect, until `disconnect`. */
  get socketId(): string | null {
    return this.#identity.proof?.socketId ?? null
  }

  /** ms since 1970; 0 before anything was heard. */
  get lastEventAt(): number {
    return this.#link.last?.heardAt ?? 0
  }

  subscription(channel: string): Subscription | undefined {
    return this.#channels.all.get(channel)
  }

  /** Wants a channel. One that is still there, or was left a moment ago, is as it was. */
  join(channel: string): Subscription {
    this.#schedule()
    return this.#channels.join(channel)
  }

  leave(channel: string): void {
    const subscription = this.subscription(channel)
    if (!subscription) return
    subscription.isWanted = false
    // Others are waiting to see that it has gone.
    if (channel.startsWith('presence-')) this.#schedule()
    else this.#lingerOn()
  }

  /** Listens again after `disconnect` or `failed`, to the channels it had. */
  connect(): void {
    this.#isDisconnected = false
    this.#schedule()
  }

  /** Ends the stream and forgets who this page was: somebody else may be logged in by the next `connect`. */
  disconnect(): void {
    // What was granted to this page shall not be granted to the next user of it.
    this.#sayGoodbye(/^(private|presence)-/)
    this.#part()
  }

  /** False when the channel is not there yet: a whisper is now or never. */
  whisper(channel: string, event: string, data: unknown): boolean {
    const isThere = this.subscription(channel)?.status === 'subscribed'
    if (isThere) this.#identity.whisper({ channel, event, data })
    return isThere
  }

  get #isActive(): boolean {
    // Pages are also rendered where nobody listens.
    return !this.#isDisconnected && !this.#isSuspended && typeof self !== 'undefined'
  }

  #schedule(): void {
    if (!this.#isActive) return
    this.#unfollow ??= followPage(
      () => (this.#link.isOpen ? this.#link.check() : this.#schedule()),
      () => this.#suspend(),
      () => this.#resume(),
    )
    if (!this.#batch.isSet) this.#batch.set(this.#link.isOpen ? BATCH_MS : 0, () => this.#apply())
  }

  #lingerOn(): void {
    if (this.#isActive) this.#linger.set(LINGER_MS, () => this.#apply(true))
  }

  #apply(hasLingered = false): void {
    const link = this.#link
    const channels = this.#channels
    const { keepAlive } = this.#page
    const isToAsk = link.isOpen ? channels.isChanged : keepAlive || !channels.isEmpty
    channels.forgetLeft()
    const isNeeded = keepAlive || channels.all.size > 0
    if (hasLingered && !isNeeded) {
      link.close()
      // Whoever joins next has missed nothing.
      link.cursor = ''
    } else if (isToAsk) {
      link.open()
      // Without any channel for a while, the stream is of no use.
      if (!isNeeded && !this.#linger.isSet) this.#lingerOn()
    }
  }

  #sayGoodbye(prefix: RegExp): void {
    if (this.#channels.has(prefix)) this.#identity.leave()
  }

  #suspend(): void {
    this.#isSuspended = true
    this.#rest()
    this.#sayGoodbye(/^presence-/)
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
    for (const subscription of this.#channels.all.values()) subscription.reset()
    this.#identity.proof = null
    // Told last: who hears of it reads the socket id and the channels as they are now.
    this.#link.close('disconnected')
  }

  #rest(): void {
    this.#batch.clear()
    this.#linger.clear()
    this.#channels.refusals.clear()
  }
}
