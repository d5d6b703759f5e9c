import type { FastifyInstance } from 'fastify'
import { parseRevocation } from '../../auth/revocation.ts'
import { REVOCATIONS } from '../../channels/own-traffic.ts'
import type { Services } from '../services.ts'
import { acceptJsonBytes, checkSignature, invalid, signedBody } from './signed-request.ts'

/**
 * `POST /apps/{id}/revoke`, signed as everything below /apps: takes guarded channels from a user, from everybody on a
 * channel, or from one socket, on all gateways. Not one of Pusher's own calls.
 */
export function registerRevoke(app: FastifyInstance, services: Services): void {
  const { config, broker } = services
  acceptJsonBytes(app)
  app.post('/:id/revoke', { bodyLimit: config.maxBodyBytes }, async (request) => {
    checkSignature(services, request)
    const revocation = parseRevocation(signedBody(request).toString())
    if (revocation === null) throw invalid(WHAT)
    await broker.publish([REVOCATIONS], JSON.stringify(revocation))
    return {}
  })
}

const WHAT =
  'Send a JSON object that names what to revoke, and nothing else: user, channel, socket, or several of them for what fits all; each is a text.'
