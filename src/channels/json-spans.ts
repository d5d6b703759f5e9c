/**
 * Finds the parts of a JSON text without printing them again, so that `9007199254740993` and `1.0` reach the
 * page as they were written. The text must be valid JSON (JSON.parse accepted it).
 */

export type Member = {
  readonly key: string
  /** Where the member begins, at its key's quote. */
  readonly start: number
  /** Where its value begins and ends (exclusive). */
  readonly valueStart: number
  readonly valueEnd: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** The members of the object that begins at or after `from`; null when something else begins there. */
export function membersOf(text: string, from = 0): Member[] | null {
  let at = skipSpace(text, from)
  if (text.charCodeAt(at) !== OPEN_BRACE) return null
  const members: Member[] = []
  at = skipSpace(text, at + 1)
  while (text.charCodeAt(at) === QUOTE) {
    const start = at
    const keyEnd = skipString(text, start)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const valueEnd = skipValue(text, valueStart)
    members.push({ key: stringAt(text, start, keyEnd), start, valueStart, valueEnd })
    at = skipSpace(text, valueEnd)
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1)
  }
  return members
}

/** The object's text without the members of that key. */
export function withoutMember(text: string, members: readonly Member[], key: string): string {
  const kept = members.filter((member) => member.key !== key)
  return `{${kept.map((member) => text.slice(member.start, member.valueEnd)).join(',')}}`
}

function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
    at += 1
  }
}

function skipString(text: string, from: number): number {
  let quote = text.indexOf('"', from + 1)
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1)
  return quote + 1
}

// Behind an odd number of backslashes a quote belongs to the string.
function isEscaped(text: string, quote: number): boolean {
  let at = quote - 1
  while (text.charCodeAt(at) === BACKSLASH) at -= 1
  return (quote - at) % 2 === 0
}

function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner
}

function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === QUOTE) return skipString(text, from)
  return first === OPEN_BRACE || first === OPEN_BRACKET ? skipNested(text, from) : skipScalar(text, from)
}

function skipNested(text: string, from: number): number {
  let depth = 0
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    at += 1
    if (depth === 0) return at
  }
}

function skipScalar(text: string, from: number): number {
  let at = from
  while (at < text.length && !/[\s,\]}]/.test(text.charAt(at))) at += 1
  return at
}
