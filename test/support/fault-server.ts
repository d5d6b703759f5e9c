import { once } from 'node:events'
import { createServer, type IncomingMessage, request as open, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEndOfTest } from './at-end.ts'
import { pageFiles } from './page-files.ts'

/** A request to the gateway, as the server before it saw it. */
export type SeenRequest = {
  readonly at: number
  readonly method: string
  /** Below `/sse`. */
  readonly path: string
  /** Of the address and of a form. */
  readonly parameters: URLSearchParams
  /** When its connection was closed or its answer complete; null before that. */
  closedAt: number | null
}

/** What happens to a request. `pass` hands it on to the gateway, and what comes back through `change`. */
export type Fault = (response: ServerResponse, pass: (change?: Change) => void, seen: SeenRequest) => void

/** Takes a piece of the answer's body and says what the page gets of it; without a text, when the answer ends. */
export type Change = (response: ServerResponse, text: string | null) => void

/** The site of page-files.ts, with a gateway at `/sse/` that a test can put faults before. */
export class FaultServer {
  readonly requests: SeenRequest[] = []
  /** What happens to requests for streams from now on; null when they pass. */
  fault: Fault | null = null
  /** The gateway. */
  target: string
  readonly #files = pageFiles()
  readonly #server: Server
  #waiting: (() => void)[] = []

  /** `target` is `http://127.0.0.1:<port>`. */
  static async start(target: string): Promise<FaultServer> {
    const server = new FaultServer(target)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    atEndOfTest(() => server.#close())
    return server
  }

  private constructor(target: string) {
    this.target = target
    this.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '/', this.target)
      if (pathname.startsWith('/sse/')) this.#take(request, response).catch(() => response.destroy())
      else this.#serve(pathname, response)
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Requests for streams and polls, without the engine's questions whether the gateway is well. */
  get streams(): SeenRequest[] {
    return this.requests.filter(({ path, parameters }) => path === '/stream' && parameters.get('channels') !== '')
  }

  /** Streams that are open at this moment. */
  get open(): SeenRequest[] {
    return this.streams.filter(({ closedAt }) => closedAt === null)
  }

  /** Resolves when this is so, after whatever happens here. */
  async until(isSo: (server: FaultServer) => boolean): Promise<void> {
    while (!isSo(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Every connection breaks, without a word. */
  cut(): void {
    this.#server.closeAllConnections()
  }

  #serve(pathname: string, response: ServerResponse): void {
    const file = this.#files[pathname]
    response.writeHead(file ? 200 : 404, { 'content-type': file?.type ?? 'text/plain' }).end(file?.text)
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = Date.now()
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { pathname, searchParams } = new URL(request.url ?? '/', this.target)
    const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')
    const parameters = isForm ? new URLSearchParams(body.toString()) : searchParams
    const seen: SeenRequest = { at, method: request.method ?? '', path: pathname.slice(4), parameters, closedAt: null }
    this.requests.push(seen)
    response.once('close', () => {
      seen.closedAt = Date.now()
      this.#wake()
    })
    const pass = (change?: Change) => this.#pass(request, body, response, change)
    if (this.fault !== null && seen.path === '/stream') this.fault(response, pass, seen)
    else pass()
    this.#wake()
  }

  #pass(request: IncomingMessage, body: Buffer, response: ServerResponse, change: Change = asItIs): void {
    const { method, headers, url = '' } = request
    const target = new URL(url.slice('/sse'.length), this.target)
    const outgoing = open(target, { method, headers, agent: false }, (answer) => {
      // Its length is that of what comes through.
      const { 'content-length': length, ...rest } = answer.headers
      response.writeHead(answer.statusCode ?? 502, {
        ...rest,
        ...(change === asItIs && length && { 'content-length': length }),
      })
      response.flushHeaders()
      answer.setEncoding('utf8')
      const hand = (text: string | null) => response.writableEnded || change(response, text)
      answer.on('data', hand)
      answer.once('end', () => hand(null))
      answer.once('error', () => response.destroy())
    })
    outgoing.once('error', () => response.destroy())
    response.once('close', () => outgoing.destroy())
    outgoing.end(body)
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

const asItIs: Change = (response, text) => void (text === null ? response.end() : response.write(text))

/** The same answer to everything. */
export function answers(status: number, headers: Record<string, string> = {}, body = ''): Fault {
  return (response) => response.writeHead(status, headers).end(body)
}

/** An answer that is a stream and ends at once. */
export function endsAtOnce(body: string): Fault {
  return answers(200, { 'content-type': 'text/event-stream' }, body)
}

/** Breaks the connection in the middle of this text. */
export function cutsWithin(words: string): Fault {
  return (_, pass) => {
    let text = ''
    pass((response, piece) => {
      const at = (text + piece).indexOf(words)
      if (at === -1) response.write(piece ?? '')
      else response.write((piece ?? '').slice(0, at + words.length / 2 - text.length), () => response.destroy())
      text += piece
    })
  }
}

/** Ends the answer after its first frame, and says in the way of EventSource to come back at once. */
export function endsAfterConnected(): Fault {
  return (_, pass) =>
    pass((response, text) => {
      response.write('retry: 0\n\n')
      response.end(text?.slice(0, text.indexOf('\n\n') + 2))
    })
}

/** The head at once, and nothing else before the answer is complete. */
export function holdsBody(): Fault {
  return (_, pass) => {
    let text = ''
    pass((response, piece) => {
      if (piece === null) response.end(text)
      else text += piece
    })
  }
}

/** Everything takes so long to be answered. */
export function slow(delayMs: number): Fault {
  return (_, pass) => void setTimeout(pass, delayMs)
}
