import { isTooLong } from '../transports/address.ts'
import type { StreamRequest, TransportName } from '../transports/transport.ts'
import type { Page } from './listener.ts'

/** Headers that EventSource may leave out: the gateway takes the CSRF token from its cookie instead. */
const SPARE = /^(x-csrf-token|x-requested-with|accept)$/
/** How long a page and its reloads poll before a stream is the first thing they try. */
const REMEMBER_MS = 30 * 60_000
/** How long they do before they see whether the path has healed. */
const DOUBT_MS = 5 * 60_000

/** Which transport a request takes: EventSource wherever it can serve. */
export class Choice {
  readonly asked: 'auto' | TransportName
  /** The next request goes by fetch: EventSource does not say why it failed. */
  needsStatus = false
  /** The CSRF token in the cookie was refused; the one in the headers is still to be tried. */
  needsToken = false
  readonly #key: string
  /** When a stream was last held back on its way here until it ended; 0 when streams pass. Kept for this tab. */
  #heldBackAt = 0

  constructor({ url, transport }: Page) {
    this.asked = transport ?? 'auto'
    this.#key = `echo-sse:held-back:${url}`
    // Without it, or where it is full or forbidden, it is found out again.
    try {
      this.#heldBackAt = Number(sessionStorage.getItem(this.#key))
    } catch {}
  }

  transport(request: StreamRequest, isTrial: boolean): TransportName {
    const { asked } = this
    const needsFetch =
      this.needsStatus ||
      this.needsToken ||
      Object.keys(request.headers).some((name) => !SPARE.test(name)) ||
      isTooLong(request)
    this.needsStatus = false
    if (asked === 'poll' || (this.#isHeldBack && !isTrial)) return 'poll'
    return asked === 'fetch' || needsFetch || !globalThis.EventSource ? 'fetch' : 'eventsource'
  }

  /** Something kept streams back on the way here, long enough ago to see whether it still does. */
  get isDoubtful(): boolean {
    return this.#isHeldBack && Date.now() - this.#heldBackAt > DOUBT_MS
  }

  /** What a stream has met on its way just now. */
  learn(isHeldBack: boolean): void {
    if (!isHeldBack && !this.#heldBackAt) return
    this.#heldBackAt = isHeldBack ? Date.now() : 0
    try {
      sessionStorage.setItem(this.#key, `${this.#heldBackAt}`)
    } catch {}
  }

  /** Why it is this transport, for people. */
  reason(transport: TransportName): string {
    if (transport === this.asked) return 'asked for'
    if (transport === 'eventsource') return 'default'
    return transport === 'poll' ? 'streams are held back on the way' : 'EventSource cannot serve here'
  }

  get #isHeldBack(): boolean {
    return this.asked === 'auto' && Date.now() - this.#heldBackAt < REMEMBER_MS
  }
}
