import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { EventStream } from '../../src/sse/event-stream.ts'
import { Frame } from '../../src/sse/frame.ts'

export const HELLO = new Frame('data: hello\n\n')

/** A real HTTP server that opens an event stream for each request. */
export class StreamServer {
  readonly #server = createServer((_request, response) => this.#onRequest(response))
  readonly #sockets: Socket[] = []
  readonly #opened: [EventStream, ServerResponse][] = []
  #onOpened: () => void = () => {}

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** Sends a request by hand; resolves when its stream is open. */
  async request(head: string): Promise<{ stream: EventStream; response: ServerResponse; reader: RawReader }> {
    const { port } = this.#server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    this.#sockets.push(socket)
    const reader = new RawReader(socket)
    const opened = new Promise<void>((resolve) => {
      this.#onOpened = resolve
    })
    socket.write(head)
    await opened
    const [stream, response] = this.#opened.at(-1) as [EventStream, ServerResponse]
    return { stream, response, reader }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #onRequest(response: ServerResponse): void {
    const stream = EventStream.open(response, { 'Content-Type': 'text/event-stream' }, HELLO)
    if (stream === null) throw new Error('The socket was gone already.')
    this.#opened.push([stream, response])
    this.#onOpened()
  }
}

/** Keeps what arrives; a test waits for what it expects. */
export class RawReader {
  readonly socket: Socket
  text = ''

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (piece: string) => {
      this.text += piece
    })
    socket.on('error', () => {})
  }

  async until(part: string): Promise<string> {
    while (!this.text.includes(part)) await once(this.socket, 'data')
    return this.text
  }

  /** Resolves with everything once the other side has ended. */
  async end(): Promise<string> {
    if (!this.socket.readableEnded) await once(this.socket, 'end')
    return this.text
  }
}
