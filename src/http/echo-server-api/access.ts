import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { EchoServerClient } from '../../config/config.ts'
import { GatewayError } from '../../errors.ts'
import { describeRequest } from '../caller.ts'
import { isFromPage } from '../pusher-api/signed-request.ts'
import type { Services } from '../services.ts'

/** The client whose key the request bears. Throws when there is none. [laravel-echo-server src/server.ts canAccess] */
export function checkClient({ config }: Services, request: FastifyRequest): EchoServerClient {
  if (isFromPage(describeRequest(request, config)))
    throw new GatewayError('origin_denied', { message: 'Pages may not use this API; use it from your application.' })
  const { id } = request.params as { id: string }
  const client = config.echoServerClients.find(({ appId }) => appId === id)
  const key = keyOf(request)
  if (client === undefined || key === null || !isEqual(client.key, key)) {
    throw new GatewayError('unauthorized', { message: 'Unauthorized' })
  }
  return client
}

/** The header counts before the query, with or without the word Bearer. */
function keyOf({ headers: { authorization }, query }: FastifyRequest): string | null {
  if (authorization !== undefined && authorization !== '') return authorization.replace('Bearer ', '')
  const { auth_key: key } = query as { auth_key?: unknown }
  return typeof key === 'string' && key !== '' ? key : null
}

/** Takes the same time whatever the two are. */
function isEqual(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
