import type { Engine } from '../core/engine.ts'
import type { Subscription } from '../core/subscription.ts'
import type { Channel } from './channel.ts'

/** The channels of a client, and who stands for them. */
export class Channels {
  readonly channels: Record<string, Channel> = Object.create(null)
  readonly #engine: Engine
  /** A channel that was left is another object than the one in its place; both may be listened to. */
  readonly #holders = new Map<string, Set<Channel>>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  find(name: string): Channel | undefined {
    return this.channels[name]
  }

  all(): Channel[] {
    return Object.values(this.channels)
  }

  /** All that stand for a channel now. */
  holders(name: string): Channel[] {
    return [...(this.#holders.get(name) ?? [])]
  }

  /** None when the channel was left. */
  subscriptionOf(channel: Channel): Subscription | undefined {
    const isHeld = this.#holders.get(channel.name)?.has(channel)
    return isHeld ? this.#engine.subscription(channel.name) : undefined
  }

  hold(channel: Channel): void {
    const { name } = channel
    const holders = this.#holders.get(name) ?? new Set()
    this.#holders.set(name, holders.add(channel))
    this.channels[name] ??= channel
    channel.take(this.#engine.join(name))
  }

  drop(channel: Channel): void {
    const { name } = channel
    const holders = this.#holders.get(name)
    if (!holders?.delete(channel)) return
    channel.unbind_all()
    const [other] = holders
    if (this.channels[name] === channel) delete this.channels[name]
    if (other) this.channels[name] ??= other
    else this.#engine.leave(name)
  }
}
