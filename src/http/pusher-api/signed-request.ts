import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../../config/config.ts'
import { GatewayError } from '../../errors.ts'
import { describeRequest, type HttpCaller, pathOf } from '../caller.ts'
import type { Services } from '../services.ts'
import { type AppCredentials, parseQuery, verifyRequest } from './signature.ts'

/** The signature covers the bytes, so they are needed as they came. */
export function acceptJsonBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** The body as it came; empty where there is none. */
export function bodyOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/** The parameters of the query, names in lower case, lists as one value with commas. */
export function parametersOf(request: FastifyRequest): ReadonlyMap<string, string> {
  return parseQuery(queryOf(request)) ?? new Map()
}

/** Throws unless one of our applications has signed the request. */
export function checkSignature(services: Services, request: FastifyRequest): void {
  checkCaller(services, request)
  const verdict = verifyRequest({
    method: request.method,
    path: pathOf(request.raw.url ?? ''),
    query: queryOf(request),
    body: bodyOf(request),
    apps: appsOf(services.config),
    now: Date.now(),
  })
  if (!verdict.ok) throw new GatewayError('unauthorized', { message: verdict.why })
}

/** Throws when the request comes from a page, or from elsewhere with credentials that everybody knows. */
function checkCaller({ config }: Services, request: FastifyRequest): void {
  const caller = describeRequest(request, config)
  if (isFromPage(caller)) throw new GatewayError('origin_denied', { message: FROM_PAGE })
  if (config.usesDefaultCredentials && !caller.isLocal) throw new GatewayError('local_only', { message: DEFAULTS })
}

/** The members of a JSON object. Throws when the body is something else. */
export function parseObject(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new GatewayError('invalid_body', { message: 'The body must be JSON.', cause })
  }
  if (!isObject(value)) throw invalid('The body must be a JSON object.')
  return value
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function invalid(message: string): GatewayError {
  return new GatewayError('invalid_body', { message })
}

function queryOf({ raw: { url = '' } }: FastifyRequest): string {
  return url.slice(pathOf(url).length + 1)
}

/** A browser says so; whoever publishes is no page. */
export function isFromPage({ headers }: HttpCaller): boolean {
  const site = headers['sec-fetch-site']
  return headers.origin !== undefined || (site !== undefined && site !== 'none')
}

const known = new WeakMap<Config, readonly AppCredentials[]>()

function appsOf(config: Config): readonly AppCredentials[] {
  let apps = known.get(config)
  if (apps === undefined) {
    apps = readApps(config)
    known.set(config, apps)
  }
  return apps
}

/** The application once for each of its keys. */
function readApps({ appId, appKey, appSecret, moreAppKeys }: Config): readonly AppCredentials[] {
  if (appId === null || appKey === null || appSecret === null) return []
  const more = moreAppKeys.map((pair) => {
    const colon = pair.indexOf(':')
    return { id: appId, key: pair.slice(0, colon), secret: pair.slice(colon + 1) }
  })
  return [{ id: appId, key: appKey, secret: appSecret }, ...more]
}

const FROM_PAGE = 'Pages may not publish; publish from your application.'
const DEFAULTS = 'The default credentials work only on this machine; set --app-id, --app-key and --app-secret.'
