import type { AuthFailure, Headers } from '../core/engine.ts'
import type { PusherOptions } from './options.ts'

/** What the requests say about who asks, and what the page adds to that when it is asked for a login. */
export class Login {
  readonly #options: PusherOptions
  #added: object = {}
  /** The headers of the newest request. */
  #sent = ''

  constructor(options: PusherOptions) {
    this.#options = options
  }

  headers(): Headers {
    const headers = headersOf(this.#options, this.#added)
    this.#sent = JSON.stringify(headers)
    return headers
  }

  /** True when there is something new to try. */
  async renew(failures: readonly AuthFailure[]): Promise<boolean> {
    const before = this.#sent
    const added = await this.#options.onAuthError?.(failures[0] as AuthFailure, failures)
    if (added === true) return true
    if (added) this.#added = typeof added === 'string' ? { Authorization: `Bearer ${added}` } : added
    this.headers()
    return this.#sent !== before
  }

  /** Somebody else may be there next. */
  forget(): void {
    this.#added = {}
  }
}

/** Names are in lower case, or one could be there twice. */
export function headersOf(options: PusherOptions, added: object = {}): Headers {
  const { auth, channelAuthorization, bearerToken, csrfToken } = options
  const csrf =
    (globalThis as { Laravel?: { csrfToken?: string } }).Laravel?.csrfToken ||
    csrfToken ||
    globalThis.document?.querySelector?.('meta[name="csrf-token"]')?.getAttribute('content')
  const headers = Object.entries<unknown>({
    ...auth?.headers,
    ...channelAuthorization?.headers,
    ...channelAuthorization?.headersProvider?.(),
    ...(csrf && { 'X-CSRF-TOKEN': csrf }),
    // Above the rest: Echo 2.x puts the token of one instance into the headers of all.
    ...(bearerToken && { Authorization: `Bearer ${bearerToken}` }),
    ...added,
  })
  return Object.fromEntries(
    headers.flatMap(([name, value]) => (value == null ? [] : [[name.toLowerCase(), `${value}`]])),
  )
}
