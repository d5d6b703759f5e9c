import type { Channel, PresenceChannel, PrivateChannel } from './channel.ts'
import { SseConnector } from './connector.ts'
import { Interceptors } from './interceptors.ts'
import type { ConnectionStatus, EchoOptions } from './options.ts'

/** Laravel Echo over Server-Sent Events, without laravel-echo and pusher-js. The type parameter is Echo's and without meaning here. */
export class Echo<_Broadcaster = unknown> {
  readonly __v_skip = true
  readonly options: EchoOptions
  readonly connector: SseConnector
  readonly #interceptors = new Interceptors(() => this.socketId())

  constructor(options: EchoOptions = {}) {
    this.options = options
    this.connector = new SseConnector(options)
    if (!options.withoutInterceptors) this.registerInterceptors()
  }

  /** Listens again after `disconnect`, to the channels it had. */
  connect(): void {
    this.connector.pusher.connect()
    if (!this.options.withoutInterceptors) this.registerInterceptors()
  }

  disconnect(): void {
    this.#interceptors.remove()
    this.connector.disconnect()
  }

  channel(name: string): Channel {
    return this.connector.channel(name)
  }

  private(name: string): PrivateChannel {
    return this.connector.privateChannel(name)
  }

  /** Needs the option `nacl`. */
  encryptedPrivate(name: string): PrivateChannel {
    return this.connector.encryptedPrivateChannel(name)
  }

  join(name: string): PresenceChannel {
    return this.connector.presenceChannel(name)
  }

  listen<E extends keyof Events & string>(name: string, event: E, callback: (payload: Events[E]) => unknown): Channel
  listen<T = unknown>(name: string, event: string, callback: (payload: T) => unknown): Channel
  listen(name: string, event: string, callback: (payload: never) => unknown): Channel {
    return this.connector.listen(name, event, callback)
  }

  /** The public channel of this name, and the private and presence channels. */
  leave(name: string): void {
    this.connector.leave(name)
  }

  /** By its whole name: `private-orders.1`. */
  leaveChannel(name: string): void {
    this.connector.leaveChannel(name)
  }

  leaveAllChannels(): void {
    for (const { name } of this.connector.pusher.allChannels()) this.leaveChannel(name)
  }

  /** Undefined before the connection is there. */
  socketId(): string | undefined {
    return this.connector.socketId()
  }

  connectionStatus(): ConnectionStatus {
    return this.connector.connectionStatus()
  }

  /** Returns how to stop that. */
  onConnectionChange(callback: (status: ConnectionStatus) => unknown): () => void {
    return this.connector.onConnectionChange(callback)
  }

  /** With the libraries that are there as globals, and with the option `axios`. */
  registerInterceptors(): void {
    // What is global on a server belongs to all who are rendered there.
    if (typeof self === 'undefined') return
    const { axios, interceptFetch } = this.options
    this.#interceptors.remove()
    this.registerVueRequestInterceptor()
    this.registerAxiosRequestInterceptor()
    if (axios) this.#interceptors.axios(axios)
    this.registerjQueryAjaxSetup()
    this.registerTurboRequestInterceptor()
    this.#interceptors.inertia()
    if (interceptFetch) this.#interceptors.fetch()
  }

  registerVueRequestInterceptor(): void {
    this.#interceptors.vue()
  }

  registerAxiosRequestInterceptor(): void {
    this.#interceptors.axios()
  }

  registerjQueryAjaxSetup(): void {
    this.#interceptors.jQuery()
  }

  registerTurboRequestInterceptor(): void {
    this.#interceptors.turbo()
  }
}
