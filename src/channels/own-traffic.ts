import { kindOf, RESERVED_PREFIX } from './channel.ts'
import { membersOf } from './json-spans.ts'

/** What gateways say to each other through the broker, on channels that no page can listen to. */

export const WHISPERS = `${RESERVED_PREFIX}whisper`
export const LEAVES = `${RESERVED_PREFIX}leave`
export const REVOCATIONS = `${RESERVED_PREFIX}revoke`

/** What a page says to the others on its channel. */
export type Whisper = {
  readonly channel: string
  readonly event: string
  /** JSON, digit for digit as the page wrote it. */
  readonly dataJson: string
  /** Who whispers; it does not hear itself. */
  readonly socketId: string
  /** As Laravel named it; on presence channels. */
  readonly userId: string | null
}

export function printWhisper({ channel, event, dataJson, socketId, userId }: Whisper): string {
  // Not `event`: beside other prefixes it would be taken for a broadcast of Laravel's.
  const head = JSON.stringify({ channel, name: event, socketId, userId })
  return `${head.slice(0, -1)},"data":${dataJson}}`
}

/** Reads a whisper; null when it is none. Never throws. */
export function parseWhisper(text: string): Whisper | null {
  const { channel, name: event, socketId, userId = null } = parseObject(text)
  if (typeof channel !== 'string' || kindOf(channel) === 'public') return null
  if (!isWhisperEvent(event) || typeof socketId !== 'string') return null
  if (userId !== null && typeof userId !== 'string') return null
  return { channel, event, dataJson: dataJsonOf(text), socketId, userId }
}

/** A page may only use names that no event of the application has. */
export function isWhisperEvent(event: unknown): event is string {
  return typeof event === 'string' && event.startsWith('client-') && event.length > 'client-'.length
}

/** The member `data` of a JSON object as it was written; `null` when there is none. */
export function dataJsonOf(text: string): string {
  const data = membersOf(text)?.findLast(({ key }) => key === 'data')
  return data === undefined ? 'null' : text.slice(data.valueStart, data.valueEnd)
}

export function printLeave(socketId: string): string {
  return JSON.stringify({ socketId })
}

/** The socket that has left; null when the message is none of ours. Never throws. */
export function parseLeave(text: string): string | null {
  const { socketId } = parseObject(text)
  return typeof socketId === 'string' ? socketId : null
}

/** The members of a JSON object; none when the text is no JSON object. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}
