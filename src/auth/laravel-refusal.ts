import { isObject, parseJson } from './laravel-json.ts'

/** What Laravel wants the caller to know when it refuses. */

const MAX_MESSAGE_LENGTH = 200

// Control characters and lone surrogates, and those that turn the direction of the text around them.
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu

/** Laravel's `message`, fit to be shown; undefined when it says nothing. */
export function messageOf(body: Uint8Array | null): string | undefined {
  const answer = body === null ? undefined : parseJson(body)
  if (!isObject(answer) || typeof answer.message !== 'string') return undefined
  const message = answer.message.replace(UNSHOWABLE, ' ').trim()
  return message === '' ? undefined : shortened(message)
}

/** [RFC 9110, 10.2.3] `Retry-After` is seconds or a date. Null when it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = / GMT$/.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}

function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message
  const head = message.slice(0, MAX_MESSAGE_LENGTH - 1)
  // Not through the middle of a surrogate pair.
  return `${head.replace(/[\ud800-\udbff]$/, '')}…`
}
