import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Frame } from './frame.ts'
import { Batch, type Outlet } from './outlet.ts'

const LAST_CHUNK = '0\r\n\r\n'

/**
 * One open `text/event-stream` response. Frames go straight to the socket: they bring their HTTP/1.1 chunk envelope
 * along, built once for all streams, so a write costs one system call and no work per client.
 */
export class EventStream implements Outlet {
  readonly #socket: Socket
  readonly #isChunked: boolean
  #isEnded = false

  private constructor(socket: Socket, isChunked: boolean) {
    this.#socket = socket
    this.#isChunked = isChunked
  }

  /** Sends the head and the first frame in one piece. */
  static open(
    response: ServerResponse,
    headers: Record<string, string | number | string[]>,
    first: Frame,
  ): EventStream | null {
    const { socket } = response
    if (socket === null || socket.destroyed) return null
    socket.setNoDelay(true)
    // An HTTP/1.0 client (nginx without proxy_http_version 1.1) knows no chunks: its response ends with the connection.
    const isChunked = response.req.httpVersion !== '1.0'
    const stream = new EventStream(socket, isChunked)
    socket.cork()
    response.writeHead(200, headers)
    response.flushHeaders()
    stream.write([first])
    socket.uncork()
    return stream
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  get isOpen(): boolean {
    return !this.#isEnded && !this.#socket.destroyed
  }

  write(frames: readonly Frame[]): void {
    this.writeBatch(new Batch(frames))
  }

  writeBatch(batch: Batch): void {
    // No look at `destroyed`, which costs as much as all else here: a destroyed socket ignores what it is given.
    if (this.#isEnded) return
    this.#socket.write(this.#isChunked ? batch.chunk : Buffer.concat(batch.frames.map((frame) => frame.bytes)))
  }

  onceDrained(callback: () => void): void {
    // A closed socket may still count unsent bytes. To call back then would have the caller look, wait and be called again.
    if (!this.isOpen) return
    if (this.#socket.writableNeedDrain) this.#socket.once('drain', callback)
    else callback()
  }

  end(last?: Frame): void {
    if (!this.isOpen) return
    if (last !== undefined) this.write([last])
    this.#isEnded = true
    this.#socket.end(this.#isChunked ? LAST_CHUNK : '')
    // That closes our side. A client that has stopped reading, or never closes its own, would keep the socket for ever.
    const socket = this.#socket
    const grace = setTimeout(() => socket.destroy(), GRACE_MS).unref()
    socket.once('close', () => clearTimeout(grace))
  }
}

/** How long the other side may take to read the rest and to hang up. */
const GRACE_MS = 5000
