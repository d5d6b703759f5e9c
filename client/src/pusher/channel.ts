import type { Subscription } from '../core/subscription.ts'
import { Dispatcher } from './dispatcher.ts'
import { Members } from './members.ts'
import type { SsePusher } from './pusher.ts'

export const SUCCEEDED = 'pusher:subscription_succeeded'

export class Channel extends Dispatcher {
  readonly name: string
  readonly pusher: SsePusher
  readonly subscriptionCancelled = false
  /** @internal It was left, and is there again only for those who listen. */
  isRevived = false

  constructor(name: string, pusher: SsePusher) {
    super()
    this.name = name
    this.pusher = pusher
  }

  get subscribed(): boolean {
    return this.#status === 'subscribed'
  }

  get subscriptionPending(): boolean {
    return this.#status === 'pending'
  }

  /** Whispers to the others. False when the channel is not there yet: then nobody hears it. */
  trigger(event: string, data?: unknown): boolean {
    if (!event.startsWith('client-')) throw new Error(`Event '${event}' does not start with 'client-'`)
    if (!/^(private-(?!encrypted-)|presence-)/.test(this.name))
      throw new Error(`Client events need a private or presence channel; ${this.name} is none`)
    return this.pusher.send_event(event, data, this.name)
  }

  /** @internal Becomes what the engine knows. */
  take(_subscription: Subscription): void {}

  /** What those who are told of the subscription get. */
  succeeded(): unknown {
    return {}
  }

  protected override onBind(name: string | null): void {
    // After a leave, hook packages go on listening on the object they have.
    if (!this.#status) {
      this.isRevived = true
      this.pusher.channels.join(this)
    }
    // Who comes back before the stream went on without it hears no further word of the gateway.
    if (name === SUCCEEDED && this.subscribed) this.tellNewest(() => this.subscribed && this.succeeded())
  }

  protected override onUnbind(isLast: boolean): void {
    if (isLast && this.isRevived) this.pusher.channels.leave(this)
  }

  /** None when it was left. */
  get #status(): Subscription['status'] | undefined {
    return this.pusher.channels.subscription(this)?.status
  }
}

export class PresenceChannel extends Channel {
  readonly members = new Members()

  /** @internal */
  override take(subscription: Subscription): void {
    this.members.take(subscription)
  }

  override succeeded(): Members {
    return this.members
  }
}
