/**
 * What bytes one server-sent event is. Nothing reaches a stream without passing here.
 * [spec] HTML Living Standard, section 9.2 "Server-sent events".
 */
export type FrameFields = {
  /** Event name; absent means EventSource's `message`. */
  readonly event?: string
  readonly id?: string
  /** Reconnection delay in ms for a client that leaves reconnecting to the browser. */
  readonly retry?: number
  /** May hold line breaks: each line becomes a `data:` line. */
  readonly data: string
}

const LINE_BREAK = /\r\n|\r|\n/
const FORBIDDEN = /[\r\n\0]/
const CRLF = '\r\n'

/** One frame, encoded once and shared by every stream that gets it. */
export class Frame {
  /** The bytes in the envelope of one HTTP/1.1 chunk. */
  readonly chunk: Buffer
  readonly #offset: number

  constructor(text: string) {
    const length = Buffer.byteLength(text)
    const head = length.toString(16) + CRLF
    // Memory of its own: in Node's shared pool one frame of the log would keep 8 KiB of others alive.
    this.chunk = Buffer.allocUnsafeSlow(head.length + length + CRLF.length)
    this.chunk.write(head + text + CRLF)
    this.#offset = head.length
  }

  /** The bytes without the envelope: HTTP/1.0, long-polls. */
  get bytes(): Buffer {
    return this.chunk.subarray(this.#offset, -CRLF.length)
  }
}

/** The text of a frame. Throws when `event` or `id` could break out of its line: that is our bug, never input. */
export function encodeFrame({ event, id, retry, data }: FrameFields): string {
  let text = ''
  if (retry !== undefined) text += `retry: ${Math.trunc(retry)}\n`
  if (id !== undefined) text += `id: ${checked('id', id)}\n`
  if (event !== undefined) text += `event: ${checked('event', event)}\n`
  return `${text}${dataLines(data)}\n`
}

function dataLines(data: string): string {
  if (!data.includes('\n') && !data.includes('\r')) return `data: ${data}\n`
  return data
    .split(LINE_BREAK)
    .map((line) => `data: ${line}\n`)
    .join('')
}

// [spec] An empty id resets the browser's cursor and a NUL voids the field, so neither may be sent.
function checked(field: 'id' | 'event', value: string): string {
  if (value === '' || FORBIDDEN.test(value))
    throw new TypeError(`The ${field} of a frame cannot be ${JSON.stringify(value)}.`)
  return value
}
