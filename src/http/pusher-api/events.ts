import type { FastifyInstance } from 'fastify'
import { encodeBroadcast, jsonOrString } from '../../channels/broadcast.ts'
import { parseChannel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'
import { acceptJsonBytes, checkSignature, invalid, parseObject, signedBody } from './signed-request.ts'

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
  acceptJsonBytes(app)
  app.post('/:id/events', { bodyLimit: config.maxPublishBodyBytes }, async (request) => {
    try {
      checkSignature(services, request)
      const event = readEvent(services, signedBody(request))
      await broker.publish(event.channels, encodeBroadcast(event.name, jsonOrString(event.data), event.socketId))
    } catch (error) {
      metrics.published.inc({ outcome: error instanceof GatewayError ? error.code : 'internal' })
      throw error
    }
    metrics.published.inc({ outcome: 'ok' })
    return {}
  })
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
