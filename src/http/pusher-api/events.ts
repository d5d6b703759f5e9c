import type { FastifyInstance, FastifyRequest } from 'fastify'
import { encodeBroadcast, jsonOrString } from '../../channels/broadcast.ts'
import { parseChannel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import { describeRequest, type HttpCaller, pathOf } from '../caller.ts'
import type { Services } from '../services.ts'
import { type AppCredentials, verifyRequest } from './signature.ts'

/** Pusher's limit for one event. */
const MAX_CHANNELS = 100
const MAX_NAME_LENGTH = 200
const SOCKET_ID = /^\d+\.\d+$/

type EventBody = { name: string; data: string; channels: string[]; socketId: string | null }

/**
 * `POST /apps/{id}/events`: what Laravel's pusher and reverb drivers send.
 * Source: https://pusher.com/docs/channels/library_auth_reference/rest-api/#post-event-trigger-an-event
 */
export function registerPublish(app: FastifyInstance, services: Services): void {
  const { config, metrics, broker } = services
  // The signature covers the bytes, so they are needed as they came.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/:id/events', { bodyLimit: config.maxPublishBodyBytes }, async (request) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    try {
      checkPublisher(services, request, body)
      const event = readEvent(services, body)
      await broker.publish(event.channels, encodeBroadcast(event.name, jsonOrString(event.data), event.socketId))
    } catch (error) {
      metrics.published.inc({ outcome: error instanceof GatewayError ? error.code : 'internal' })
      throw error
    }
    metrics.published.inc({ outcome: 'ok' })
    return {}
  })
}

function checkPublisher({ config }: Services, request: FastifyRequest, body: Buffer): void {
  const caller = describeRequest(request, config)
  if (isFromPage(caller))
    throw new GatewayError('origin_denied', { message: 'Pages may not publish; publish from your application.' })
  if (config.usesDefaultCredentials && !caller.isLocal) {
    throw new GatewayError('local_only', {
      message: 'The default credentials work only on this machine; set --app-id, --app-key and --app-secret.',
    })
  }
  const url = request.raw.url ?? ''
  const query = url.slice(pathOf(url).length + 1)
  const verdict = verifyRequest({
    method: 'POST',
    path: pathOf(url),
    query,
    body,
    apps: appsOf(config),
    now: Date.now(),
  })
  if (!verdict.ok) throw new GatewayError('unauthorized', { message: verdict.why })
}

// A browser says so; whoever signs requests is no page.
function isFromPage({ headers }: HttpCaller): boolean {
  const site = headers['sec-fetch-site']
  return headers.origin !== undefined || (site !== undefined && site !== 'none')
}

function appsOf({ appId, appKey, appSecret }: Services['config']): AppCredentials[] {
  return appId === null || appKey === null || appSecret === null ? [] : [{ id: appId, key: appKey, secret: appSecret }]
}

function readEvent({ rules }: Services, body: Buffer): EventBody {
  const { name, data, channel, channels, socket_id: socketId } = parseObject(body)
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) {
    throw invalid(`name must be the event's name, at most ${MAX_NAME_LENGTH} characters.`)
  }
  if (typeof data !== 'string') throw invalid('data must be a text; put JSON into it as a text.')
  if (socketId !== undefined && socketId !== null && (typeof socketId !== 'string' || !SOCKET_ID.test(socketId))) {
    throw invalid('socket_id must look like 1234.5678.')
  }
  const names: unknown = channels ?? [channel]
  if (!Array.isArray(names) || names.length === 0 || names.length > MAX_CHANNELS) {
    throw invalid(`Name the channel, or up to ${MAX_CHANNELS} channels.`)
  }
  for (const candidate of names) {
    const parsed = typeof candidate === 'string' ? parseChannel(candidate, rules) : null
    if (parsed === null) throw invalid('Channels must be texts.')
    if ('invalid' in parsed) throw new GatewayError('invalid_channel', { message: parsed.invalid })
  }
  return { name, data, channels: names as string[], socketId: typeof socketId === 'string' ? socketId : null }
}

function parseObject(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new GatewayError('invalid_body', { message: 'The body must be JSON.', cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('The body must be a JSON object.')
  return value as Record<string, unknown>
}

function invalid(message: string): GatewayError {
  return new GatewayError('invalid_body', { message })
}
