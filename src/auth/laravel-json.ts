/** Reading JSON that somebody else wrote. Nothing here throws. */

export type JsonObject = Readonly<Record<string, unknown>>

/** The value, or undefined when this is not JSON in UTF-8. A `user_id` too large for a number comes as a string. */
export function parseJson(source: Uint8Array | string): unknown {
  try {
    const text = typeof source === 'string' ? source : new TextDecoder('utf-8', { fatal: true }).decode(source)
    // The text as it came decides whether this is JSON at all; only then may it be rewritten.
    const value: unknown = JSON.parse(text)
    const exact = text.replace(STRING_THEN_NUMBER, quoteUnsafeUserId)
    return exact === text ? value : JSON.parse(exact)
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The id of somebody as a string: the redis driver sends numbers where the pusher driver sends strings. */
export function userIdOf({ user_id: id }: JsonObject): string | null {
  if (typeof id === 'number') return String(id)
  return typeof id === 'string' && id !== '' ? id : null
}

// Whole strings are stepped over, so that nothing inside a string is mistaken for a key.
const STRING_THEN_NUMBER = /("[^"\\]*(?:\\.[^"\\]*)*")(?:(\s*:\s*)(-?\d[\d.eE+-]*))?/g

// 9007199254740993 would be read as ...992: somebody else's id.
function quoteUnsafeUserId(match: string, key: string, colon: string | undefined, digits: string | undefined): string {
  if (key !== '"user_id"' || digits === undefined || Number.isSafeInteger(Number(digits))) return match
  return `${key}${colon}"${digits}"`
}
