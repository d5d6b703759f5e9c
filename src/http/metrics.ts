import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../errors.ts'
import { PATHS } from '../protocol.ts'
import { describeRequest } from './caller.ts'
import type { Services } from './services.ts'

/** `/metrics` for Prometheus. On the public port only callers on this machine that come without a proxy get it. */
export function registerMetrics(app: FastifyInstance, services: Services, { isAdmin = false } = {}): void {
  const { config, metrics } = services
  app.get(PATHS.metrics, async (request, reply) => {
    const isWelcome = isAdmin || (config.adminPort === null && describeRequest(request, config).isLocal)
    if (!isWelcome)
      throw new GatewayError('local_only', { message: 'Ask for metrics on this machine, or set --admin-port.' })
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics())
  })
}
