import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { createParser } from 'eventsource-parser'
import { comparePositions, type Position, parsePosition } from '../../src/history/position.ts'
import { atEndOfTest } from './at-end.ts'
import { PATIENCE_MS } from './patience.ts'

/** One frame as a page gets it. */
export type SseFrame = {
  /** The `event:` name; `message` for a broadcast. */
  readonly event: string
  readonly id: string | undefined
  /** What JSON.parse makes of `text`. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects; a guard per frame would say it twice.
  readonly data: any
  readonly text: string
}

export type StreamOptions = {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string
  /** For the tests of this reader alone: a breach is not counted against the test itself. */
  tolerateDisorder?: boolean
  /** Told of every frame as it comes. */
  onFrame?: (frame: SseFrame) => void
}

/** Opens a stream (or a poll) and resolves with the head of the answer, whatever its status. */
export async function openStream(url: string, options: StreamOptions = {}): Promise<SseClient> {
  const { method = 'GET', headers = {}, body } = options
  const outgoing = request(url, { method, headers, agent: false })
  outgoing.end(body)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  })
  return new SseClient(outgoing, response, options)
}

/**
 * A reader of one answer. It holds every connection of every test to the rule that plain ids strictly increase:
 * a breach fails whatever waits for the next frame, and the test in any case.
 */
export class SseClient {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Everything that came, in order. */
  readonly frames: SseFrame[] = []
  /** The last `retry:` field, in ms. */
  retryMs: number | null = null
  /** The raw text of the answer. */
  text = ''
  /** Resolves when the answer is over, completely (true) or broken off (false). */
  readonly ended: Promise<boolean>
  readonly #outgoing: ClientRequest
  readonly #onFrame: ((frame: SseFrame) => void) | undefined
  #taken = 0
  #lastPlain: Position | null = null
  #breach: Error | null = null
  #isOver = false
  #wake = () => {}

  constructor(
    outgoing: ClientRequest,
    response: IncomingMessage,
    { tolerateDisorder = false, onFrame }: Pick<StreamOptions, 'tolerateDisorder' | 'onFrame'> = {},
  ) {
    this.#outgoing = outgoing
    this.#onFrame = onFrame
    this.status = response.statusCode ?? 0
    this.headers = response.headers
    const parser = createParser({
      onEvent: ({ event = 'message', id, data }) => this.#take({ event, id, data: parse(data), text: data }),
      onRetry: (retryMs) => {
        this.retryMs = retryMs
      },
    })
    response.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
      parser.feed(chunk)
    })
    outgoing.on('error', () => {})
    response.on('error', () => {})
    this.ended = new Promise((resolve) => {
      response.once('close', () => {
        this.#isOver = true
        this.#wake()
        resolve(response.complete)
      })
    })
    atEndOfTest(() => {
      this.close()
      if (this.#breach !== null && !tolerateDisorder) throw this.#breach
    })
  }

  /** The cursor a page has by now. */
  get lastEventId(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id
  }

  /** The next frame; with a name, the next frame of that name: what stands before it is passed over. */
  async next(event?: string): Promise<SseFrame> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      if (this.#breach !== null) throw this.#breach
      const frame = this.frames[this.#taken]
      if (frame !== undefined) this.#taken += 1
      if (frame !== undefined && (event === undefined || frame.event === event)) return frame
      if (frame === undefined) await this.#more(event, deadline)
    }
  }

  /** The next frames, so many of them. */
  async take(count: number, event?: string): Promise<SseFrame[]> {
    const frames: SseFrame[] = []
    while (frames.length < count) frames.push(await this.next(event))
    return frames
  }

  /** Frames that came and were not taken. */
  get untaken(): readonly SseFrame[] {
    return this.frames.slice(this.#taken)
  }

  /** Leaves, as a page that is closed. */
  close(): void {
    this.#outgoing.destroy()
  }

  #take(frame: SseFrame): void {
    this.frames.push(frame)
    const position = frame.id === undefined ? null : parsePosition(frame.id)
    if (position !== null) {
      if (this.#lastPlain !== null && comparePositions(position, this.#lastPlain) <= 0) {
        const ids = this.frames.flatMap(({ id }) => id ?? [])
        this.#breach = new Error(`Ids must increase on a connection: ${ids.slice(-5).join(', ')}`)
      }
      this.#lastPlain = position
    }
    this.#onFrame?.(frame)
    this.#wake()
  }

  async #more(event: string | undefined, deadline: number): Promise<void> {
    const wanted = `${event ?? 'a'} frame`
    if (this.#isOver) throw new Error(`The answer ended without another ${wanted}. It was: ${this.#summary()}`)
    await new Promise<void>((resolve, reject) => {
      const impatience = setTimeout(
        () => reject(new Error(`No ${wanted} within ${PATIENCE_MS} ms. What came: ${this.#summary()}`)),
        deadline - Date.now(),
      )
      this.#wake = () => {
        clearTimeout(impatience)
        resolve()
      }
    })
  }

  #summary(): string {
    return `${this.status} ${this.text.slice(-2000)}`
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
