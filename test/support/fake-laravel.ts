import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/**
 * An auth route that answers what a test tells it to, over real HTTP. For faults and odd answers only:
 * how Laravel itself answers is tested with Laravel.
 */

export type FakeReply = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array
  /** Break the connection instead of answering. */
  readonly reset?: 'before-head' | 'in-body'
  /** Go silent for good instead of answering. */
  readonly stall?: 'before-head' | 'in-body'
}

export type FakeRequest = {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly channel: string
  readonly socketId: string
}

export type FakeScript = FakeReply | ((request: FakeRequest) => FakeReply | Promise<FakeReply>)

/** What the redis driver sends for a grant, a presence grant, and a refusal. */
export const GRANT: FakeReply = { headers: { 'content-type': 'text/html; charset=UTF-8' }, body: 'true' }
export const REFUSAL: FakeReply = {
  status: 403,
  headers: { 'content-type': 'application/json' },
  body: '{"message":""}',
}
export function presenceGrant(userId: unknown, userInfo: unknown): FakeReply {
  return { ...GRANT, body: JSON.stringify({ channel_data: { user_id: userId, user_info: userInfo } }) }
}

export class FakeLaravel {
  readonly requests: FakeRequest[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #scheme: string
  #script: FakeScript
  #held: Promise<void> = Promise.resolve()
  #waiters: { count: number; resolve: () => void }[] = []

  private constructor(script: FakeScript, server: (listener: RequestListener) => Server, scheme: string) {
    this.#script = script
    this.#scheme = scheme
    this.#server = server((request, response) => this.#answer(request, response).catch(() => response.destroy()))
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(
    script: FakeScript = GRANT,
    server: (listener: RequestListener) => Server = createServer,
    scheme = 'http',
  ): Promise<FakeLaravel> {
    const laravel = new FakeLaravel(script, server, scheme)
    laravel.#server.listen(0, '127.0.0.1')
    await once(laravel.#server, 'listening')
    return laravel
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get url(): string {
    return `${this.#scheme}://${this.host}`
  }

  /** What to answer from now on. */
  answers(script: FakeScript): void {
    this.#script = script
  }

  /** Takes requests but answers none until the returned function is called. */
  hold(): () => void {
    let release = () => {}
    this.#held = new Promise((resolve) => {
      release = resolve
    })
    return release
  }

  /** Resolves when this many requests have arrived in all. */
  async untilRequests(count: number): Promise<void> {
    if (this.requests.length >= count) return
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }))
  }

  /** Resolves when every caller has hung up. */
  async untilNobodyIsConnected(): Promise<void> {
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = await record(request)
    this.requests.push(recorded)
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.requests.length >= count) resolve()
      return this.requests.length < count
    })
    await this.#held
    send(response, typeof this.#script === 'function' ? await this.#script(recorded) : this.#script)
  }
}

async function record(request: IncomingMessage): Promise<FakeRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString()
  const form = new URLSearchParams(body)
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    rawHeaders: request.rawHeaders,
    headers: request.headers,
    body,
    channel: form.get('channel_name') ?? '',
    socketId: form.get('socket_id') ?? '',
  }
}

function send(response: ServerResponse, { status = 200, headers = {}, body = '', reset, stall }: FakeReply): void {
  if (stall === 'before-head') return
  if (reset === 'before-head') {
    response.socket?.resetAndDestroy()
    return
  }
  if (stall === undefined && reset === undefined) {
    response.writeHead(status, headers).end(body)
    return
  }
  response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body) + 100) })
  response.write(body, () => {
    if (reset === 'in-body') response.socket?.resetAndDestroy()
  })
}
