import { isUtf8 } from 'node:buffer'
import { membersOf, withoutMember } from './json-spans.ts'

/**
 * What Laravel published on one channel.
 * Source: laravel/framework RedisBroadcaster::broadcast, which publishes {"event","data","socket"}.
 */
export type Broadcast = {
  /** The event's name as JSON text, quotes included. */
  readonly eventJson: string
  /** The data as JSON text, digit for digit as Laravel wrote it. */
  readonly dataJson: string
  /** The connection that shall not receive it (`toOthers()`), if any. */
  readonly socket: string | null
}

const EVENT_KEY = Buffer.from('"event"')
const OPEN_BRACE = 0x7b

/** A cheap look that tells most foreign messages (PHP-serialized, counters, empty ones) without parsing them. */
export function looksLikeBroadcast(payload: Buffer): boolean {
  return payload[0] === OPEN_BRACE && payload.includes(EVENT_KEY)
}

/** Reads Laravel's message; null when it is none. Never throws. */
export function parseBroadcast(payload: Buffer): Broadcast | null {
  if (!isUtf8(payload)) return null
  const text = payload.toString()
  const message = parseJson(text)
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return null
  const { event, socket } = message as { event?: unknown; socket?: unknown }
  if (typeof event !== 'string' || !Object.hasOwn(message, 'data')) return null
  return {
    eventJson: JSON.stringify(event),
    dataJson: dataOf(text, typeof socket === 'string' ? socket : null),
    socket: typeof socket === 'string' ? socket : null,
  }
}

/** Laravel's message as its Redis driver writes it. `dataJson` must be valid JSON. */
export function encodeBroadcast(event: string, dataJson: string, socket: string | null): string {
  return `{"event":${JSON.stringify(event)},"data":${dataJson},"socket":${JSON.stringify(socket)}}`
}

/** `text` itself when it is JSON, else as a JSON string. Pusher's API carries data that way. */
export function jsonOrString(text: string): string {
  return parseJson(text) === undefined ? JSON.stringify(text) : text
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// The Redis driver copies the sender's socket id into the data of every receiver; Pusher's does not. We side with Pusher.
function dataOf(text: string, socket: string | null): string {
  const data = membersOf(text)?.findLast((member) => member.key === 'data')
  if (data === undefined) return 'null'
  const dataJson = text.slice(data.valueStart, data.valueEnd)
  if (!dataJson.includes('socket')) return dataJson
  const members = membersOf(dataJson)
  const copy = members?.findLast((member) => member.key === 'socket')
  if (members === null || copy === undefined) return dataJson
  const isCopy = JSON.parse(dataJson.slice(copy.valueStart, copy.valueEnd)) === socket
  return isCopy ? withoutMember(dataJson, members, 'socket') : dataJson
}
