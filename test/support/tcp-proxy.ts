import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { atEndOfTest } from './at-end.ts'

/** What flows: from whoever connected to the proxy, or back to it. */
export type Direction = 'to-server' | 'to-client'

export type TcpProxy = {
  readonly port: number
  /** `redis://127.0.0.1:<port>` */
  readonly redisUrl: string
  /** Connections open at this moment. */
  readonly size: number
  /** Resets every connection and every new one, until `resume`. */
  cut(): void
  /**
   * Lets nothing more through in one direction, without a word, until `resume`; `which` chooses among the connections
   * that are open now by what they have sent so far. Without it, new ones are silent as well.
   */
  silence(direction: Direction, which?: (sent: string) => boolean): void
  /** What comes back on the connections that `which` chooses takes its time, until `resume`. */
  slow(bytesPerSecond: number, which: (sent: string) => boolean): void
  /** Everything passes again, what was held back first. */
  resume(): void
  close(): Promise<void>
}

type Pair = {
  readonly client: Socket
  readonly server: Socket
  sent: string
  /** What waits to go back slowly. */
  waiting: Buffer
  slowed: NodeJS.Timeout | null
}

const TICK_MS = 10

/** As much of what a client sends as `which` needs to know it by. */
const REMEMBERED_BYTES = 64 * 1024

/** A line between two programs that a test can cut or silence. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  const silent = new Set<Direction>()
  let isCut = false

  const server = createServer({ noDelay: true }, (client) => {
    client.on('error', () => {})
    if (isCut) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true })
    const pair: Pair = { client, server: upstream, sent: '', waiting: Buffer.alloc(0), slowed: null }
    pairs.add(pair)
    pass(pair, () => pairs.delete(pair))
    for (const direction of silent) source(pair, direction).pause()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const reset = () => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }
  const close = async () => {
    reset()
    if (server.listening) await once(server.close(), 'close')
  }
  atEndOfTest(close)
  return {
    port,
    redisUrl: `redis://127.0.0.1:${port}`,
    get size() {
      return pairs.size
    },
    cut: () => {
      isCut = true
      reset()
    },
    silence: (direction, which) => {
      if (which === undefined) silent.add(direction)
      for (const pair of pairs) if (which === undefined || which(pair.sent)) source(pair, direction).pause()
    },
    slow: (bytesPerSecond, which) => {
      for (const pair of pairs) if (which(pair.sent)) slowDown(pair, (bytesPerSecond * TICK_MS) / 1000)
    },
    resume: () => {
      isCut = false
      silent.clear()
      for (const pair of pairs) {
        if (pair.slowed !== null) clearInterval(pair.slowed)
        pair.slowed = null
        handBack(pair, pair.waiting.length)
        pair.client.resume()
        pair.server.resume()
      }
    },
    close,
  }
}

function source({ client, server }: Pair, direction: Direction): Socket {
  return direction === 'to-server' ? client : server
}

function pass(pair: Pair, onClosed: () => void): void {
  const { client, server } = pair
  server.on('error', () => {})
  client.on('data', (bytes) => {
    pair.sent = (pair.sent + bytes.toString('latin1')).slice(-REMEMBERED_BYTES)
    server.write(bytes)
  })
  server.on('data', (bytes) => {
    pair.waiting = Buffer.concat([pair.waiting, bytes])
    if (pair.slowed === null) handBack(pair, pair.waiting.length)
  })
  // Who leaves takes the other along, also when what comes from there is held back.
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.once('close', () => {
      other.destroy()
      if (pair.slowed !== null) clearInterval(pair.slowed)
      onClosed()
    })
  }
}

function slowDown(pair: Pair, bytesPerTick: number): void {
  pair.slowed ??= setInterval(() => handBack(pair, bytesPerTick), TICK_MS)
}

function handBack(pair: Pair, bytes: number): void {
  if (pair.waiting.length === 0) return
  pair.client.write(pair.waiting.subarray(0, bytes))
  pair.waiting = pair.waiting.subarray(bytes)
}
