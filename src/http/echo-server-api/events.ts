import type { FastifyRequest } from 'fastify'
import { dataJsonOf } from '../../channels/own-traffic.ts'
import { publicationOf, readEvent } from '../pusher-api/event.ts'
import { bodyOf, invalid, parseObject } from '../pusher-api/signed-request.ts'
import type { Services } from '../services.ts'

const SOCKET_ID = /^\d+\.\d+$/

/** `POST /apps/{id}/events`, with data of any kind. [laravel-echo-server src/subscribers/http-subscriber.ts] */
export async function publishEvent(services: Services, request: FastifyRequest): Promise<object> {
  const { name, data, channel, channels, socket_id: socketId } = parseObject(bodyOf(request))
  if (!(channels || channel) || !name || !data) throw invalid('Event must include channel, event name and data')
  const event = readEvent(services, {
    name,
    // As it was written: no number is read and printed again.
    data: typeof data === 'string' ? data : dataJsonOf(bodyOf(request).toString()),
    channels: channels || [channel],
    // An id of socket.io is nobody's here, and laravel-echo-server told everybody then.
    socket_id: typeof socketId === 'string' && SOCKET_ID.test(socketId) ? socketId : null,
  })
  await services.broker.publishAll([publicationOf(event)])
  return { message: 'ok' }
}
