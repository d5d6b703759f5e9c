import type { CallerHeaders } from './address.ts'

/** Who may ask? Decided from what browsers say about a request, before auth, presence and history. */

export type OriginQuestion = {
  /** The request's headers, names in lower case. */
  readonly headers: CallerHeaders
  /** Our own public address, as the caller reached it. */
  readonly protocol: 'http' | 'https'
  readonly host: string
}

/** With `credentials: false` the caller may listen to public channels only; its Cookie and Authorization must not be used. */
export type OriginVerdict =
  | { readonly allowed: true; readonly credentials: boolean }
  | { readonly allowed: false; readonly why: string }

/** Judges a request. `allowOrigins` lists the origins that may send credentials; `*` lets all others in without. */
export function judgeOrigin(question: OriginQuestion, allowOrigins: readonly string[]): OriginVerdict {
  const stranger = findStranger(question, allowOrigins)
  if (stranger === null) return { allowed: true, credentials: true }
  if (stranger.isMalformed || !allowOrigins.includes('*')) return { allowed: false, why: stranger.why }
  return { allowed: true, credentials: false }
}

/** True when this origin may send credentials. `*` lists nobody. */
export function isListedOrigin(origin: string, allowOrigins: readonly string[]): boolean {
  return allowOrigins.some((listed) => isSameOrigin(origin, listed.replace(/\/$/, '')))
}

/** An origin in one spelling (lower case, no default port); null for `null` and whatever else is none. */
export function parseOrigin(text: string): string | null {
  const [, scheme, authority] = /^([a-z][a-z0-9+.-]*):\/\/([^/\\?#@\s,]+)$/i.exec(text) ?? []
  if (scheme === undefined || authority === undefined) return null
  // Applications in a shell send origins such as capacitor://localhost; their hosts have no rules of their own.
  if (!/^https?$/i.test(scheme)) return text.toLowerCase()
  return URL.canParse(text) ? new URL(text).origin : null
}

type Stranger = { readonly why: string; readonly isMalformed: boolean }

/** Null when the request comes from ourselves, from a listed origin, or from no page at all. */
function findStranger({ headers, protocol, host }: OriginQuestion, allowOrigins: readonly string[]): Stranger | null {
  const { origin, 'sec-fetch-site': site, referer, cookie } = headers
  const isListed = (candidate: string) => isListedOrigin(candidate, allowOrigins)
  const isOurs = (candidate: string) => isSameOrigin(candidate, `${protocol}://${host}`) || isListed(candidate)

  // The browser compared page and address itself, whatever proxies did to our idea of the host.
  if (site === 'same-origin') return null
  if (site !== undefined && site !== 'none') {
    if (origin === undefined) return stranger('A page of another site asked without naming its origin.')
    return isListed(origin) ? null : foreignOrigin(origin)
  }
  if (origin !== undefined) return isOurs(origin) ? null : foreignOrigin(origin)
  // Old browsers send neither header on a plain GET, but they do send their cookies along.
  const isTold = site === 'none' || cookie === undefined || referer === undefined
  if (isTold || isOurs(originOfAddress(referer))) return null
  return stranger('A cookie came from a page of another site, according to its Referer.')
}

function foreignOrigin(origin: string): Stranger {
  if (origin === 'null') {
    return stranger(
      'The page has no origin of its own (a file, a sandboxed frame or a redirect); serve it over http or https.',
    )
  }
  const parsed = parseOrigin(origin)
  if (parsed === null) return { why: 'The Origin header does not hold one origin.', isMalformed: true }
  return stranger(`${parsed.slice(0, 200)} may not use this gateway; add it to --allow-origin.`)
}

function stranger(why: string): Stranger {
  return { why, isMalformed: false }
}

function isSameOrigin(one: string, other: string): boolean {
  const parsed = parseOrigin(one)
  return parsed !== null && parsed === parseOrigin(other)
}

function originOfAddress(address: string): string {
  return URL.canParse(address) ? new URL(address).origin : ''
}
