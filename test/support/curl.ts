import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { createParser } from 'eventsource-parser'
import { comparePositions, type Position, parsePosition } from '../../src/history/position.ts'
import { atEndOfTest } from './at-end.ts'
import { pathOf } from './parts.ts'
import { PATIENCE_MS } from './patience.ts'
import type { SseFrame } from './sse-client.ts'

const run = promisify(execFile)

export type CurlOptions = {
  cookie?: string
  headers?: Record<string, string>
}

export type Posted = { readonly status: number; readonly body: string }

/** Runs `curl -d` with a body of JSON and resolves when it has ended. */
export async function curlPost(url: string, body: unknown, options: CurlOptions = {}): Promise<Posted> {
  const headers = fieldsOf({ ...options, headers: { 'Content-Type': 'application/json', ...options.headers } })
  const args = ['-sS', '-w', '\n%{http_code}', ...headers, '-d', JSON.stringify(body), url]
  const { stdout } = await run(pathOf('curl'), args)
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) }
}

/** Runs `curl -N` and resolves when the head of the answer is there. */
export async function curl(url: string, options: CurlOptions = {}): Promise<Curl> {
  const args = ['-sS', '-N', '-i', ...fieldsOf(options), url]
  const child = spawn(pathOf('curl'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  const reader = new Curl(child)
  await reader.head()
  return reader
}

function fieldsOf({ cookie, headers = {} }: CurlOptions): string[] {
  const fields = { ...headers, ...(cookie ? { Cookie: cookie } : {}) }
  return Object.entries(fields).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
}

/** A real curl and what it has printed. Plain ids must strictly increase here as on every connection of every test. */
export class Curl {
  /** Every frame that came, in order. */
  readonly frames: SseFrame[] = []
  /** What curl printed below the head. */
  body = ''
  /** Resolves with curl's exit code, null after a signal. */
  readonly exited: Promise<number | null>
  readonly #child: ChildProcess
  readonly #parser = createParser({ onEvent: (event) => this.#take(event) })
  #head = ''
  #errors = ''
  #isHeadComplete = false
  #hasExited = false
  #taken = 0
  #lastPlain: Position | null = null
  #breach: Error | null = null
  #wake = () => {}

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.exited = new Promise((resolve) => {
      child.once('close', (code) => {
        this.#hasExited = true
        this.#wake()
        resolve(code)
      })
    })
    atEndOfTest(async () => {
      await this.drop()
      if (this.#breach !== null) throw this.#breach
    })
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  get status(): number {
    return Number(/^HTTP\/\S+ (\d+)/.exec(this.#head)?.[1])
  }

  /** The cookie the answer sets, as the next request sends it. */
  get ownCookie(): string {
    return /^set-cookie: ([^;\r]+)/im.exec(this.#head)?.[1] ?? ''
  }

  /** The cursor for `Last-Event-ID`. */
  get lastEventId(): string {
    return this.frames.findLast(({ id }) => id !== undefined)?.id ?? ''
  }

  /** `[id, data]` of the broadcasts that came. */
  get broadcasts(): SseFrame[] {
    return this.frames.filter(({ event }) => event === 'message')
  }

  /** Resolves when curl has printed the head of the answer. */
  async head(): Promise<void> {
    while (!this.#isHeadComplete) await this.#more('the head of an answer', Date.now() + PATIENCE_MS)
  }

  /** The next frame; with a name, the next of that name: what stands before it is passed over. */
  async next(event?: string): Promise<SseFrame> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      if (this.#breach !== null) throw this.#breach
      const frame = this.frames[this.#taken]
      if (frame === undefined) await this.#more(`a frame ${event ?? ''}`, deadline)
      else {
        this.#taken += 1
        if (event === undefined || frame.event === event) return frame
      }
    }
  }

  /** The next frames of this name, so many of them. */
  async take(count: number, event: string): Promise<SseFrame[]> {
    const frames: SseFrame[] = []
    while (frames.length < count) frames.push(await this.next(event))
    return frames
  }

  /** Ctrl-C. */
  async drop(): Promise<void> {
    if (!this.#hasExited) this.#child.kill('SIGINT')
    await this.exited
  }

  #read(text: string): void {
    if (this.#isHeadComplete) this.#readBody(text)
    else {
      this.#head += text
      const end = this.#head.indexOf('\r\n\r\n')
      if (end === -1) return
      const rest = this.#head.slice(end + 4)
      this.#head = this.#head.slice(0, end)
      this.#isHeadComplete = true
      this.#readBody(rest)
    }
    this.#wake()
  }

  #readBody(text: string): void {
    this.body += text
    this.#parser.feed(text)
  }

  #take({ event = 'message', id, data }: { event?: string | undefined; id?: string | undefined; data: string }): void {
    this.frames.push({ event, id, data: JSON.parse(data), text: data })
    const position = id === undefined ? null : parsePosition(id)
    if (position === null) return
    if (this.#lastPlain !== null && comparePositions(position, this.#lastPlain) <= 0) {
      this.#breach ??= new Error(`Ids must increase on a connection:\n${this.body}`)
    }
    this.#lastPlain = position
  }

  async #more(wanted: string, deadline: number): Promise<void> {
    if (this.#hasExited) throw new Error(`curl ended before ${wanted}. ${this.#summary()}`)
    await new Promise<void>((resolve, reject) => {
      const impatience = setTimeout(
        () => reject(new Error(`Not within ${PATIENCE_MS} ms: ${wanted}. ${this.#summary()}`)),
        deadline - Date.now(),
      )
      this.#wake = () => {
        clearTimeout(impatience)
        resolve()
      }
    })
  }

  #summary(): string {
    return `It printed:\n${this.#head}\n${this.body}\n${this.#errors}`
  }
}
