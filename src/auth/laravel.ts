import { Agent, type Dispatcher, request } from 'undici'
import type { Channel } from '../channels/channel.ts'
import { AuthQueue } from './auth-queue.ts'
import type { Authorizer, AuthorizerSession, Credentials } from './authorizer.ts'
import { deny } from './denial.ts'
import { DenialLimit } from './denial-limit.ts'
import { authAddress, type LaravelAddress } from './laravel-address.ts'
import { type Answer, type DecisionReason, type Failure, type Judgement, judge } from './laravel-answer.ts'
import { hasCredentials, laravelHeaders } from './laravel-headers.ts'
import { type DecisionEvent, LaravelSession, type Wait, waitFor } from './laravel-session.ts'

export type LaravelCallOptions = LaravelAddress & {
  /** For a whole call, from connecting to the last byte. Default 10000. */
  readonly timeoutMs?: number
  /** A longer answer is none. Default 65536. */
  readonly maxBodyBytes?: number
  /** Calls in flight. Default 16. */
  readonly concurrency?: number
}

export type LaravelOptions = LaravelCallOptions & {
  /** Calls in flight for one request of a page. Default 4. */
  readonly perRequest?: number
  /** Calls per question, when Laravel cannot answer for the moment. Default 3. */
  readonly tries?: number
  /** Denials a minute after which an address is answered here. Default 300. */
  readonly maxDenialsPerMinute?: number
  /** Ask also for callers without cookie and Authorization. Default false. */
  readonly anonymous?: boolean
}

export type LaravelHooks = {
  /** Once per question that was decided. */
  readonly onDecision?: (event: DecisionEvent) => void
  /** Once per call that reached its end. */
  readonly onCall?: (call: { readonly reason: DecisionReason; readonly durationMs: number }) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Waits between tries. */
  readonly wait?: Wait
}

/** Asks Laravel's own auth route about every guarded channel, with the caller's own credentials. */
export class LaravelAuthorizer implements Authorizer {
  readonly #laravel: LaravelConnection
  readonly #queue: AuthQueue
  readonly #denials: DenialLimit
  readonly #tries: number
  readonly #anonymous: boolean
  readonly #hooks: LaravelHooks
  readonly #now: () => number
  readonly #sessions = new Set<AuthorizerSession>()
  #stopped = false

  constructor(options: LaravelOptions, hooks: LaravelHooks = {}) {
    const { concurrency = 16, perRequest = 4, tries = 3, maxDenialsPerMinute = 300, anonymous = false } = options
    this.#hooks = hooks
    this.#now = hooks.now ?? Date.now
    this.#laravel = new LaravelConnection(options)
    this.#queue = new AuthQueue({ concurrency, perLane: perRequest })
    this.#denials = new DenialLimit({ maxPerMinute: maxDenialsPerMinute, now: this.#now })
    this.#tries = tries
    this.#anonymous = anonymous
  }

  /** Calls to Laravel that have not ended yet, those whose caller has left included. */
  get inFlight(): number {
    return this.#queue.inFlight
  }

  open(credentials: Credentials, socketId: string): AuthorizerSession {
    const { address } = credentials
    const session = new LaravelSession({
      lane: this.#queue.lane(),
      tries: this.#tries,
      decideHere: (channel) => this.#decideHere(channel, credentials),
      ask: (channel) => this.#ask(channel, credentials, socketId),
      onDecision: (event) => this.#hooks.onDecision?.({ ...event, socketId, address }),
      onClose: (closed) => this.#sessions.delete(closed),
      wait: this.#hooks.wait ?? waitFor,
    })
    this.#sessions.add(session)
    if (this.#stopped) session.close()
    return session
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const session of this.#sessions) session.close()
    await this.#laravel.close()
  }

  #decideHere({ kind }: Channel, credentials: Credentials): Judgement | null {
    // Laravel says yes to names it does not take for guarded (`RedisBroadcaster::auth`), so it is never asked about one.
    if (kind === 'public') return { decision: deny('internal'), reason: 'internal' }
    const retryAfterMs = this.#denials.waitMs(credentials.address)
    if (retryAfterMs > 0) return { decision: deny('too_many_denials', { retryAfterMs }), reason: 'too_many_denials' }
    if (this.#anonymous || hasCredentials(credentials)) return null
    return { decision: deny('unauthenticated', { message: NO_CREDENTIALS }), reason: 'no_credentials' }
  }

  async #ask(channel: Channel, credentials: Credentials, socketId: string): Promise<Judgement> {
    const startedAt = performance.now()
    const reply = await this.#laravel.ask(channel, credentials, socketId)
    const judgement = judge(reply, channel, this.#now())
    const { decision, reason } = judgement
    // A Laravel that is down refuses everybody: that is nobody's fault, and counts for nobody.
    if (!decision.allowed && !decision.retry) this.#denials.count(credentials.address)
    this.#hooks.onCall?.({ reason, durationMs: performance.now() - startedAt })
    return judgement
  }
}

/** The only place that talks to Laravel: one POST per question, no redirect followed, TLS verified. */
export class LaravelConnection {
  readonly address: URL
  readonly #agent: Agent
  readonly #timeoutMs: number
  readonly #maxBodyBytes: number

  constructor(options: LaravelCallOptions) {
    const { timeoutMs = 10_000, maxBodyBytes = 65_536, concurrency = 16 } = options
    this.address = authAddress(options)
    this.#timeoutMs = timeoutMs
    this.#maxBodyBytes = maxBodyBytes
    // Our own timer covers the whole call, so undici's per phase are off.
    this.#agent = new Agent({
      connections: concurrency,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: timeoutMs, rejectUnauthorized: true },
    })
  }

  /** Never rejects. */
  async ask(channel: Channel, credentials: Credentials, socketId: string): Promise<Answer | Failure> {
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), this.#timeoutMs)
    try {
      const { statusCode, headers, body } = await request(this.address, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: laravelHeaders(credentials),
        body: new URLSearchParams({ channel_name: channel.name, socket_id: socketId }).toString(),
        signal: timeout.signal,
      })
      return {
        status: statusCode,
        location: single(headers.location),
        retryAfter: single(headers['retry-after']),
        body: await readUpTo(body, this.#maxBodyBytes),
      }
    } catch (error) {
      if (timeout.signal.aborted) return { failure: 'timeout', detail: `no answer within ${this.#timeoutMs} ms` }
      return { failure: 'unreachable', detail: codeOf(error) }
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

async function readUpTo(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > maxBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'unknown error'
}

const NO_CREDENTIALS =
  'The request carried neither a cookie nor an Authorization header, so Laravel has nobody to recognise. Usual causes: ' +
  'withCredentials is missing on a page of another origin; the page is on localhost and the gateway on 127.0.0.1, or the reverse; ' +
  "SESSION_DOMAIN does not cover the gateway's host."
