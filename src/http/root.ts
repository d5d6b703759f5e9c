import type { FastifyInstance, FastifyRequest } from 'fastify'
import { PATHS } from '../protocol.ts'
import type { Services } from './services.ts'
import { registerTryItForm, sendTryItPage } from './try-it.ts'

/** `GET /`: the try-it page for a browser, where it is on. Everybody else reads `OK`, as laravel-echo-server says. */
export function registerRoot(app: FastifyInstance, services: Services): void {
  const { tryPage } = services.config
  app.get(PATHS.tryIt, async (request, reply) =>
    tryPage && asksForHtml(request)
      ? sendTryItPage(services, request, reply)
      : reply.type('text/plain; charset=utf-8').send('OK'),
  )
  if (tryPage) registerTryItForm(app, services)
}

function asksForHtml({ headers: { accept = '' } }: FastifyRequest): boolean {
  return /\btext\/html\b/i.test(accept)
}
