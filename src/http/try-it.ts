import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { judgeOrigin } from '../auth/origin.ts'
import { encodeBroadcast } from '../channels/broadcast.ts'
import { parseChannel } from '../channels/channel.ts'
import { membersOf } from '../channels/json-spans.ts'
import { isLoopback } from '../config/rules.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { PATHS } from '../protocol.ts'
import { describeRequest, type HttpCaller } from './caller.ts'
import type { Services } from './services.ts'
import { TRY_IT_POLICY, tryItPage } from './try-it-page.ts'

const PAGE_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': TRY_IT_POLICY,
  'Referrer-Policy': 'no-referrer',
}

const MAX_EVENT_LENGTH = 200

type Message = { readonly channel: string; readonly event: string; readonly dataJson: string }

/** The page a newcomer opens first. */
export function sendTryItPage(services: Services, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const caller = describeRequest(request, services.config)
  const page = tryItPage({
    whyNoForm: whyNotPublished(services, caller)?.message ?? null,
    publishFlags: publishFlags(services),
  })
  return reply.headers(PAGE_HEADERS).send(page)
}

/** `POST /`: its form, for a developer on this machine alone. */
export function registerTryItForm(app: FastifyInstance, services: Services): void {
  const { broker, metrics } = services
  app.register(async (scope) => {
    // [Fetch] A page elsewhere can send forms and text/plain without asking first, JSON it cannot.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    const onRequest = async (request: FastifyRequest) => checkSender(services, request)
    scope.post(PATHS.tryIt, { onRequest }, async (request) => {
      const { channel, event, dataJson } = readMessage(services, request.body)
      await broker.publish([channel], encodeBroadcast(event, dataJson, null))
      metrics.published.inc({ outcome: 'ok' })
      return {}
    })
  })
}

// The origin first: a page elsewhere learns nothing about this machine.
function checkSender(services: Services, request: FastifyRequest): void {
  const caller = describeRequest(request, services.config)
  const refusal = judgeOrigin(caller, []).allowed
    ? whyNotPublished(services, caller)
    : refuse('origin_denied', 'Only the try-it page itself may publish here.')
  if (refusal === null) return
  services.metrics.published.inc({ outcome: refusal.code })
  throw refusal
}

/** Null when this caller may publish without signing. */
function whyNotPublished({ broker, config }: Services, { isLocal }: HttpCaller): GatewayError | null {
  if (broker.kind !== 'memory') {
    return refuse('local_only', 'This gateway relays from Redis: publish from Laravel or with the publish command.')
  }
  if (!isLoopback(config.host) || !isLocal) {
    return refuse(
      'local_only',
      'This page publishes only on the machine the gateway runs on, opened as localhost and without a proxy.',
    )
  }
  return null
}

function readMessage({ rules }: Services, body: unknown): Message {
  const text = typeof body === 'string' ? body : ''
  const { channel, event, data } = parseObject(text)
  if (typeof channel !== 'string') throw refuse('invalid_body', 'Name the channel.')
  const parsed = parseChannel(channel, rules)
  if ('invalid' in parsed) throw refuse('invalid_channel', parsed.invalid)
  if (typeof event !== 'string' || event === '' || event.length > MAX_EVENT_LENGTH) {
    throw refuse('invalid_body', `Name the event, in at most ${MAX_EVENT_LENGTH} characters.`)
  }
  return { channel, event, dataJson: typeof data === 'string' ? checkedJson(data) : dataOf(text) }
}

/** The form's field, as typed. */
function checkedJson(data: string): string {
  if (parseJson(data) !== undefined) return data
  throw refuse('invalid_body', 'The data must be JSON: {"id":1}, or a text in double quotes.')
}

// Cut out, not printed again: its numbers stay as they were written.
function dataOf(text: string): string {
  const member = membersOf(text)?.findLast(({ key }) => key === 'data')
  if (member === undefined) throw refuse('invalid_body', 'Give the data as JSON; {} is an event without any.')
  return text.slice(member.valueStart, member.valueEnd)
}

function parseObject(text: string): Record<string, unknown> {
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw refuse('invalid_body', 'The body must be a JSON object with channel, event and data.')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refuse(code: ErrorCode, message: string): GatewayError {
  return new GatewayError(code, { message })
}

/** What the publish command needs beside channel, event and data; null when it cannot reach this gateway. */
function publishFlags({ broker, config }: Services): string | null {
  if (broker.kind === 'redis') return `--redis REDIS_URL${config.redisPrefix === '' ? '' : ' --redis-prefix PREFIX'}`
  if (config.usesDefaultCredentials) return '--http URL'
  return config.appSecret === null ? null : '--http URL --app-id ID --app-key KEY --app-secret SECRET'
}
