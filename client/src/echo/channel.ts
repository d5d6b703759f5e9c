import type { Channel as Subscription } from '../pusher/channel.ts'
import type { GlobalListener, Listener } from '../pusher/dispatcher.ts'
import type { Members } from '../pusher/members.ts'
import type { SsePusher } from '../pusher/pusher.ts'
import { EventFormatter } from './event-formatter.ts'
import type { EchoOptions } from './options.ts'

declare global {
  /** Payloads by event name; an application adds to it. `@laravel/echo-vue` and `-react` declare the same. */
  interface Events {}
}

export type ChannelError = {
  readonly type: string
  readonly error: string
  readonly status: number
  readonly code: string
  /** The gateway is asked again by itself. */
  readonly retry: boolean
}

export class Channel {
  readonly __v_skip = true
  readonly pusher: SsePusher
  readonly name: string
  readonly options: EchoOptions
  readonly eventFormatter: EventFormatter
  readonly notificationCreatedEvent = '.Illuminate\\Notifications\\Events\\BroadcastNotificationCreated'
  subscription: Subscription
  readonly #toAll: [callback: GlobalListener, listener: GlobalListener][] = []

  constructor(pusher: SsePusher, name: string, options: EchoOptions) {
    this.pusher = pusher
    this.name = name
    this.options = options
    this.eventFormatter = new EventFormatter(options.namespace)
    this.subscription = pusher.subscribe(name)
  }

  subscribe(): void {
    this.subscription = this.pusher.subscribe(this.name)
  }

  unsubscribe(): void {
    this.pusher.unsubscribe(this.name)
  }

  listen<E extends keyof Events & string>(event: E, callback: (payload: Events[E]) => unknown): this
  listen<T = unknown>(event: string, callback: (payload: T) => unknown): this
  listen(event: string, callback: Listener<never>): this {
    return this.on(this.eventFormatter.format(event), callback)
  }

  /** Without a callback nobody listens to the event any more. */
  stopListening<T = never>(event: string, callback?: Listener<T>): this {
    this.subscription.unbind(this.eventFormatter.format(event), callback)
    return this
  }

  listenToAll(callback: (event: string, payload: unknown) => unknown): this {
    const listener: GlobalListener = (event, payload) => {
      if (!event.startsWith('pusher:')) callback(this.eventFormatter.shorten(event), payload)
    }
    this.#toAll.push([callback, listener])
    this.subscription.bind_global(listener)
    return this
  }

  stopListeningToAll(callback?: GlobalListener): this {
    if (callback === undefined) this.subscription.unbind_global()
    for (const [own, listener] of this.#toAll) if (own === callback) this.subscription.unbind_global(listener)
    return this
  }

  notification<T = unknown>(callback: (notification: T) => unknown): this {
    return this.listen(this.notificationCreatedEvent, callback)
  }

  stopListeningForNotification<T = never>(callback?: Listener<T>): this {
    return this.stopListening(this.notificationCreatedEvent, callback)
  }

  listenForWhisper<T = unknown>(event: string, callback: Listener<T>): this {
    return this.listen(`.client-${event}`, callback)
  }

  stopListeningForWhisper<T = never>(event: string, callback?: Listener<T>): this {
    return this.stopListening(`.client-${event}`, callback)
  }

  /** The channel is there: now, if it is already, and whenever something may have been missed. */
  subscribed(callback: () => unknown): this {
    return this.on('pusher:subscription_succeeded', () => callback())
  }

  error(callback: (error: ChannelError) => unknown): this {
    return this.on('pusher:subscription_error', callback)
  }

  /** Listens to an event by its name on the wire. */
  on<T = unknown>(event: string, callback: Listener<T>): this {
    this.subscription.bind(event, callback)
    return this
  }
}

export class PrivateChannel extends Channel {
  /** Tells the others, but only once the channel is subscribed; `onError` hears of a whisper that was not sent. */
  whisper(event: string, data?: unknown): this {
    this.subscription.trigger(`client-${event}`, data)
    return this
  }
}

export class PresenceChannel extends PrivateChannel {
  /** Who is here, this page included: each as the channel's callback in routes/channels.php describes them. */
  here<T = unknown>(callback: (members: T[]) => unknown): this {
    return this.on('pusher:subscription_succeeded', ({ members }: Members) => callback(Object.values(members) as T[]))
  }

  joining<T = unknown>(callback: (member: T) => unknown): this {
    return this.on('pusher:member_added', ({ info }: { info: T }) => callback(info))
  }

  leaving<T = unknown>(callback: (member: T) => unknown): this {
    return this.on('pusher:member_removed', ({ info }: { info: T }) => callback(info))
  }
}
