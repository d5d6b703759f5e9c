import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

export type WatchedRequest = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** How many with the same User-Agent waited for an answer when it came, this one included. */
  readonly inFlight: number
}

/** Passes every request on to a real server and remembers what was asked. */
export type Watched = {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly requests: readonly WatchedRequest[]
  close(): Promise<void>
}

/** Stands in front of `target`, `http://127.0.0.1:<port>`. */
export async function watch(target: string): Promise<Watched> {
  const requests: WatchedRequest[] = []
  const waiting: (string | undefined)[] = []
  const server = createServer((incoming, reply) => {
    const { method = 'GET', url = '/', headers } = incoming
    const agent = headers['user-agent']
    waiting.push(agent)
    requests.push({ method, path: url, headers, inFlight: waiting.filter((other) => other === agent).length })
    const outgoing = request(new URL(url, target), { method, headers, agent: false }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers)
      pipeline(answer, reply, () => {})
    })
    outgoing.on('error', () => reply.destroy())
    reply.once('close', () => {
      waiting.splice(waiting.indexOf(agent), 1)
      outgoing.destroy()
    })
    incoming.pipe(outgoing)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
