import type { DeniedData } from '../../../src/protocol.ts'
import { Alarm } from './alarm.ts'
import type { AuthFailure, Refusal } from './listener.ts'
import type { Subscription } from './subscription.ts'

export type RefusalHooks = {
  onRefused(subscription: Subscription, refusal: Refusal): void
  /** A login is missing. True when there is something new to try. */
  onAuthError(failures: readonly AuthFailure[]): Promise<boolean>
  /** The CSRF token was refused. True when there is another one to try. */
  tryToken(): boolean
  /** Channels that were held are to be asked for. */
  onReleased(): void
}

/** Refusals that arrive together are answered by one login. */
const BATCH_MS = 50
const LATER_MS = 5000
const LEAST_LATER_MS = 1000

/** What becomes of channels that are refused: asked for later, after a login, or not again. */
export class Refusals {
  readonly #hooks: RefusalHooks
  readonly #later = new Alarm()
  readonly #batch = new Alarm()
  readonly #forNow = new Set<Subscription>()
  readonly #forLogin = new Map<Subscription, Refusal>()

  constructor(hooks: RefusalHooks) {
    this.#hooks = hooks
  }

  take(subscription: Subscription, { status, code, message, retry, retryAfterMs = LATER_MS }: DeniedData): void {
    const refusal: Refusal = { status, code, message, retry }
    subscription.lapse()
    if (retry) this.#askLater(subscription, refusal, retryAfterMs)
    else if ((status === 401 || status === 419) && !subscription.hasAskedForLogin)
      this.#askForLogin(subscription, refusal)
    else this.refuse(subscription, refusal)
  }

  /** For good: not asked for until the page subscribes again. */
  refuse(subscription: Subscription, refusal: Refusal): void {
    subscription.status = 'denied'
    subscription.isHeld = false
    if (subscription.isWanted) this.#hooks.onRefused(subscription, refusal)
  }

  /** What waits is asked for by the next request that is made. */
  clear(): void {
    this.#later.clear()
    this.#batch.clear()
    for (const subscription of [...this.#forNow, ...this.#forLogin.keys()]) subscription.isHeld = false
    this.#forNow.clear()
    this.#forLogin.clear()
  }

  #askLater(subscription: Subscription, refusal: Refusal, delayMs: number): void {
    subscription.isHeld = true
    this.#forNow.add(subscription)
    if (!this.#later.isSet) {
      this.#later.set(Math.max(LEAST_LATER_MS, delayMs) * (1 + Math.random() / 4), () => {
        this.#release(this.#forNow)
        this.#forNow.clear()
      })
    }
    if (!subscription.isRefusedForNow && subscription.isWanted) this.#hooks.onRefused(subscription, refusal)
    subscription.isRefusedForNow = true
  }

  #askForLogin(subscription: Subscription, refusal: Refusal): void {
    subscription.isHeld = subscription.hasAskedForLogin = true
    this.#forLogin.set(subscription, refusal)
    if (!this.#batch.isSet) this.#batch.set(BATCH_MS, () => this.#logIn())
  }

  async #logIn(): Promise<void> {
    const batch = new Map(this.#forLogin)
    this.#forLogin.clear()
    const failures = [...batch].map(([{ name }, { status }]) => ({ channel: name, status }))
    if (failures.some(({ status }) => status === 419) && this.#hooks.tryToken()) {
      // That was no question to the page yet.
      for (const subscription of batch.keys()) subscription.hasAskedForLogin = false
      this.#release(batch.keys())
      return
    }
    const isNew = await this.#hooks.onAuthError(failures)
    if (isNew) this.#release(batch.keys())
    else for (const [subscription, refusal] of batch) if (subscription.isHeld) this.refuse(subscription, refusal)
  }

  #release(subscriptions: Iterable<Subscription>): void {
    for (const subscription of subscriptions) subscription.isHeld = false
    this.#hooks.onReleased()
  }
}
