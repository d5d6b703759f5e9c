import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GatewayError } from '../../errors.ts'
import { describeRequest, type HttpCaller, pathOf } from '../caller.ts'
import type { Services } from '../services.ts'
import { type AppCredentials, verifyRequest } from './signature.ts'

/** The signature covers the bytes, so they are needed as they came. */
export function acceptJsonBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

export function signedBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/** Throws unless one of our applications has signed the request. */
export function checkSignature({ config }: Services, request: FastifyRequest): void {
  const caller = describeRequest(request, config)
  if (isFromPage(caller))
    throw new GatewayError('origin_denied', { message: 'Pages may not publish; publish from your application.' })
  if (config.usesDefaultCredentials && !caller.isLocal) {
    throw new GatewayError('local_only', {
      message: 'The default credentials work only on this machine; set --app-id, --app-key and --app-secret.',
    })
  }
  const url = request.raw.url ?? ''
  const query = url.slice(pathOf(url).length + 1)
  const verdict = verifyRequest({
    method: 'POST',
    path: pathOf(url),
    query,
    body: signedBody(request),
    apps: appsOf(config),
    now: Date.now(),
  })
  if (!verdict.ok) throw new GatewayError('unauthorized', { message: verdict.why })
}

// A browser says so; whoever signs requests is no page.
function isFromPage({ headers }: HttpCaller): boolean {
  const site = headers['sec-fetch-site']
  return headers.origin !== undefined || (site !== undefined && site !== 'none')
}

function appsOf({ appId, appKey, appSecret }: Services['config']): AppCredentials[] {
  return appId === null || appKey === null || appSecret === null ? [] : [{ id: appId, key: appKey, secret: appSecret }]
}

export function parseObject(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new GatewayError('invalid_body', { message: 'The body must be JSON.', cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('The body must be a JSON object.')
  return value as Record<string, unknown>
}

export function invalid(message: string): GatewayError {
  return new GatewayError('invalid_body', { message })
}
