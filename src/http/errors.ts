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

/** What Node's parser says about bytes that are no request. */
export type ClientError = Error & { code?: string; rawPacket?: unknown }

/** How long a client that was refused may take to close its side. */
const LINGER_MS = 2000

/** Answers what is not even HTTP, or too much of it: there is no request yet that could be answered otherwise. */
export function answerClientError(error: ClientError, socket: Socket, onRefused: (code: ErrorCode) => void): void {
  // [RFC 9112 9.6] Refused already: a reset while the rest of its bytes comes in can take the answer from the client.
  if (socket.writableEnded) return
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const refusal = new GatewayError(codeOf(error))
  const body = JSON.stringify(refusal)
  onRefused(refusal.code)
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store, no-transform\r\nConnection: close\r\n\r\n${body}`,
  )
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

// Node's own handler looks at the same field: a second answer in the middle of the first would corrupt it.
function isAnswering(socket: Socket): boolean {
  const { _httpMessage: answer } = socket as Socket & { _httpMessage?: { headersSent: boolean } | null }
  return answer?.headersSent === true
}

function codeOf({ code, rawPacket }: ClientError): ErrorCode {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  if (code !== 'HPE_HEADER_OVERFLOW') return 'bad_request'
  // Node counts the address among the headers. When its line has no end, it is the address that is too long.
  const isOneLine = Buffer.isBuffer(rawPacket) && !rawPacket.includes('\r\n')
  return isOneLine ? 'uri_too_long' : 'headers_too_large'
}

function withRetryAfter(error: GatewayError): GatewayError {
  const seconds = String(Math.ceil(retryAfterMs() / 1000))
  return new GatewayError(error.code, {
    message: error.message,
    cause: error.cause,
    headers: { 'Retry-After': seconds },
  })
}
