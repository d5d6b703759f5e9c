import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Denial } from '../auth/authorizer.ts'
import { deny } from '../auth/denial.ts'
import type { Identity } from '../auth/identity.ts'
import { judgeOrigin } from '../auth/origin.ts'
import { type Channel, parseChannel } from '../channels/channel.ts'
import type { Config } from '../config/config.ts'
import { GatewayError } from '../errors.ts'
import { byeFrame, connectedFrame } from '../hub/frames.ts'
import { beginsAnew, type StreamStart, startId, startStream } from '../hub/start.ts'
import { type EndReason, Subscriber } from '../hub/subscriber.ts'
import { type ConnectedData, PROTOCOL_VERSION } from '../protocol.ts'
import { EventStream } from '../sse/event-stream.ts'
import type { Frame } from '../sse/frame.ts'
import type { Outlet } from '../sse/outlet.ts'
import { retryAfterMs } from './admission.ts'
import { describeRequest, type HttpCaller } from './caller.ts'
import { Decisions, denyChannel } from './decisions.ts'
import { Poll } from './poll.ts'
import { grantRecalled, recalledOf } from './recall.ts'
import type { Services } from './services.ts'
import {
  jsonParameters,
  type Parameters,
  queryParameters,
  readStreamRequest,
  type StreamRequest,
} from './stream-request.ts'

