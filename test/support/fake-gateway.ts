import { vi } from 'vitest'
import type { ConnectedData } from '../../src/protocol.ts'
import { atEndOfTest } from './at-end.ts'

const PING_MS = 10_000

export type RequestKind = 'stream' | 'poll' | 'probe' | 'whisper' | 'leave'

/** Answers a request as a test wants; without a script nothing is answered. */
export type Script = (request: FakeRequest) => unknown

/** Stands where `fetch` and `EventSource` are: keeps every request, and answers by a script or by hand. */
export class FakeGateway {
  readonly requests: FakeRequest[] = []
  script: Script
  #marker = 0
  #socket = 0

  constructor(script: Script = () => {}) {
    this.script = script
    const take = (request: FakeRequest) => this.#take(request)
    vi.stubGlobal('fetch', (address: string, options: RequestInit) => new FakeFetch(this, address, options).sent(take))
    const gateway = this
    vi.stubGlobal(
      'EventSource',
      class extends FakeEventSource {
        constructor(address: string, options: EventSourceInit) {
          super(gateway, address, options)
          take(this.request)
        }
      },
    )
    atEndOfTest(() => vi.unstubAllGlobals())
  }

  /** As a browser without EventSource. */
  withoutEventSource(): this {
    vi.stubGlobal('EventSource', undefined)
    return this
  }

  of(kind: RequestKind): FakeRequest[] {
    return this.requests.filter((request) => request.kind === kind)
  }

  /** The newest request of a kind. */
  last(kind: RequestKind = 'stream'): FakeRequest {
    const request = this.of(kind).at(-1)
    if (request === undefined) throw new Error(`There was no ${kind}.`)
    return request
  }

  /** What is asked at this moment and not answered to its end. */
  get open(): FakeRequest[] {
    return this.requests.filter(({ isOpen }) => isOpen)
  }

  /** Lets time pass in which open streams get their pings. */
  async live(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= PING_MS) {
      await vi.advanceTimersByTimeAsync(Math.min(left, PING_MS))
      for (const request of this.open) if (request.isConnected && request.kind === 'stream') request.ping()
      await vi.advanceTimersByTimeAsync(0)
    }
  }

  nextPosition(): string {
    this.#marker += 1
    return `1.${this.#marker}.0`
  }

  nextSocketId(): string {
    this.#socket += 1
    return `7.${this.#socket}`
  }

  // In a later turn, as every network does.
  #take(request: FakeRequest): void {
    this.requests.push(request)
    queueMicrotask(() => this.script(request))
  }
}

/** The answer's side that the page reads. */
type Line = {
  /** Head and first bytes, at once. */
  write(text: string): void
  /** Another answer than a stream. */
  refuse(status: number, headers: Record<string, string>, body: string | null): void
  end(): void
  cut(): void
}

/** One request, and the gateway's side of it. */
export class FakeRequest {
  readonly at = Date.now()
  readonly via: 'fetch' | 'eventsource'
  readonly method: string
  readonly address: string
  readonly path: string
  readonly parameters: URLSearchParams
  readonly headers: Headers
  readonly body: string
  readonly cache: RequestCache | undefined
  readonly withCredentials: boolean
  readonly keepalive: boolean
  /** Neither answered to its end nor given up by the page. */
  isOpen = true
  /** Given up by the page. */
  isAborted = false
  readonly #gateway: FakeGateway
  readonly #line: Line
  #socketId = ''

  constructor(gateway: FakeGateway, line: Line, via: 'fetch' | 'eventsource', address: string, init: RequestInit) {
    const url = new URL(address)
    this.#gateway = gateway
    this.#line = line
    this.via = via
    this.method = init.method ?? 'GET'
    this.address = address
    this.path = url.pathname
    this.cache = init.cache
    this.headers = new Headers(init.headers)
    this.body = String(init.body ?? '')
    this.parameters = init.body instanceof URLSearchParams ? init.body : url.searchParams
    this.keepalive = init.keepalive === true
    this.withCredentials = init.credentials === 'include'
  }

  get kind(): RequestKind {
    if (this.path.endsWith('/whisper')) return 'whisper'
    if (this.path.endsWith('/leave')) return 'leave'
    if (this.parameters.get('mode') !== 'poll') return 'stream'
    return this.parameters.get('wait') === '0' && this.channels.length === 0 ? 'probe' : 'poll'
  }

  get channels(): string[] {
    return [...list(this.parameters.get('channels')), ...this.parameters.getAll('channel')]
  }

  get fresh(): string[] {
    return list(this.parameters.get('fresh'))
  }

  get cursor(): string | null {
    return this.parameters.get('lastEventId')
  }

  get socketId(): string | null {
    return this.parameters.get('socketId')
  }

  /** It was told `connected`. */
  get isConnected(): boolean {
    return this.#socketId !== ''
  }

