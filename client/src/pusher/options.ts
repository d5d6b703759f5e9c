import type { GapData } from '../../../src/protocol.ts'
import type { AuthFailure } from '../core/engine.ts'
import type { TransportName } from '../transports/transport.ts'
import type { Nacl } from './encryption.ts'

type Optional<T> = { readonly [K in keyof T]?: T[K] | null | undefined }

export type PusherOptions = Optional<{
  /** The gateway's base address, absolute or relative to the page. Default: the page's own origin. */
  url: string
  /** Without `url`: the gateway's host, by https unless `forceTLS` is false. */
  wsHost: string
  wsPort: number | string
  wssPort: number | string
  wsPath: string
  forceTLS: boolean
  /** Default `auto`: EventSource where it can serve, else fetch, and long-polls where streams are held back. */
  transport: 'auto' | TransportName
  /** Sends cookies to a gateway on another origin. Default: where `wsHost` says the address, as for Reverb. */
  withCredentials: boolean
  /** Keeps a stream open while there is no channel, for its socket id. Default false. */
  keepAlive: boolean
  bearerToken: string
  /** Default: `window.Laravel.csrfToken`, else the page's `<meta name="csrf-token">`. */
  csrfToken: string
  auth: Optional<{ headers: Optional<Record<string, string>>; params: Optional<Record<string, unknown>> }>
  channelAuthorization: Optional<{
    headers: Optional<Record<string, string>>
    /** Asked for every request. */
    headersProvider: () => Optional<Record<string, string>>
  }>
  /** tweetnacl, for encrypted channels. */
  nacl: Nacl
  /** Prints what happens to the connection. Default: `Pusher.logToConsole`, or `localStorage['echo-sse:debug'] === '1'`. */
  debug: boolean
  /** Messages may be missing on these channels (null: on all); time to load what they would have told. */
  onGap: (gap: GapData) => unknown
  /**
   * A login is missing. Called once for refusals that come together, with the first of them. What it returns, also by a
   * promise, is tried once: a bearer token, headers, or true when a cookie has changed.
   */
  onAuthError: (failure: AuthFailure, all: readonly AuthFailure[]) => unknown
  /** What went wrong without being the page's own fault. Default: printed. */
  onError: (error: Error) => unknown
}> & { readonly [leftover: string]: unknown }

/** The gateway's base address, absolute and without a slash at its end. */
export function gatewayUrl({ url, wsHost, wsPort, wssPort, wsPath, forceTLS }: PusherOptions): string {
  const [scheme, port] = forceTLS === false ? ['http', wsPort] : ['https', wssPort]
  const address = url || (wsHost ? `${scheme}://${wsHost}:${port ?? ''}/${wsPath ?? ''}` : '/')
  try {
    // While a page is rendered on a server it has no address, and nothing is asked.
    const { origin, pathname } = new URL(address, globalThis.location?.href ?? 'http://localhost')
    return origin + pathname.replace(/\/+(?=\/|$)/g, '')
  } catch {
    throw new Error(`\`url\` must be the gateway's base address, such as /sse; got ${address}`)
  }
}

export function isDebugging({ debug }: PusherOptions): boolean {
  try {
    return debug ?? globalThis.localStorage?.getItem('echo-sse:debug') === '1'
  } catch {
    return false
  }
}

/** What cannot work here and why; empty when there is nothing of that kind. */
export function misunderstanding({ authorizer, authEndpoint, auth, channelAuthorization }: PusherOptions): string {
  const { endpoint, customHandler } = { ...channelAuthorization } as Record<string, unknown>
  const [param] = Object.keys({ ...auth?.params })
  const unused = {
    authorizer,
    authEndpoint: authEndpoint !== '/broadcasting/auth' && authEndpoint,
    'auth.params': param,
    'channelAuthorization.customHandler': customHandler,
    'channelAuthorization.endpoint': endpoint,
  }
  const given = Object.entries(unused).flatMap(([name, value]) => (value ? name : []))
  return given[0] ? `${given.join(', ')}: not used; the gateway asks Laravel (--auth-endpoint)` : ''
}
