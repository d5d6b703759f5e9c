import type { BroadcastData, DeniedData, MemberData, SubscribedData } from '../../../src/protocol.ts'
import type { Parameter } from '../transports/transport.ts'
import type { EngineListener, Refusal } from './listener.ts'
import type { Refusals } from './refusals.ts'
import type { Frame } from './stream.ts'
import { Subscription } from './subscription.ts'

/** The channels of the page: what it wants, what it was asked of the gateway, and what comes of that. */
export class Channels {
  readonly #listener: EngineListener
  readonly #refusals: Refusals
  readonly #all = new Map<string, Subscription>()
  /** What the newest request asks for. */
  #asked = new Set<string>()

  constructor(listener: EngineListener, refusals: Refusals) {
    this.#listener = listener
    this.#refusals = refusals
  }

  get(name: string): Subscription | undefined {
    return this.#all.get(name)
  }

  /** Some channel is there whose name begins so. */
  has(prefix: RegExp): boolean {
    return [...this.#all.values()].some(({ name, status }) => status === 'subscribed' && prefix.test(name))
  }

  /** There is nothing to ask for. */
  get isEmpty(): boolean {
    return this.#wanted().length === 0
  }

  /** Some that are asked for are neither granted nor refused. */
  get isUndecided(): boolean {
    return this.#wanted().some(({ name, status }) => status === 'pending' && this.#asked.has(name))
  }

  /** Nobody wants any, not even those that are refused. */
  get isUnused(): boolean {
    return [...this.#all.values()].every(({ isWanted }) => !isWanted)
  }

  /** Another request is needed. */
  get isChanged(): boolean {
    const wanted = this.#wanted()
    return wanted.length !== this.#asked.size || wanted.some(({ name }) => !this.#asked.has(name))
  }

  join(name: string): Subscription {
    let subscription = this.#all.get(name)
    if (subscription === undefined || subscription.status === 'denied') {
      subscription = new Subscription(name)
      this.#all.set(name, subscription)
    }
    subscription.isWanted = true
    return subscription
  }

  /** False when it was not there. */
  leave(name: string): boolean {
    const subscription = this.#all.get(name)
    if (subscription !== undefined) subscription.isWanted = false
    return subscription !== undefined
  }

  forgetLeft(): void {
    for (const [name, { isWanted }] of this.#all) if (!isWanted) this.#all.delete(name)
  }

  /** All of them as if they were new, for a new identity. */
  reset(): void {
    for (const subscription of this.#all.values()) subscription.reset()
  }

  /** A stream begins that does not continue what the page has seen. */
  lapse(): void {
    for (const subscription of this.#all.values()) subscription.lapse()
  }

  /** Those that were never granted are refused together. */
  refuse(refusal: Refusal): void {
    for (const subscription of this.#wanted())
      if (subscription.status === 'pending') this.#listener.onRefused(subscription, refusal)
  }

  /** For a request that is made now. */
  ask(): Parameter[] {
    const wanted = this.#wanted()
    this.#asked = new Set(wanted.map(({ name }) => name))
    // In a list a comma ends a name.
    const single = wanted.filter(({ name }) => name.includes(','))
    const list = wanted.filter(({ name }) => !name.includes(','))
    const fresh = list.filter(({ isFresh }) => isFresh)
    const parameters: Parameter[] = [['channels', listed(list)]]
    for (const { name } of single) parameters.push(['channel', name])
    if (fresh.length > 0) parameters.push(['fresh', listed(fresh)])
    return parameters
  }

  /** A frame about one channel. False when nobody knows what it means. */
  take({ name, data, id }: Frame): boolean {
    const subscription = this.#all.get(data.channel as string)
    switch (name) {
      case 'message':
        if (isTold(subscription) && subscription.isNews(id))
          this.#listener.onMessage(subscription, data as BroadcastData)
        return true
      case 'subscribed':
        if (subscription) this.#granted(subscription, data as SubscribedData)
        return true
      case 'denied':
      case 'revoked':
        if (subscription) this.#refused(subscription, data as DeniedData, name === 'revoked')
        return true
      case 'joining':
      case 'leaving':
        if (subscription?.status === 'subscribed') this.#changed(subscription, name, data.member as MemberData)
        return true
      default:
        return false
    }
  }

  #wanted(): Subscription[] {
    return [...this.#all.values()].filter(({ isWanted, isHeld, status }) => isWanted && !isHeld && status !== 'denied')
  }

  #granted(subscription: Subscription, data: SubscribedData): void {
    const isKnown = subscription.status === 'subscribed'
    const { joined, left } = subscription.granted(data)
    if (!subscription.isWanted) return
    if (!isKnown) this.#listener.onSubscribed(subscription)
    else {
      for (const member of left) this.#listener.onLeaving(subscription, member)
      for (const member of joined) this.#listener.onJoining(subscription, member)
    }
  }

  // The next request goes without it, and needs not be made for that.
  #refused(subscription: Subscription, data: DeniedData, isRevoked: boolean): void {
    this.#asked.delete(subscription.name)
    if (isRevoked) this.#refusals.refuse(subscription, { ...data, retry: false })
    else this.#refusals.take(subscription, data)
  }

  #changed(subscription: Subscription, name: 'joining' | 'leaving', member: MemberData): void {
    const isNew = name === 'joining' ? subscription.joins(member) : subscription.leaves(member)
    if (!isNew || !subscription.isWanted) return
    if (name === 'joining') this.#listener.onJoining(subscription, member)
    else this.#listener.onLeaving(subscription, member)
  }
}

function listed(subscriptions: readonly Subscription[]): string {
  return subscriptions.map(({ name }) => name).join(',')
}

function isTold(subscription: Subscription | undefined): subscription is Subscription {
  return subscription?.isWanted === true && subscription.status === 'subscribed'
}