  /** The first frame, and nothing else. */
  connect(data: Partial<ConnectedData> = {}, id = this.cursor || this.#gateway.nextPosition()): this {
    this.#socketId = data.socketId ?? this.socketId ?? this.#gateway.nextSocketId()
    const key = `key-of-${this.#socketId}`
    const resume = this.cursor === null ? 'fresh' : 'ok'
    const all = { protocol: 1, socketId: this.#socketId, key, heartbeatMs: 15_000, resume, time: Date.now(), ...data }
    return this.frame('connected', all, id)
  }

  /** The first frame, and all channels are granted. */
  welcome(data: Partial<ConnectedData> = {}): this {
    this.connect(data)
    for (const channel of this.channels) this.grant(channel)
    return this
  }

  grant(channel: string, more: Record<string, unknown> = {}): this {
    return this.frame('subscribed', { channel, ...more })
  }

  deny(channel: string, status: number, more: Record<string, unknown> = {}): this {
    return this.frame('denied', { channel, status, code: 'denied', message: 'No.', retry: false, ...more })
  }

  /** A broadcast with the next position, unless the test has one. */
  message(channel: string, data: unknown, id = this.#gateway.nextPosition()): this {
    return this.frame('', { channel, event: 'E', data }, id)
  }

  ping(id = ''): this {
    return this.frame('ping', { time: Date.now() }, id)
  }

  bye(reason: string, retryAfterMs: number): this {
    return this.frame('bye', { reason, retryAfterMs })
  }

  frame(event: string, data: unknown, id = ''): this {
    const head = `${id && `id: ${id}\n`}${event && `event: ${event}\n`}`
    return this.write(`${head}data: ${JSON.stringify(data)}\n\n`)
  }

  /** Anything. */
  write(text: string): this {
    this.#line.write(text)
    return this
  }

  /** The answer is complete. */
  end(): void {
    this.isOpen = false
    this.#line.end()
  }

  /** The line breaks. */
  cut(): void {
    this.isOpen = false
    this.#line.cut()
  }

  /** Anything but a stream of the gateway's. */
  answer(status: number, headers: Record<string, string>, body: string | null): void {
    this.isOpen = false
    this.#line.refuse(status, headers, body)
  }

  refuse(
    status: number,
    { headers = {}, message = 'No.' }: { headers?: Record<string, string>; message?: string } = {},
  ): void {
    const body = JSON.stringify({ error: { code: 'refused', message } })
    this.answer(status, { 'content-type': 'application/json', ...headers }, body)
  }

  /** A login page, a captive portal. */
  html(status = 200): void {
    this.answer(status, { 'content-type': 'text/html' }, '<p>Welcome to our hotel</p>')
  }

  /** Done, without a word. */
  accept(): void {
    this.answer(204, {}, null)
  }
}

class FakeFetch implements Line {
  readonly #request: FakeRequest
  readonly #signal: AbortSignal | null
  readonly #answer: Promise<Response>
  #resolve: (answer: Response) => void = () => {}
  #reject: (error: Error) => void = () => {}
  #body: ReadableStreamDefaultController<Uint8Array> | null = null

  constructor(gateway: FakeGateway, address: string, init: RequestInit) {
    this.#request = new FakeRequest(gateway, this, 'fetch', address, init)
    this.#answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#signal = init.signal ?? null
    this.#signal?.addEventListener('abort', () => {
      this.#request.isAborted = true
      this.cut(new DOMException('Aborted', 'AbortError'))
    })
  }

  sent(take: (request: FakeRequest) => void): Promise<Response> {
    take(this.#request)
    return this.#answer
  }

  write(text: string): void {
    if (this.#signal?.aborted) return
    this.#open().enqueue(new TextEncoder().encode(text))
  }

  refuse(status: number, headers: Record<string, string>, body: string | null): void {
    this.#resolve(new Response(body, { status, headers }))
  }

  end(): void {
    if (!this.#signal?.aborted) this.#open().close()
  }

  cut(error: Error = new TypeError('network error')): void {
    this.#request.isOpen = false
    this.#reject(error)
    this.#body?.error(error)
    this.#body = null
  }

  #open(): ReadableStreamDefaultController<Uint8Array> {
    if (this.#body !== null) return this.#body
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#body = controller
      },
    })
    this.#resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }))
    return this.#body as unknown as ReadableStreamDefaultController<Uint8Array>
  }
}

/** As browsers do: it says neither why nor, here, that it would come back. */
class FakeEventSource extends EventTarget implements Line {
  readonly request: FakeRequest
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null
  #lastEventId = ''
  #rest = ''

  constructor(gateway: FakeGateway, address: string, { withCredentials = false }: EventSourceInit = {}) {
    super()
    const init: RequestInit = withCredentials ? { credentials: 'include' } : {}
    this.request = new FakeRequest(gateway, this, 'eventsource', address, init)
  }

  close(): void {
    this.request.isOpen = false
    this.request.isAborted = true
  }

  write(text: string): void {
    if (!this.request.isOpen) return
    this.onopen?.()
    this.onopen = null
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) this.#dispatch(block)
  }

  refuse(): void {
    this.cut()
  }

  end(): void {
    this.cut()
  }

  cut(): void {
    this.request.isOpen = false
    this.onerror?.()
  }

  #dispatch(block: string): void {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    this.#lastEventId = field('id') ?? this.#lastEventId
    const init = { data: field('data') ?? '', lastEventId: this.#lastEventId }
    this.dispatchEvent(new MessageEvent(field('event') ?? 'message', init))
  }
}

function list(value: string | null): string[] {
  return value ? value.split(',') : []
}
