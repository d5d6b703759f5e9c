import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isListedOrigin } from '../auth/origin.ts'
import type { Config } from '../config/config.ts'
import { GatewayError } from '../errors.ts'
import { PATHS } from '../protocol.ts'
import { addFaces } from './app-face.ts'
import { pathOf } from './caller.ts'
import { registerEchoServerApi, registerStatus } from './echo-server-api/echo-server-api.ts'
import { answerClientError, asGatewayError } from './errors.ts'
import { registerHealth } from './health.ts'
import { registerLeave } from './leave.ts'
import { registerMetrics } from './metrics.ts'
import { registerPusherApi } from './pusher-api/pusher-api.ts'
import { registerRoot } from './root.ts'
import type { Services } from './services.ts'
import { handleStream } from './stream.ts'
import { formParameters } from './stream-request.ts'
import { registerWhisper } from './whisper.ts'

/** Never kept by a cache: a shared answer would share a socket id and its key. */
const COMMON_HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
}

/** How often Node looks for requests that are late. Its default of 30 s would be added to every time limit. */
const LATE_CHECK_MS = 1000

const CORS_HEADERS = [
  'Authorization',
  'Content-Type',
  'Last-Event-ID',
  'X-CSRF-TOKEN',
  'X-Requested-With',
  'X-Socket-ID',
  'X-XSRF-TOKEN',
]

/** The HTTP face of the gateway. */
export async function buildApp(services: Services): Promise<FastifyInstance> {
  const app = createServer(services)
  addFaces(app, services.config)
  await app.register(cors, { delegator: (request, callback) => callback(null, corsFor(services.config, request)) })
  app.get(PATHS.stream, (request, reply) => handleStream(services, request, reply))
  app.post(PATHS.stream, { bodyLimit: services.config.maxBodyBytes }, (request, reply) =>
    handleStream(services, request, reply),
  )
  registerHealth(app, services)
  registerMetrics(app, services)
  // Each in a scope of its own, for each takes bodies in its own way.
  await app.register(async (scope) => registerWhisper(scope, services))
  await app.register(async (scope) => registerLeave(scope, services))
  await app.register(async (scope) => registerPusherApi(scope, services), { prefix: PATHS.apps })
  await app.register(async (scope) => registerStatus(scope, services), { prefix: PATHS.apps })
  await app.register(async (scope) => registerEchoServerApi(scope, services), { prefix: PATHS.apps })
  registerRoot(app, services)
  return app
}

/** A server with the limits, the headers and the errors that all addresses share. */
export function createServer(services: Services): FastifyInstance {
  const { config } = services
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: config.maxBodyBytes,
    // Of channels and users in paths; the whole address has a limit of its own.
    routerOptions: { maxParamLength: config.maxUrlBytes },
    requestTimeout: config.requestTimeoutMs,
    http: {
      maxHeaderSize: config.maxHeaderBytes,
      headersTimeout: config.headersTimeoutMs,
      requestTimeout: config.requestTimeoutMs,
      connectionsCheckingInterval: LATE_CHECK_MS,
      // Node's own refusal would have no body.
      requireHostHeader: false,
    },
    frameworkErrors: (error, request, reply) =>
      refuse(services, error, request as FastifyRequest, reply as FastifyReply),
    clientErrorHandler: (error, socket) =>
      answerClientError(error, socket, (code) => services.metrics.refused.inc({ code })),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  })
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, formParameters(String(body))),
  )
  app.removeContentTypeParser('text/plain')
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(COMMON_HEADERS)
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined) {
      throw new GatewayError('bad_request', { message: 'An HTTP/1.1 request needs a Host header.' })
    }
  })
  // After the hooks of CORS, so that a page may read the refusal.
  app.addHook('preParsing', async (request) => {
    if ((request.raw.url ?? '').length > config.maxUrlBytes) throw new GatewayError('uri_too_long')
  })
  app.setErrorHandler((error, request, reply) => refuse(services, error, request, reply))
  app.setNotFoundHandler((request) => {
    throw notFound(app, request)
  })
  return app
}

function corsFor({ allowOrigins }: Config, request: FastifyRequest) {
  const { origin } = request.headers
  const isListed = origin !== undefined && isListedOrigin(origin, allowOrigins)
  const isOpen = allowOrigins.includes('*')
  return {
    origin: isListed ? origin : isOpen ? '*' : false,
    credentials: isListed,
    methods: ['GET', 'POST'],
    allowedHeaders: CORS_HEADERS,
    exposedHeaders: ['Retry-After'],
    maxAge: 86_400,
    strictPreflight: false,
  }
}

function notFound(app: FastifyInstance, request: FastifyRequest): GatewayError {
  const path = pathOf(request.url)
  const allowed = (['GET', 'POST'] as const).filter((method) => app.findRoute({ method, url: path }) !== null)
  if (allowed.length === 0) return new GatewayError('not_found')
  return new GatewayError('method_not_allowed', { headers: { Allow: allowed.join(', ') } })
}

function refuse({ metrics, logger }: Services, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = asGatewayError(error)
  metrics.refused.inc({ code: refusal.code })
  if (refusal.code === 'internal') logger.error({ err: error, path: pathOf(request.url) }, 'a request failed')
  reply.status(refusal.status).headers(COMMON_HEADERS).headers(refusal.headers).send(refusal.toJSON())
}
