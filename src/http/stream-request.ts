import { GatewayError } from '../errors.ts'
import { MAX_WAIT_S, MIN_HEARTBEAT_MS, PARAMETERS, type StreamMode } from '../protocol.ts'

/** What a request to /stream asks for. */
export type StreamRequest = {
  /** Names as they came, once each, empty ones left out. */
  readonly channels: readonly string[]
  readonly fresh: ReadonlySet<string>
  readonly lastEventId: string | null
  readonly socketId: string | undefined
  readonly key: string | undefined
  readonly mode: StreamMode
  readonly waitMs: number
  readonly heartbeatMs: number
}

export type StreamLimits = { readonly maxChannels: number; readonly heartbeatMs: number }

/** Parameter name → all values given for it, from the query and from the body. */
export type Parameters = ReadonlyMap<string, readonly string[]>

const KNOWN: ReadonlySet<string> = new Set(Object.values(PARAMETERS))

/** Reads the parameters; unknown ones are ignored. Throws a GatewayError that names what is wrong. */
export function readStreamRequest(
  parameters: Parameters,
  headerId: string | undefined,
  limits: StreamLimits,
): StreamRequest {
  const first = (name: string) => parameters.get(name)?.[0]
  const lists = [...(parameters.get(PARAMETERS.channels) ?? []), ...(parameters.get(PARAMETERS.channel) ?? [])]
  if (lists.length === 0) throw new GatewayError('missing_channels')
  const channels = namesOf(parameters)
  if (channels.length > limits.maxChannels) {
    throw new GatewayError('too_many_channels', {
      message: `This stream asks for ${channels.length} channels; the limit is ${limits.maxChannels}.`,
    })
  }
  return {
    channels,
    // A browser that reconnects by itself repeats the old URL: the header is newer, and what was fresh then is not any more.
    fresh: new Set(headerId === undefined ? (parameters.get(PARAMETERS.fresh) ?? []).flatMap(splitList) : []),
    lastEventId: headerId ?? first(PARAMETERS.lastEventId) ?? null,
    socketId: first(PARAMETERS.socketId),
    key: first(PARAMETERS.key),
    mode: modeOf(first(PARAMETERS.mode)),
    waitMs: 1000 * Math.min(numberOf(PARAMETERS.wait, first(PARAMETERS.wait), MAX_WAIT_S), MAX_WAIT_S),
    heartbeatMs: heartbeatOf(first(PARAMETERS.heartbeat), limits.heartbeatMs),
  }
}

/** Adds the query's parameters; each is decoded once. */
export function queryParameters(url: string): Map<string, string[]> {
  const start = url.indexOf('?')
  return formParameters(start === -1 ? '' : url.slice(start + 1))
}

export function formParameters(text: string): Map<string, string[]> {
  const parameters = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(text)) {
    // PHP and many libraries write repeated fields as channel[].
    add(parameters, name.replace(/\[\d*\]$/, ''), value)
  }
  return parameters
}

/** A JSON body: texts, numbers, or lists of texts under the same names. */
export function jsonParameters(body: unknown): Map<string, string[]> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new GatewayError('invalid_body', {
      message: 'The body must be a JSON object with the parameters of /stream.',
    })
  }
  const parameters = new Map<string, string[]>()
  for (const [name, value] of Object.entries(body)) {
    if (!KNOWN.has(name) || value === null) continue
    const isList = Array.isArray(value)
    for (const item of isList ? value : [value]) {
      if (typeof item !== 'string' && typeof item !== 'number') {
        throw new GatewayError('invalid_body', { message: `${name} must be a text, a number or a list of texts.` })
      }
      // In a list each item is one name, whatever it holds.
      add(parameters, isList && name === PARAMETERS.channels ? PARAMETERS.channel : name, String(item))
    }
    if (isList && name === PARAMETERS.channels && value.length === 0) add(parameters, PARAMETERS.channels, '')
  }
  return parameters
}

function add(parameters: Map<string, string[]>, name: string, value: string): void {
  const values = parameters.get(name)
  if (values === undefined) parameters.set(name, [value])
  else values.push(value)
}

function namesOf(parameters: Parameters): string[] {
  const listed = (parameters.get(PARAMETERS.channels) ?? []).flatMap(splitList)
  const single = (parameters.get(PARAMETERS.channel) ?? []).filter((name) => name !== '')
  return [...new Set([...listed, ...single])]
}

function splitList(list: string): string[] {
  return list.split(',').filter((name) => name !== '')
}

function modeOf(text: string | undefined): StreamMode {
  if (text === undefined || text === '' || text === 'stream') return 'stream'
  if (text === 'poll') return 'poll'
  throw new GatewayError('invalid_parameter', { message: 'mode must be stream or poll.' })
}

function heartbeatOf(text: string | undefined, heartbeatMs: number): number {
  const wanted = numberOf(PARAMETERS.heartbeat, text, heartbeatMs)
  return Math.min(Math.max(wanted, MIN_HEARTBEAT_MS), heartbeatMs)
}

function numberOf(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined || text === '') return fallback
  if (/^\d{1,9}(\.\d{1,3})?$/.test(text)) return Number(text)
  throw new GatewayError('invalid_parameter', { message: `${name} must be a number.` })
}
