import type { BroadcastData, DeniedData, GapData, MemberData, SubscribedData } from '../../../src/protocol.ts'
import type { Parameter } from '../transports/transport.ts'
import type { Page, Refusal } from './listener.ts'
import { Refusals } from './refusals.ts'
import type { Frame } from './stream.ts'
import { Subscription } from './subscription.ts'

export type ChannelsHooks = {
  /** The CSRF token was refused. True when there is another one to try. */
  tryToken(): boolean
  /** Channels that were held are to be asked for. */
  onReleased(): void
  /** The page is not to come back by itself: somebody else goes on under its identity, or its user was sent away. */
  onSentAway(): void
}

/** The channels of the page: what it wants, what it was asked of the gateway, and what comes of that. */
export class Channels {
  readonly all = new Map<string, Subscription>()
  readonly refusals: Refusals
  readonly #page: Page
  readonly #hooks: ChannelsHooks

  constructor(page: Page, hooks: ChannelsHooks) {
    this.#page = page
    this.#hooks = hooks
    this.refusals = new Refusals(page, this.all, hooks)
  }

  /** Some channel is there whose name begins so. */
  has(prefix: RegExp): boolean {
    return this.#some(({ name, status }) => status === 'subscribed' && prefix.test(name))
  }

  /** There is nothing to ask for. */
  get isEmpty(): boolean {
    return !this.#some(({ isDue }) => isDue)
  }

  /** Some that are asked for are neither granted nor refused. */
  get isUndecided(): boolean {
    return this.#some(({ isAsked, isWanted, status }) => isAsked && isWanted && status === 'pending')
  }

  /** Another request is needed. */
  get isChanged(): boolean {
    return this.#some(({ isDue, isAsked }) => isDue !== isAsked)
  }

  join(name: string): Subscription {
    let subscription = this.all.get(name)
    if (subscription === undefined || subscription.status === 'denied') {
      subscription = new Subscription(name)
      this.all.set(name, subscription)
    }
    subscription.isWanted = true
    return subscription
  }

  forgetLeft(): void {
    for (const [name, { isWanted }] of this.all) if (!isWanted) this.all.delete(name)
  }

  /** Those that were never granted are refused together. */
  refuse(refusal: Refusal): void {
    for (const subscription of this.all.values())
      if (subscription.isDue && subscription.status === 'pending') this.refusals.tell(subscription, refusal)
  }

  /** For a request that is made now. */
  ask(): Parameter[] {
    const list: string[] = []
    const fresh: string[] = []
    const single: Parameter[] = []
    for (const subscription of this.all.values()) {
      const { name, isFresh, isDue } = subscription
      subscription.isAsked = isDue
      if (!isDue) continue
      // In a list a comma ends a name.
      if (name.includes(',')) single.push(['channel', name])
      else {
        list.push(name)
        if (isFresh) fresh.push(name)
      }
    }
    return [['channels', `${list}`], ...single, ...(fresh[0] ? [['fresh', `${fresh}`] as const] : [])]
  }

  take({ name, data, id }: Frame): void {
    const subscription = this.all.get(data.channel as string)
    const isThere = subscription?.status === 'subscribed'
    switch (name) {
      case 'message':
        if (isThere && subscription.isWanted && subscription.isNews(id))
          this.#page.onMessage(subscription, data as BroadcastData)
        break
      case 'subscribed':
        if (subscription) this.#granted(subscription, data as SubscribedData)
        break
      case 'denied':
        if (subscription) this.refusals.take(subscription, data as DeniedData)
        break
      case 'revoked':
        if (subscription) this.refusals.refuse(subscription, { ...(data as Refusal), retry: false })
        break
      case 'joining':
      case 'leaving':
        if (isThere) {
          const member = data.member as MemberData
          const isNew = name === 'joining' ? subscription.joins(member) : subscription.leaves(member)
          if (isNew) this.#changed(subscription, name, [member])
        }
        break
      case 'cache_miss':
        if (isThere) this.#page.onCacheMiss(subscription)
        break
      case 'gap':
        this.#page.onGap(data as GapData)
        break
      case 'bye':
        if (/^(replaced|terminated)$/.test(`${data.reason}`)) this.#hooks.onSentAway()
        break
      case 'ping':
        break
      default:
        throw new Error('unknown')
    }
  }

  #some(isSo: (subscription: Subscription) => boolean): boolean {
    return [...this.all.values()].some(isSo)
  }

  #granted(subscription: Subscription, data: SubscribedData): void {
    const isKnown = subscription.status === 'subscribed'
    const { joined, left } = subscription.granted(data)
    if (isKnown) {
      this.#changed(subscription, 'leaving', left)
      this.#changed(subscription, 'joining', joined)
    } else if (subscription.isWanted) this.#page.onSubscribed(subscription)
  }

  #changed(subscription: Subscription, how: 'joining' | 'leaving', members: readonly MemberData[]): void {
    if (!subscription.isWanted) return
    for (const member of members) this.#page.onMember(subscription, how, member)
  }
}
