import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'
import { publishBatch } from './batch-events.ts'
import { describeChannel, listChannels, listUsers } from './channels.ts'
import { publishEvent } from './events.ts'
import { revoke } from './revoke.ts'
import type { Route } from './route.ts'
import { acceptJsonBytes, checkSignature } from './signed-request.ts'
import { terminateConnections } from './terminate-connections.ts'

const ROUTES: readonly Route[] = [
  publishEvent,
  publishBatch,
  listChannels,
  describeChannel,
  listUsers,
  terminateConnections,
  revoke,
]

/**
 * Everything below `/apps/{id}`: what Laravel's pusher and reverb drivers and all Pusher SDKs call.
 * Source: https://pusher.com/docs/channels/library_auth_reference/rest-api/
 */
export function registerPusherApi(app: FastifyInstance, services: Services): void {
  const { config } = services
  acceptJsonBytes(app)
  for (const { method, path, bodyLimit = () => config.maxBodyBytes, publishes, answer } of ROUTES) {
    app.route({
      method,
      url: `/:id${path}`,
      bodyLimit: bodyLimit(config),
      handler: async (request) => {
        const answered = async () => {
          checkSignature(services, request)
          return answer(services, request)
        }
        return publishes === true ? counted(services, answered) : answered()
      },
    })
  }
}

async function counted({ metrics }: Services, publish: () => Promise<object>): Promise<object> {
  try {
    const answer = await publish()
    metrics.published.inc({ outcome: 'ok' })
    return answer
  } catch (error) {
    metrics.published.inc({ outcome: error instanceof GatewayError ? error.code : 'internal' })
    throw error
  }
}
