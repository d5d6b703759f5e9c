import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { retryAfterMs } from './admission.ts'

/** What Fastify finds wrong with a request, in our words. */
const FRAMEWORK_ERRORS: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_body',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_body',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_body',
}

const COMES_BACK: ReadonlySet<ErrorCode> = new Set([
  'overloaded',
  'draining',
  'broker_unavailable',
  'too_many_connections',
])

/** Any error as one that has a code, a status and a sentence. */
export function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return COMES_BACK.has(error.code) ? withRetryAfter(error) : error
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number }
  const known = code === undefined ? undefined : FRAMEWORK_ERRORS[code]
  if (known !== undefined) return new GatewayError(known, { cause: error })
  const isCallers = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  return new GatewayError(isCallers ? 'invalid_body' : 'internal', { cause: error })
}

/** Answers what is not even HTTP, or too much of it: there is no request yet that could be answered otherwise. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code: ErrorCode = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'invalid_body'
  const refusal = new GatewayError(
    code,
    error.code === 'HPE_HEADER_OVERFLOW' ? {} : { message: sentenceFor(error.code) },
  )
  const body = JSON.stringify(refusal)
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
  )
}

function sentenceFor(code: string | undefined): string {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT'
    ? 'The request took too long to arrive.'
    : 'This is not a valid HTTP request.'
}

function withRetryAfter(error: GatewayError): GatewayError {
  const seconds = String(Math.ceil(retryAfterMs() / 1000))
  return new GatewayError(error.code, {
    message: error.message,
    cause: error.cause,
    headers: { 'Retry-After': seconds },
  })
}
