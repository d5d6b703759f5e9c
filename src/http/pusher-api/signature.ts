/**
 * Pusher's request signature: HMAC-SHA256 over method, path and sorted query
 * (https://pusher.com/docs/channels/library_auth_reference/rest-api/#authentication).
 */

import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'

export type AppCredentials = { readonly id: string; readonly key: string; readonly secret: string }

export type RequestToSign = {
  readonly method: string
  /** `/apps/3/events`, without any sub-path a proxy has put before it. */
  readonly path: string
  /** Further parameters. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly body: string | Buffer
  readonly app: AppCredentials
  /** ms since 1970. */
  readonly now: number
}

export type RequestToVerify = {
  readonly method: string
  readonly path: string
  /** The query as it came, without `?`. */
  readonly query: string
  /** The raw bytes of the body. */
  readonly body: string | Buffer
  /** An application with several keys is here several times. */
  readonly apps: readonly AppCredentials[]
  /** ms since 1970. */
  readonly now: number
}

export type Verdict = { readonly ok: true; readonly app: AppCredentials } | { readonly ok: false; readonly why: string }

/** How far the clocks of publisher and gateway may be apart. */
export const MAX_CLOCK_SKEW_S = 600

/** The query with which this request is accepted, signature included. */
export function signRequest({ method, path, parameters = {}, body, app, now }: RequestToSign): URLSearchParams {
  const query = new URLSearchParams({
    ...parameters,
    auth_key: app.key,
    auth_timestamp: String(Math.floor(now / 1000)),
    auth_version: '1.0',
    ...(body.length > 0 ? { body_md5: md5(body) } : {}),
  })
  query.set('auth_signature', hmac(app, textToSign(method, path, parseQuery(query.toString()) ?? new Map())))
  return query
}

/** Whether one of our applications has signed this request, and lately. */
export function verifyRequest({ method, path, query, body, apps, now }: RequestToVerify): Verdict {
  const parameters = parseQuery(query)
  if (parameters === null) return refuse("A parameter is given twice, or one of the signature's own as a list.")
  const app = findApp(apps, path, parameters.get('auth_key') ?? '')
  // The same sentence for both: who knocks without a key shall not learn which applications exist.
  if (app === undefined) return refuse('No application has this id and this auth_key.')
  if (parameters.get('auth_version') !== '1.0') return refuse('auth_version must be 1.0.')
  const timestamp = parameters.get('auth_timestamp') ?? ''
  if (!/^\d{1,12}$/.test(timestamp)) return refuse('auth_timestamp must be a number of seconds since 1970.')
  if (Math.abs(now / 1000 - Number(timestamp)) > MAX_CLOCK_SKEW_S) {
    return refuse(`auth_timestamp is more than ${MAX_CLOCK_SKEW_S} s off; compare the clocks of Laravel and gateway.`)
  }
  const digest = parameters.get('body_md5')
  if (body.length > 0 && digest === undefined) return refuse('body_md5 is missing.')
  if (digest !== undefined && !isEqual(digest, md5(body))) return refuse('body_md5 does not fit the body.')
  const signature = parameters.get('auth_signature') ?? ''
  const isSigned = (signed: string) => isEqual(signature, hmac(app, textToSign(method, signed, parameters)))
  // SDKs sign the path before their HTTP client encodes what is in it: a user called `ada lovelace`.
  if (!isSigned(path) && !isSigned(decoded(path))) {
    return refuse('auth_signature is wrong; do app secret and address agree on both sides?')
  }
  return { ok: true, app }
}

function refuse(why: string): Verdict {
  return { ok: false, why }
}

/**
 * Names in lower case; null when a name comes twice, because then nobody knows which one was meant. A list, as PHP
 * writes it, `info[]=a&info[]=b` or `info[0]=a&info[1]=b`, is one value with commas.
 */
export function parseQuery(query: string): Map<string, string> | null {
  const parameters = new Map<string, string>()
  const arrays = new Set<string>()
  for (const [written, value] of new URLSearchParams(query)) {
    const [name, index] = splitIndex(written.toLowerCase())
    const before = parameters.get(name)
    if (index !== undefined && OWN.test(name)) return null
    if (before !== undefined && (index === undefined || !arrays.has(name))) return null
    if (index !== undefined) arrays.add(name)
    // [pusher-http-php Pusher::array_implode] An array is signed as one value with commas.
    parameters.set(name, before === undefined ? value : `${before},${value}`)
  }
  return parameters
}

const OWN = /^(auth_|body_md5$)/

/** `info[0]` → `info` and `[0]`. */
function splitIndex(written: string): readonly [name: string, index?: string] {
  if (!written.endsWith(']')) return [written]
  const [, name = '', index] = /^(.*?)(\[\d*\])?$/s.exec(written) ?? []
  return index === undefined ? [name] : [name, index]
}

// All keys are compared, wherever the right one is.
function findApp(apps: readonly AppCredentials[], path: string, key: string): AppCredentials | undefined {
  const found = apps.filter((app) => isEqual(key, app.key))
  return found.find(({ id }) => path.startsWith(`/apps/${id}/`))
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function textToSign(method: string, path: string, parameters: ReadonlyMap<string, string>): string {
  const names = [...parameters.keys()].filter((name) => name !== 'auth_signature').sort()
  // [Pusher] The values are signed as they are, not URL-encoded.
  return `${method.toUpperCase()}\n${path}\n${names.map((name) => `${name}=${parameters.get(name)}`).join('&')}`
}

/** Made once: OpenSSL prepares a key for longer than it signs with it. */
const keys = new WeakMap<AppCredentials, KeyObject>()

function hmac(app: AppCredentials, text: string): string {
  let key = keys.get(app)
  if (key === undefined) {
    key = createSecretKey(Buffer.from(app.secret))
    keys.set(app, key)
  }
  return createHmac('sha256', key).update(text).digest('hex')
}

function md5(body: string | Buffer): string {
  return hash('md5', body)
}

/** Takes the same time wherever the first difference is. */
function isEqual(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)]
  return first.length === second.length && timingSafeEqual(first, second)
}
