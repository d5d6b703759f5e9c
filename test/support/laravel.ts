import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, startChild, startOnFreePort, untilReady } from './child.ts'
import { pathOf } from './parts.ts'
import { Visitor } from './visitor.ts'

const APPLICATIONS = join(import.meta.dirname, '../e2e')

export type LaravelOptions = {
  app: 'laravel-12' | 'laravel-8'
  redisClient: 'predis' | 'phpredis'
  redisPort: number
  /** Lines of the application's `.env`; they win over its `.env.example`. */
  env?: Record<string, string>
  /** How many requests PHP serves at once. Default 4. */
  workers?: number
}

/** The event classes of test/e2e/laravel-common/app/Events, as /broadcast/{event} names them. */
export type LaravelEvent = 'order-shipped' | 'order-paid' | 'stock-changed' | 'price-listed' | 'announced'

export type BroadcastOptions = {
  /** Number of the first message; order-paid and stock-changed also take it as the channel's number. Default 1. */
  id?: number
  /** How many messages, numbered upwards. Default 1. */
  count?: number
  /** Sent as X-Socket-ID together with toOthers(). */
  socketId?: string
  /** `announced` only: the whole channel name. Default `news`. */
  channel?: string
  /** `announced` only. */
  text?: string
}

export type Laravel = {
  url: string
  port: number
  /** The running application with its `.env`, for `--laravel`. */
  dir: string
  /** Logs in as this user and keeps the cookies, as a browser would. Every number above 0 is a user. */
  login(userId: number): Promise<Visitor>
  /** A browser without cookies. */
  visit(): Visitor
  /** Lets Laravel broadcast; resolves when it has. */
  broadcast(event: LaravelEvent, options?: BroadcastOptions): Promise<void>
  /** Sends the notification InvoicePaid, which goes to `private-App.Models.User.<userId>`. */
  notify(userId: number, invoiceId?: number): Promise<void>
  /** Lets the model Post say that it is deleted, on `private-App.Models.Post.<id>`. */
  deletePost(id: number): Promise<void>
  /** Lets Laravel take all guarded channels from a user, by a message of its own to the gateways. */
  revoke(userId: number): Promise<void>
  /** Further lines of its `.env`, which PHP reads at every request. */
  set(env: Record<string, string>): void
  /** Resolves when Laravel is busy with an auth call for `private-held.<name>`, which it answers after release(). */
  whenHeld(name: string): Promise<void>
  /** Lets the auth calls for `private-held.<name>` go on; they are granted. */
  release(name: string): void
  /** What PHP and Laravel logged. */
  log(): string
  /** Kills PHP, as a crash would. The application, its sessions and its port stay. */
  crash(): Promise<void>
  /** Starts PHP again after crash(). */
  restart(): Promise<void>
  /** Ends PHP and removes the copy of the application. */
  stop(): Promise<void>
}

/** Runs a real Laravel application, which is laravel-common/ and the folder of its version put together, under PHP's own server. */
export async function startLaravel(options: LaravelOptions): Promise<Laravel> {
  const dir = copyApplication(options.app)
  const isReady = (port: number) => answers(`http://127.0.0.1:${port}/`)
  const { child: first, port } = await startOnFreePort((port) => {
    writeEnvironment(dir, { ...options, port })
    return startPhp(dir, port, options.workers)
  }, isReady)

  let child = first
  const url = `http://127.0.0.1:${port}`
  const visit = () => new Visitor(url)
  return {
    url,
    port,
    dir,
    visit,
    login: async (userId) => {
      const visitor = visit()
      await succeed(visitor.fetch(`/login/${userId}`))
      return visitor
    },
    broadcast: async (event, { socketId, ...parameters } = {}) => {
      const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))
      const path = socketId === undefined ? `/broadcast/${event}` : `/broadcast/${event}/others`
      const headers: Record<string, string> = socketId === undefined ? {} : { 'x-socket-id': socketId }
      await succeed(visit().fetch(`${path}?${query}`, { headers }))
    },
    notify: async (userId, invoiceId = 1) => {
      await succeed(visit().fetch(`/notify/${userId}?id=${invoiceId}`))
    },
    deletePost: async (id) => {
      await succeed(visit().fetch(`/delete-post/${id}`))
    },
    revoke: async (userId) => {
      await succeed(visit().fetch(`/revoke/${userId}`))
    },
    set: (env) => appendFileSync(join(dir, '.env'), envLines(env)),
    whenHeld: (name) => untilReady(child, async () => existsSync(join(dir, 'storage', `held-${name}`))),
    release: (name) => writeFileSync(join(dir, 'storage', `released-${name}`), ''),
    log: () => child.log(),
    crash: () => child.stop('SIGKILL'),
    restart: async () => {
      child = await startPhp(dir, port, options.workers)
      await untilReady(child, () => isReady(port))
    },
    stop: async () => {
      // The only signal at which PHP's server waits for its workers.
      await child.stop('SIGINT')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

function startPhp(dir: string, port: number, workers = 4): Promise<Child> {
  // The least helpful php.ini: what PHP complains about (Laravel 8 is older than PHP 8.2) must not get into answers.
  const complaints = ['-d', 'display_errors=1', '-d', 'error_reporting=-1']
  const args = [...complaints, '-S', `127.0.0.1:${port}`, '-t', 'public', 'public/index.php']
  // Nothing of the machine's environment: a real variable would win over `.env`.
  const env = { PATH: process.env.PATH, PHP_CLI_SERVER_WORKERS: String(workers) }
  return startChild(pathOf('php'), args, { cwd: dir, env })
}

/** A copy, so that several can run at once, each with its own `.env`, sessions and caches. */
function copyApplication(app: LaravelOptions['app']): string {
  const dir = mkdtempSync(join(tmpdir(), `${app}-`))
  cpSync(join(APPLICATIONS, 'laravel-common'), dir, { recursive: true })
  const source = join(APPLICATIONS, app)
  const vendor = join(source, 'vendor')
  cpSync(source, dir, { recursive: true, filter: (path) => path !== vendor })
  if (existsSync(vendor)) symlinkSync(vendor, join(dir, 'vendor'))
  for (const folder of ['sessions', 'views', 'cache']) {
    mkdirSync(join(dir, 'storage/framework', folder), { recursive: true })
  }
  mkdirSync(join(dir, 'bootstrap/cache'))
  return dir
}

function writeEnvironment(dir: string, options: LaravelOptions & { port: number }): void {
  const values: Record<string, string> = {
    APP_KEY: `base64:${randomBytes(32).toString('base64')}`,
    APP_URL: `http://127.0.0.1:${options.port}`,
    REDIS_CLIENT: options.redisClient,
    REDIS_PORT: String(options.redisPort),
    ...options.env,
  }
  const defaults = readFileSync(join(dir, '.env.example'), 'utf8')
    .split('\n')
    .filter((line) => !((line.split('=')[0] as string) in values))
  writeFileSync(join(dir, '.env'), [...defaults, envLines(values)].join('\n'))
}

function envLines(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${/[\s#]/.test(value) ? `"${value}"` : value}\n`)
    .join('')
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).status < 500
  } catch {
    return false
  }
}

async function succeed(answer: Promise<Response>): Promise<void> {
  const response = await answer
  const text = await response.text()
  if (response.status !== 200) throw new Error(`Laravel answered ${response.status} to ${response.url}: ${text}`)
}
