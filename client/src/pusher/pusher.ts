import type { BroadcastData, GapData } from '../../../src/protocol.ts'
import { Engine, type EngineListener } from '../core/engine.ts'
import type { Subscription } from '../core/subscription.ts'
import { Channel, PresenceChannel, SUCCEEDED } from './channel.ts'
import { Channels } from './channels.ts'
import { Connection } from './connection.ts'
import { Dispatcher } from './dispatcher.ts'
import { isEncrypted, NO_NACL, unseal } from './encryption.ts'
import { Login } from './login.ts'
import { gatewayUrl, isDebugging, misunderstanding, type PusherOptions } from './options.ts'

/** Two are a page with two parts; more are usually forgotten. */
const MAX_INSTANCES = 2

/** Looks and behaves like pusher-js 8, over Server-Sent Events. It asks for nothing before there is a channel. */
export class SsePusher extends Dispatcher {
  /** Those that are not disconnected. */
  static instances: readonly SsePusher[] = []
  static logToConsole = false
  /** Takes what would be printed. */
  static log: ((line: string) => void) | undefined

  readonly key: string | null | undefined
  readonly options: PusherOptions
  readonly connection: Connection
  readonly channels: Channels
  readonly global_emitter = this
  readonly #url: string
  readonly #engine: Engine
  readonly #login: Login
  readonly #isDebugging: boolean
  #lastPrinted = ''

  constructor(key?: string | null, options?: PusherOptions | null) {
    super()
    this.key = key
    this.options = options ?? {}
    this.#url = gatewayUrl(this.options)
    this.#isDebugging = isDebugging(this.options)
    this.#login = new Login(this.options)
    const { withCredentials, url, wsHost } = this.options
    const own = {
      url: this.#url,
      // Where Reverb stood on another port or host, private channels worked: the page's own origin asked for them.
      withCredentials: withCredentials ?? !!(wsHost && !url),
      headers: () => this.#login.headers(),
    }
    this.#engine = new Engine({ ...this.options, ...own }, this.#listener())
    this.connection = new Connection(this.#engine)
    this.channels = new Channels(this.#engine)
    const warning = misunderstanding(this.options)
    if (warning) console.warn(warning)
    this.#enlist()
    if (this.options.keepAlive) this.connect()
  }

  subscribe(name: string): Channel {
    const known = this.channel(name)
    const channel = known?.isRevived === false ? known : this.#create(name)
    this.channels.channels[name] = channel
    this.channels.join(channel)
    return channel
  }

  unsubscribe(name: string): void {
    const channel = this.channel(name)
    if (channel) this.channels.leave(channel)
  }

  channel(name: string): Channel | undefined {
    return this.channels.channels[name]
  }

  allChannels(): Channel[] {
    return Object.values(this.channels.channels)
  }

  /** Listens again after `disconnect`, to the channels it had. */
  connect(): void {
    this.#enlist()
    this.#engine.connect()
  }

  disconnect(): void {
    SsePusher.instances = SsePusher.instances.filter((other) => other !== this)
    this.#engine.disconnect()
    this.#login.forget()
  }

  /** Whispers on a channel. False when it is not there yet: then nobody hears it. */
  send_event(event: string, data?: unknown, name = ''): boolean {
    const isSent = this.channel(name)?.subscribed === true && this.#engine.whisper(name, event, data)
    if (!isSent) this.#report(new Error(`${event} was not sent: ${name} is not subscribed`))
    return isSent
  }

  /** There is nothing to sign in to: Laravel is asked about each channel with the page's own login. */
  signin(): void {}

  switchCluster(): void {}

  #create(name: string): Channel {
    if (isEncrypted(name) && !this.options.nacl) throw new Error(NO_NACL)
    return new (name.startsWith('presence-') ? PresenceChannel : Channel)(name, this)
  }

  #listener(): EngineListener {
    return {
      onState: (state) => this.connection.turn(state),
      onSubscribed: (subscription) => this.#tell(subscription, SUCCEEDED),
      onRefused: (subscription, { status, message: error, code, retry }) =>
        this.#tell(subscription, 'pusher:subscription_error', { type: 'AuthError', error, status, code, retry }),
      onMessage: (subscription, message) => this.#take(subscription, message),
      onMember: (subscription, how, member) =>
        this.#tell(subscription, how === 'joining' ? 'pusher:member_added' : 'pusher:member_removed', member),
      onCacheMiss: (subscription) => this.#tell(subscription, 'pusher:cache_miss', ''),
      onGap: (gap) => this.#gap(gap),
      onTransport: (transport, reason) => this.connection.use(transport, reason),
      // Whole seconds as in pusher-js, but never none.
      onRetry: (delayMs) => this.connection.emit('connecting_in', Math.ceil(delayMs / 1000)),
      onAuthError: (failures) => this.#login.renew(failures),
      onError: (error) => this.#report(error),
      log: (line) => this.#log(line),
    }
  }

  #take({ name, sharedSecret }: Subscription, { event, data, userId }: BroadcastData): void {
    // What pusher-js says of itself cannot be said by anybody else.
    if (/^pusher(_internal)?:/.test(event)) return
    this.#log(`${name}: ${event}`)
    const told = isEncrypted(name) ? unseal(data, sharedSecret, this.options.nacl, `${event} on ${name}`) : data
    this.connection.emit('message', { event, channel: name, data: told })
    const metadata = userId === undefined ? {} : { user_id: userId }
    for (const channel of this.channels.holders(name)) channel.emit(event, told, metadata)
    this.emit(event, told)
  }

  #tell(subscription: Subscription, event: string, data?: unknown): void {
    for (const channel of this.channels.holders(subscription.name)) {
      channel.take(subscription)
      channel.emit(event, data ?? channel.succeeded())
    }
  }

  #gap(gap: GapData): void {
    const { onGap } = this.options
    this.connection.emit('gap', gap)
    if (onGap) onGap(gap)
    else console.warn(`Messages may be missing on ${gap.channels ?? 'all channels'} (${gap.reason}); see onGap`)
  }

  #enlist(): void {
    if (typeof self === 'undefined' || SsePusher.instances.includes(this)) return
    SsePusher.instances = [...SsePusher.instances, this]
    const count = SsePusher.instances.filter((other) => other.#url === this.#url).length
    if (count > MAX_INSTANCES) console.warn(`${count} clients of ${this.#url}: disconnect() those that are done`)
  }

  #report(error: Error): void {
    const { message } = error
    const { onError } = this.options
    this.#log(message)
    this.connection.emit('error', { type: 'PusherError', error: { data: { code: null, message } } })
    if (onError) onError(error)
    // What is asked for again and again fails again and again.
    else if (message !== this.#lastPrinted) console.error(message)
    this.#lastPrinted = message
  }

  #log(line: string): void {
    if (SsePusher.log) SsePusher.log(line)
    else if (SsePusher.logToConsole || this.#isDebugging) console.log(`[echo-sse] ${line}`)
  }
}
