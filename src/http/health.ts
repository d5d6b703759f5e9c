import type { FastifyInstance } from 'fastify'
import { PATHS } from '../protocol.ts'
import type { Services } from './services.ts'

/** `/health`: the process lives. `/ready`: what is published would be delivered here, and streams are welcome. */
export function registerHealth(app: FastifyInstance, services: Services): void {
  app.get(PATHS.health, async () => ({ status: 'ok' }))
  app.get(PATHS.ready, async (_request, reply) => {
    const why = whyNotReady(services)
    return why === null ? { status: 'ready' } : reply.status(503).send({ status: 'not ready', why })
  })
}

export function whyNotReady({ admission, broker, identities }: Services): string | null {
  if (admission.isDraining) return 'draining'
  return broker.isReady() && identities !== null ? null : 'nothing comes back from the broker'
}
