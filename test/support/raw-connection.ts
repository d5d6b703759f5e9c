import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { atEndOfTest } from './at-end.ts'
import { PATIENCE_MS } from './patience.ts'

/** Connects to a gateway to say whatever the test wants, HTTP or not. */
export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const connection = new RawConnection(socket)
  await once(socket, 'connect')
  return connection
}

/** Sends these bytes and resolves with everything that comes back until the gateway closes. */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  const connection = await rawConnection(port)
  connection.write(bytes)
  await connection.closed
  return connection.text
}

/** A TCP connection as it is: one byte a character, and it ends only when the test or the gateway ends it. */
export class RawConnection {
  readonly socket: Socket
  text = ''
  /** Resolves when the gateway has closed its side, in order or not. */
  readonly closed: Promise<void>
  #wake = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.text += chunk
      this.#wake()
    })
    this.closed = new Promise((resolve) => {
      socket.once('end', resolve).once('close', () => resolve())
    })
    atEndOfTest(() => socket.destroy())
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes)
  }

  /** Resolves when this text has come. */
  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) await this.#more(text)
  }

  #more(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const impatience = setTimeout(
        () => reject(new Error(`No ${JSON.stringify(text)} within ${PATIENCE_MS} ms: ${this.text.slice(-1000)}`)),
        PATIENCE_MS,
      )
      this.#wake = () => {
        clearTimeout(impatience)
        resolve()
      }
    })
  }
}
