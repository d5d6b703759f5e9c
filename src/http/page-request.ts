import type { FastifyInstance, FastifyRequest } from 'fastify'
import { judgeOrigin } from '../auth/origin.ts'
import { parseObject } from '../channels/own-traffic.ts'
import { GatewayError } from '../errors.ts'
import { describeRequest } from './caller.ts'
import type { Services } from './services.ts'

/** Bodies stay texts: numbers in them are passed on digit for digit. */
export function acceptText(app: FastifyInstance, types: string[]): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(types, { parseAs: 'string' }, (_request, body, done) => done(null, body))
}

/** Which page sends this: the socket id in a JSON body that the caller proves. Throws a GatewayError otherwise. */
export function proveSocket({ config, identities }: Services, request: FastifyRequest, text: string): string {
  const caller = describeRequest(request, config)
  const verdict = judgeOrigin(caller, config.allowOrigins)
  if (!verdict.allowed) throw new GatewayError('origin_denied', { message: verdict.why })
  const { socketId, key } = parseObject(text)
  if (typeof socketId !== 'string' || typeof key !== 'string') {
    throw new GatewayError('invalid_body', {
      message: 'The body must be a JSON object with socketId and key, both as `connected` gave them.',
    })
  }
  if (identities === null) throw new GatewayError('broker_unavailable')
  const headers = verdict.credentials ? caller.headers : {}
  if (!identities.proves({ socketId, key, headers })) throw new GatewayError('invalid_key')
  return socketId
}
