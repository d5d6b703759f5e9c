import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { GatewayError } from '../../errors.ts'
import { ECHO_SERVER_FACE } from '../app-face.ts'
import { pathOf } from '../caller.ts'
import { asGatewayError } from '../errors.ts'
import { acceptJsonBytes, checkSignature } from '../pusher-api/signed-request.ts'
import type { Services } from '../services.ts'
import { checkClient } from './access.ts'
import { describeChannel, listChannels, listUsers } from './channels.ts'
import { publishEvent } from './events.ts'

/**
 * The HTTP API of laravel-echo-server 1.6, for the clients of its configuration: requests bear a key and no signature.
 * Source: tlaverdure/laravel-echo-server src/api/http-api.ts, src/subscribers/http-subscriber.ts, src/server.ts.
 */
export function registerEchoServerApi(app: FastifyInstance, services: Services): void {
  const { config } = services
  if (config.echoServerClients.length === 0) return
  const constraints = ECHO_SERVER_FACE
  acceptJsonBytes(app)
  app.setErrorHandler((error, request, reply) => refuse(services, error, request, reply))
  // Before a body is read.
  app.addHook('onRequest', async (request) => void checkClient(services, request))
  app.get('/:id/status', { constraints }, async () => statusOf(services))
  app.get('/:id/channels', { constraints }, (request) => listChannels(services, request))
  app.get('/:id/channels/:channel', { constraints }, (request) => describeChannel(services, request))
  app.get('/:id/channels/:channel/users', { constraints }, (request) => listUsers(services, request))
  app.post('/:id/events', { constraints, bodyLimit: config.maxPublishBodyBytes }, (request) =>
    publish(services, request),
  )
}

/** `GET /apps/{id}/status` for an application that signs; not one of Pusher's own calls. */
export function registerStatus(app: FastifyInstance, services: Services): void {
  app.get('/:id/status', async (request) => {
    checkSignature(services, request)
    return statusOf(services)
  })
}

/** Of this gateway. */
function statusOf({ hub }: Services): object {
  return { subscription_count: hub.size, uptime: process.uptime(), memory_usage: process.memoryUsage() }
}

async function publish(services: Services, request: FastifyRequest): Promise<object> {
  if (!checkClient(services, request).mayPublish) throw new GatewayError('not_found', { message: HTTP_IS_OFF })
  const answer = await publishEvent(services, request)
  services.metrics.published.inc({ outcome: 'ok' })
  return answer
}

const HTTP_IS_OFF = 'Publishing by HTTP is off: subscribers.http of the configuration is false.'

/** As laravel-echo-server says it: one text, and 403 to whoever has no key. */
function refuse({ metrics, logger }: Services, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { code, status, message, headers } = asGatewayError(error)
  metrics.refused.inc({ code })
  if (request.method === 'POST') metrics.published.inc({ outcome: code })
  if (code === 'internal') logger.error({ err: error, path: pathOf(request.url) }, 'a request failed')
  reply
    .status(code === 'unauthorized' ? 403 : status)
    .headers(headers)
    .send({ error: message })
}
