import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeCertificates } from './certificates.ts'
import { type Child, freePort, startChild, startOnFreePort, untilReady } from './child.ts'
import { pathOf } from './parts.ts'

const run = promisify(execFile)

export type RedisOptions = {
  /** Default: a free one. */
  port?: number
  /** Further arguments of redis-server, `['--maxmemory', '1mb']`. */
  args?: string[]
  /** Users, in the format of Redis's aclfile. */
  aclFile?: string
  /** Listen for TLS as well, with a certificate made for this server. */
  tls?: boolean
}

export type RedisServer = {
  port: number
  /** `redis://127.0.0.1:<port>` */
  url: string
  /** `unix://` plus the path of the socket it listens on as well. */
  socketUrl: string
  socketPath: string
  /** `rediss://…` and the certificate that signed it, with `tls`. */
  tls?: { url: string; port: number; ca: string; caFile: string }
  /** The process id at this moment; another one after a restart. */
  readonly pid: number
  /** Ends the server, by SIGTERM unless told otherwise, and forgets its data. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts again on the same port after stop(). */
  start(): Promise<void>
  restart(signal?: NodeJS.Signals): Promise<void>
  /** Runs redis-cli against it and resolves with what it printed. */
  cli(...args: string[]): Promise<string>
  /** stop() and removal of its temporary files. */
  close(): Promise<void>
}

/** Starts a real redis-server on 127.0.0.1 that keeps nothing on disk. Resolves when it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const dir = mkdtempSync(join(tmpdir(), 'redis-'))
  const socketPath = join(dir, 'redis.sock')
  const args = ['--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no', '--unixsocket', socketPath]
  if (options.aclFile !== undefined) args.push('--aclfile', options.aclFile)
  const tls = options.tls ? await tlsArguments(dir, args) : undefined
  args.push(...(options.args ?? []))

  const launch = (port: number) => startChild(pathOf('redis'), ['--port', String(port), ...args])
  let child: Child
  let port: number
  if (options.port === undefined) {
    ;({ child, port } = await startOnFreePort(launch, answersPing))
  } else {
    port = options.port
    child = await launch(port)
    await untilReady(child, () => answersPing(port))
  }

  const start = async () => {
    child = await launch(port)
    await untilReady(child, () => answersPing(port))
  }
  const stop = (signal?: NodeJS.Signals) => child.stop(signal)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    socketUrl: `unix://${socketPath}`,
    socketPath,
    ...(tls ? { tls } : {}),
    get pid() {
      return child.pid
    },
    stop,
    start,
    restart: async (signal) => {
      await stop(signal)
      await start()
    },
    cli: cliOf(port),
    close: async () => {
      await stop('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Runs redis-cli against what listens on this port and resolves with what it printed. */
export function cliOf(port: number): RedisServer['cli'] {
  return async (...command) => (await run('redis-cli', ['-p', String(port), ...command])).stdout.trimEnd()
}

async function tlsArguments(dir: string, args: string[]): Promise<NonNullable<RedisServer['tls']>> {
  const { caFile, certFile, keyFile } = await makeCertificates(dir)
  const port = await freePort()
  args.push('--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile)
  args.push('--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no')
  return { url: `rediss://127.0.0.1:${port}`, port, ca: readFileSync(caFile, 'utf8'), caFile }
}

/** NOAUTH is an answer too: a server whose default user is off is ready. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'))
    socket.once('data', (reply) => {
      socket.destroy()
      resolve(/^(\+PONG|-NOAUTH)/.test(reply.toString()))
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}
