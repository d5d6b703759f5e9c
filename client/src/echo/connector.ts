import { SsePusher } from '../pusher/pusher.ts'
import { Channel, PresenceChannel, PrivateChannel } from './channel.ts'
import type { ConnectionStatus, EchoOptions } from './options.ts'

/** What Echo does with channels and the connection; also a `broadcaster` for the real laravel-echo. */
export class SseConnector {
  readonly __v_skip = true
  declare readonly pusher: SsePusher
  readonly options: EchoOptions
  /** By their whole names. */
  readonly channels: Record<string, Channel> = Object.create(null)

  // Echo before 2.3.1 makes one without options first, to see whether it is a class.
  constructor(options?: EchoOptions) {
    const { namespace = 'App.Events', key } = options ?? {}
    this.options = { ...options, namespace }
    if (options) this.pusher = new SsePusher(key, options)
  }

  channel(name: string): Channel {
    return this.#open(name, Channel)
  }

  privateChannel(name: string): PrivateChannel {
    return this.#open(`private-${name}`, PrivateChannel)
  }

  encryptedPrivateChannel(name: string): PrivateChannel {
    return this.#open(`private-encrypted-${name}`, PrivateChannel)
  }

  presenceChannel(name: string): PresenceChannel {
    return this.#open(`presence-${name}`, PresenceChannel)
  }

  listen<T = unknown>(name: string, event: string, callback: (payload: T) => unknown): Channel {
    return this.channel(name).listen(event, callback)
  }

  leave(name: string): void {
    for (const prefix of ['', 'private-', 'private-encrypted-', 'presence-']) this.leaveChannel(prefix + name)
  }

  leaveChannel(name: string): void {
    delete this.channels[name]
    this.pusher.unsubscribe(name)
  }

  socketId(): string | undefined {
    return this.pusher.connection.socket_id
  }

  connectionStatus(): ConnectionStatus {
    return this.pusher.connection.status
  }

  /** Returns how to stop that. */
  onConnectionChange(callback: (status: ConnectionStatus) => unknown): () => void {
    const { connection } = this.pusher
    const tell = () => callback(connection.status)
    connection.bind('status', tell)
    return () => connection.unbind('status', tell)
  }

  signin(): void {
    this.pusher.signin()
  }

  disconnect(): void {
    this.pusher.disconnect()
  }

  #open<T extends Channel>(name: string, Kind: new (...args: ConstructorParameters<typeof Channel>) => T): T {
    this.channels[name] ??= new Kind(this.pusher, name, this.options)
    return this.channels[name] as T
  }
}
