import { isIP } from 'node:net'
import { isHost, portOf } from './address.ts'
import type { Credentials } from './authorizer.ts'
import { cookieValue, hasForeignCookie } from './cookie.ts'

/**
 * The caller's headers Laravel gets to see. Anything else stays here: the EventSource's own `Accept` would turn a 401
 * into a redirect (`Request::expectsJson`), `X-HTTP-Method-Override` and `Last-Event-ID` are not Laravel's business.
 */
const PASSED_ON = [
  'cookie',
  'authorization',
  'origin',
  'referer',
  'user-agent',
  'accept-language',
  'x-csrf-token',
  'x-xsrf-token',
  'sec-fetch-site',
  'x-socket-id',
] as const

// What an HTTP/1.1 header value may hold; Node hands bytes above 127 over as latin1.
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]+$/
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/

/** Exactly the headers of an auth call, `Host` and `Content-Length` aside. Never throws. */
export function laravelHeaders(credentials: Credentials): Record<string, string> {
  return {
    ...passedOn(credentials.headers),
    ...xsrfToken(credentials.headers),
    accept: 'application/json',
    'x-requested-with': 'XMLHttpRequest',
    'content-type': 'application/x-www-form-urlencoded',
    ...forwarded(credentials),
  }
}

/** True when the caller sent something Laravel could recognise somebody by. */
export function hasCredentials({ headers }: Credentials): boolean {
  return Boolean(headers.authorization?.trim()) || hasForeignCookie(headers.cookie)
}

function passedOn(headers: Credentials['headers']): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (value !== undefined && HEADER_VALUE.test(value)) passed[name] = value
  }
  return passed
}

// An EventSource cannot set headers, and Laravel never accepts the cookie alone (`VerifyCsrfToken::getTokenFromRequest`).
function xsrfToken(headers: Credentials['headers']): Record<string, string> {
  if (headers['x-xsrf-token']) return {}
  const token = decoded(cookieValue(headers.cookie, 'XSRF-TOKEN') ?? '')
  return PRINTABLE_ASCII.test(token) ? { 'x-xsrf-token': token } : {}
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return ''
  }
}

function forwarded({ address, protocol, host }: Credentials): Record<string, string> {
  return {
    ...(isIP(address) ? { 'x-forwarded-for': address } : {}),
    'x-forwarded-proto': protocol,
    ...(isHost(host)
      ? { 'x-forwarded-host': host, 'x-forwarded-port': portOf(host) ?? (protocol === 'https' ? '443' : '80') }
      : {}),
  }
}
