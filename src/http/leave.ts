import type { FastifyInstance } from 'fastify'
import { LEAVES, printLeave } from '../channels/own-traffic.ts'
import { GatewayError } from '../errors.ts'
import { PATHS } from '../protocol.ts'
import { acceptText, proveSocket } from './page-request.ts'
import { RateLimit } from './rate-limit.ts'
import type { Services } from './services.ts'

/** Each is told to all gateways, and nobody leaves more often. */
const MAX_PER_SECOND = 10

/**
 * `POST /leave`: a page says that it is gone, so that nobody waits for it to come back. Text as well: it is what
 * `navigator.sendBeacon` sends without asking first.
 */
export function registerLeave(app: FastifyInstance, services: Services): void {
  const limit = new RateLimit(MAX_PER_SECOND, 'too_many_requests')
  acceptText(app, ['application/json', 'text/plain'])
  app.post(PATHS.leave, { bodyLimit: services.config.maxBodyBytes }, async (request, reply) => {
    const socketId = proveSocket(services, request, String(request.body ?? ''))
    limit.count(socketId)
    await services.broker.publish([LEAVES], printLeave(socketId))
    // A gateway that has stopped since hears no message any more. Only now: where nobody was told, nothing has changed.
    await services.grants.forget(socketId).catch((error: unknown) => {
      throw new GatewayError('broker_unavailable', { cause: error })
    })
    return reply.status(204).send()
  })
}
