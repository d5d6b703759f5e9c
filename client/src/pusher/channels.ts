import type { Engine } from '../core/engine.ts'
import type { Subscription } from '../core/subscription.ts'
import type { Channel } from './channel.ts'

/** The channels of a client, and who stands for them. */
export class Channels {
  readonly channels: Record<string, Channel> = Object.create(null)
  readonly #engine: Engine
  /** A channel that was left is another object than the one in its place; both may be listened to. */
  readonly #held = new Set<Channel>()

  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** @internal All that stand for a channel now. */
  holders(name: string): Channel[] {
    return [...this.#held].filter((channel) => channel.name === name)
  }

  /** @internal None when the channel was left. */
  subscription(channel: Channel): Subscription | undefined {
    return this.#held.has(channel) ? this.#engine.subscription(channel.name) : undefined
  }

  /** @internal */
  join(channel: Channel): void {
    const { name } = channel
    this.#held.add(channel)
    this.channels[name] ??= channel
    channel.take(this.#engine.join(name))
  }

  /** @internal */
  leave(channel: Channel): void {
    const { name } = channel
    if (!this.#held.delete(channel)) return
    channel.unbind_all()
    const [other] = this.holders(name)
    if (this.channels[name] === channel) delete this.channels[name]
    if (other) this.channels[name] ??= other
    else this.#engine.leave(name)
  }
}