/** Content type without a charset: exactly this is what proxies look for when they decide not to buffer. */
const STREAM_HEADERS = { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' }

/** Everything known about a request once it may have a stream. */
type Admitted = {
  readonly caller: HttpCaller
  readonly wanted: StreamRequest
  readonly identity: Identity
  readonly channels: readonly Channel[]
  readonly invalid: readonly { name: string; denial: Denial }[]
  readonly start: StreamStart
  /** Public channels whose last event the page is told first. */
  readonly recalled: ReadonlySet<string>
  readonly openedAtMs: number
  readonly leave: () => void
}

/** `GET /stream` and `POST /stream`: the one address every page listens at. */
export async function handleStream(services: Services, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const caller = describeRequest(request, services.config)
  const hasCredentials = checkOrigin(services, caller)
  const wanted = readStreamRequest(parametersOf(request), caller.headers['last-event-id'], services.config)
  // Behind another request on the same connection there is no socket to write to yet; a poll's answer can wait for it.
  if (wanted.mode === 'stream' && reply.raw.socket === null) {
    throw new GatewayError('bad_request', {
      message: 'Ask for a stream on a connection of its own, not behind another request.',
    })
  }
  let admitted: Admitted
  try {
    admitted = admit(services, hasCredentials ? caller : withoutCredentials(caller), wanted)
  } catch (error) {
    if (error instanceof GatewayError && wantsSoftRefusal(caller, wanted)) return refuseSoftly(services, reply, error)
    throw error
  }
  if (admitted.identity.setCookie !== null) reply.header('Set-Cookie', admitted.identity.setCookie)
  reply.headers(STREAM_HEADERS)
  reply.hijack()
  openStream(services, admitted, reply)
}

function checkOrigin({ config }: Services, caller: HttpCaller): boolean {
  const verdict = judgeOrigin(caller, config.allowOrigins)
  if (!verdict.allowed) throw new GatewayError('origin_denied', { message: verdict.why })
  return verdict.credentials
}

function withoutCredentials(caller: HttpCaller): HttpCaller {
  return { ...caller, headers: { ...caller.headers, cookie: undefined, authorization: undefined } }
}

function parametersOf(request: FastifyRequest): Map<string, string[]> {
  const parameters = queryParameters(request.raw.url ?? '')
  if (request.method !== 'POST') return parameters
  const { body } = request
  // A form arrives as a map (app.ts): a text here would be JSON that is no object.
  const fromBody = body instanceof Map ? (body as Parameters) : jsonParameters(body === undefined ? {} : body)
  for (const [name, values] of fromBody) parameters.set(name, [...values, ...(parameters.get(name) ?? [])])
  return parameters
}

function admit(services: Services, caller: HttpCaller, wanted: StreamRequest): Admitted {
  const { admission, broker, history, identities } = services
  if (history.head === null || identities === null) {
    throw new GatewayError('broker_unavailable', {
      message: `The gateway has no connection to ${broker.kind} yet; try again.`,
    })
  }
  const leave = admission.enter(caller.address)
  const identity = identities.resolve({
    socketId: wanted.socketId,
    key: wanted.key,
    headers: caller.headers,
    mayStoreCookie: sendsCookiesBack(caller),
    crossSite: caller.headers['sec-fetch-site'] === 'cross-site',
    encrypted: caller.protocol === 'https',
  })
  const parsed = wanted.channels.map((name) => parseChannel(name, services.rules))
  const channels = parsed.filter((channel): channel is Channel => 'kind' in channel)
  const invalid = parsed.flatMap((channel) =>
    'invalid' in channel ? [{ name: channel.name, denial: deny('invalid_channel', { message: channel.invalid }) }] : [],
  )
  const open = channels.filter(({ kind, name }) => kind === 'public' && !wanted.fresh.has(name))
  const start = startStream(
    history,
    wanted.lastEventId,
    open.map(({ name }) => name),
  )
  const isNew = (name: string) => beginsAnew(history, start, wanted.fresh, name)
  const recalled = recalledOf(channels, isNew)
  return { caller, wanted, identity, channels, invalid, start, recalled, openedAtMs: Date.now(), leave }
}

// A browser of the same origin always does. Elsewhere a cookie that came shows that cookies come.
function sendsCookiesBack({ headers }: HttpCaller): boolean {
  return headers['sec-fetch-site'] === 'same-origin' || headers.cookie !== undefined
}

function openStream(services: Services, admitted: Admitted, reply: FastifyReply): void {
  const { wanted, channels, start, recalled, leave } = admitted
  const isUndecided = recalled.size > 0 || channels.some(({ kind }) => kind !== 'public')
  const first = connectedFrame(connectedData(admitted), startId(start, isUndecided), services.config.retryMs)
  const poll = wanted.mode === 'poll' ? new Poll(reply, wanted) : null
  const outlet = poll?.open(first) ?? EventStream.open(reply.raw, reply.getHeaders() as Record<string, string>, first)
  // The caller has left before it got a single byte.
  if (outlet === null) leave()
  else runStream(services, admitted, { outlet, poll, reply })
}

function connectedData({ identity, wanted, start }: Admitted): ConnectedData {
  const { socketId, key } = identity
  const { heartbeatMs, mode } = wanted
  return { protocol: PROTOCOL_VERSION, socketId, key, heartbeatMs, resume: start.resume, mode, time: Date.now() }
}

type Opened = { readonly outlet: Outlet; readonly poll: Poll | null; readonly reply: FastifyReply }

function runStream(services: Services, admitted: Admitted, { outlet, poll, reply }: Opened): void {
  const { hub, heartbeat, history, occupancy, metrics, config } = services
  const { wanted, identity, channels, start, recalled, caller } = admitted
  const decisions = new Decisions(services, { caller, identity, channels, poll })
  const ended = whenEnded(services, admitted)
  const subscriber = new Subscriber({
    history,
    outlet,
    socketId: identity.socketId,
    start,
    channels,
    fresh: wanted.fresh,
    recalled,
    waitsForDecisions: poll !== null,
    heartbeatMs: wanted.heartbeatMs,
    backlogBytes: config.backlogBytes,
    hooks: {
      onGranted: (self, channel) => {
        hub.join(self, channel)
        occupancy.joined(channel)
      },
      onRevoked: (self, channel) => {
        hub.leave(self, channel)
        occupancy.left(channel, self.socketId, 0)
      },
      onEnded: (self, reason, retryAfterMs) => {
        hub.remove(self)
        heartbeat.remove(self)
        const keepMs = retryAfterMs + lingerMs(config, admitted, reason)
        decisions.ended(keepMs)
        for (const channel of self.granted()) occupancy.left(channel, self.socketId, keepMs)
        ended(reason)
      },
      onGap: (reason) => metrics.gaps.inc({ reason }),
      settle: (self) => hub.settle(self),
      ...(poll === null ? {} : { onNews: () => poll.gotNews() }),
    },
  })
  reply.raw.once('close', () => {
    subscriber.close('client')
    admitted.leave()
  })
  beginStream(services, admitted)
  hub.add(subscriber)
  for (const { name, denial } of admitted.invalid) denyChannel(services, subscriber, name, denial)
  subscriber.begin()
  heartbeat.add(subscriber)
  poll?.follow(subscriber)
  decisions.begin(subscriber)
  grantRecalled(services, subscriber, recalled, () => poll?.decided())
}

// A page that polls is present from one poll to the next.
function lingerMs({ lingerMs }: Config, { wanted, openedAtMs }: Admitted, reason: EndReason): number {
  if (reason !== 'poll') return lingerMs
  return Math.max(lingerMs, openedAtMs + wanted.waitMs + lingerMs - Date.now())
}

function beginStream({ metrics, lifeLog }: Services, { caller, wanted, identity, channels, start }: Admitted): void {
  const { mode } = wanted
  metrics.opened.inc({ mode, resume: start.resume })
  lifeLog.write(
    { socketId: identity.socketId, address: caller.address, mode, channels: channels.length, resume: start.resume },
    'stream opened',
  )
}

// Keeps only what the end needs: a stream lives for hours, and its request need not.
function whenEnded({ metrics, lifeLog }: Services, { identity, leave, openedAtMs }: Admitted) {
  const { socketId } = identity
  return (reason: EndReason) => {
    // An answer that was given keeps its place until it is read; only then its connection is through with it.
    if (reason !== 'poll') leave()
    metrics.ended.inc({ reason })
    lifeLog.write({ socketId, reason, durationMs: Date.now() - openedAtMs }, 'stream ended')
  }
}

// A native EventSource never comes back from anything but a 200, so it is refused in a way it survives.
function wantsSoftRefusal({ headers }: HttpCaller, { mode }: StreamRequest): boolean {
  return mode === 'stream' && (headers.accept ?? '').includes('text/event-stream')
}

function refuseSoftly({ metrics }: Services, reply: FastifyReply, error: GatewayError): void {
  metrics.refused.inc({ code: error.code })
  const reason = error.code === 'draining' ? 'drain' : 'overload'
  const frame: Frame = byeFrame({ reason, retryAfterMs: retryAfterMs() })
  reply.headers(STREAM_HEADERS).send(frame.bytes)
}
