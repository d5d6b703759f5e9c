import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import { PATHS } from '../protocol.ts'
import { pathOf } from './caller.ts'

/**
 * Pusher and laravel-echo-server have their APIs at the same addresses. Signed requests get Pusher's answers, and so
 * does everything below an application that has a secret; unsigned ones get laravel-echo-server's, where it has clients.
 */
export const ECHO_SERVER_FACE = { face: 'laravel-echo-server' }

const OTHER_FACE = 'pusher'

/** Lets a route be for the one face: `constraints: ECHO_SERVER_FACE`. Routes without it are Pusher's. */
export function addFaces(app: FastifyInstance, config: Pick<Config, 'appId' | 'echoServerClients'>): void {
  if (config.echoServerClients.length === 0) return
  app.addConstraintStrategy({
    name: 'face',
    storage: () => new Map(),
    deriveConstraint: (request: IncomingMessage) => faceOf(request.url ?? '', config.appId),
  })
}

function faceOf(url: string, appId: string | null): string {
  const path = pathOf(url)
  if (!path.startsWith(`${PATHS.apps}/`) || isSigned(url.slice(path.length + 1))) return OTHER_FACE
  return decoded(path.split('/')[2] ?? '') === appId ? OTHER_FACE : ECHO_SERVER_FACE.face
}

// Its name may be written in capitals, or as a list.
function isSigned(query: string): boolean {
  return [...new URLSearchParams(query).keys()].some((name) => /^auth_signature(\[|$)/i.test(name))
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}
