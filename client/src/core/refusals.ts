import type { DeniedData } from '../../../src/protocol.ts'
import { Alarm } from './alarm.ts'
import type { ChannelsHooks } from './channels.ts'
import type { Page, Refusal } from './listener.ts'
import type { Subscription } from './subscription.ts'

/** Refusals that arrive together are answered by one login. */
const BATCH_MS = 50
const LATER_MS = 5000
const LEAST_LATER_MS = 1000

/** What becomes of channels that are refused: asked for later, after a login, or not again. */
export class Refusals {
  readonly #page: Page
  readonly #all: ReadonlyMap<string, Subscription>
  readonly #hooks: ChannelsHooks
  readonly #later = new Alarm()
  readonly #batch = new Alarm()

  constructor(page: Page, all: ReadonlyMap<string, Subscription>, hooks: ChannelsHooks) {
    this.#page = page
    this.#all = all
    this.#hooks = hooks
  }

  take(subscription: Subscription, refusal: DeniedData): void {
    const { status, retry, retryAfterMs = LATER_MS } = refusal
    subscription.lapse()
    // The next request goes without it, and needs not be made for that.
    subscription.isAsked = false
    if (retry) {
      subscription.held = 'later'
      if (!this.#later.isSet)
        this.#later.set(Math.max(LEAST_LATER_MS, retryAfterMs) * (1 + Math.random() / 4), () => this.#release('later'))
      if (!subscription.isTold) this.tell(subscription, refusal)
      subscription.isTold = true
    } else if ((status === 401 || status === 419) && !subscription.wasAtLogin) {
      subscription.held = 'batch'
      subscription.refusal = refusal
      subscription.wasAtLogin = true
      if (!this.#batch.isSet) this.#batch.set(BATCH_MS, () => this.#logIn())
    } else this.refuse(subscription, refusal)
  }

  /** For good: not asked for until the page subscribes again. */
  refuse(subscription: Subscription, refusal: Refusal): void {
    subscription.status = 'denied'
    subscription.isAsked = false
    subscription.held = null
    this.tell(subscription, refusal)
  }

  tell(subscription: Subscription, refusal: Refusal): void {
    if (subscription.isWanted) this.#page.onRefused(subscription, refusal)
  }

  /** What waits is asked for by the next request that is made. */
  clear(): void {
    this.#later.clear()
    this.#batch.clear()
    this.#letGo('later')
    this.#letGo('batch')
  }

  async #logIn(): Promise<void> {
    const batch = this.#held('batch')
    if (batch.length === 0) return
    const failures = batch.map(({ name, refusal }) => ({ channel: name, status: (refusal as Refusal).status }))
    const hasToken = failures.some(({ status }) => status === 419) && this.#hooks.tryToken()
    for (const subscription of batch) {
      subscription.held = 'login'
      // A token that we had was no question to the page yet.
      subscription.wasAtLogin = !hasToken
    }
    const isNew = hasToken || (await this.#page.onAuthError(failures))
    if (isNew) this.#release('login')
    else for (const subscription of this.#held('login')) this.refuse(subscription, subscription.refusal as Refusal)
  }

  #held(why: Subscription['held']): Subscription[] {
    return [...this.#all.values()].filter(({ held }) => held === why)
  }

  #letGo(why: Subscription['held']): void {
    for (const subscription of this.#held(why)) subscription.held = null
  }

  #release(why: Subscription['held']): void {
    this.#letGo(why)
    this.#hooks.onReleased()
  }
}
