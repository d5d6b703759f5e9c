/**
 * Everything a request can be refused for: a closed list of codes, each with its HTTP status and
 * the sentence the caller reads. docs/protocol.md quotes this table; a test compares the two.
 */
export const ERRORS = {
  missing_channels: [400, 'Name the channels: /stream?channels=orders,private-invoices.1 (an empty list is allowed).'],
  too_many_channels: [400, 'This stream asks for too many channels; split them over several streams.'],
  invalid_parameter: [400, 'A parameter has a value this gateway does not understand.'],
  invalid_channel: [400, 'This is not the name of a channel.'],
  bad_request: [400, 'This is not a valid HTTP request.'],
  invalid_body: [400, 'The body is not what this address expects.'],
  unauthorized: [401, 'Sign the request with a valid key and secret.'],
  invalid_key: [401, 'This key does not prove this socket id; take both from the `connected` frame of your stream.'],
  unauthenticated: [401, 'This channel needs a login: send a session cookie or an Authorization header.'],
  origin_denied: [403, 'This origin may not use the gateway; add it to --allow-origin.'],
  local_only: [403, 'This address answers only callers on this machine that come without a proxy.'],
  forbidden: [403, 'Laravel does not allow this user on this channel.'],
  not_subscribed: [403, 'Whisper only to a private or presence channel that a stream of this socket id listens to.'],
  whisper_denied: [403, 'This channel carries no whispers.'],
  revoked: [403, 'The permission for this channel was withdrawn.'],
  not_found: [404, 'There is nothing at this address.'],
  method_not_allowed: [405, 'This address does not take that method.'],
  request_timeout: [408, 'The request took too long to arrive; send it in one go.'],
  session_expired: [419, 'Laravel refused the CSRF token; reload the page or send X-XSRF-TOKEN.'],
  body_too_large: [413, 'The body is too large.'],
  uri_too_long: [414, 'The address is too long; send the channels in the body of POST /stream.'],
  unsupported_media_type: [415, 'Send JSON, with Content-Type: application/json (or, to /stream, a form).'],
  too_many_requests: [429, 'Too many requests; try again later.'],
  too_many_whispers: [429, 'Too many whispers from this page; slow down.'],
  too_many_denials: [429, 'Too many refused channels from this address; try again in a minute.'],
  too_many_connections: [429, 'Too many streams from this address.'],
  headers_too_large: [431, 'The request headers are too large.'],
  internal: [500, 'The gateway made a mistake; its log says more.'],
  overloaded: [503, 'This gateway is full; try again shortly.'],
  draining: [503, 'This gateway is stopping; try again, another one will answer.'],
  broker_unavailable: [503, 'The broker did not take the message; try again.'],
  authorizer_unavailable: [503, 'Laravel could not be asked about this channel; the refusal is temporary.'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof ERRORS

export type GatewayErrorOptions = {
  /** What to say instead of the table's sentence, when more is known. */
  message?: string
  cause?: unknown
  /** Response headers the answer needs, such as `Allow` or `Retry-After`. */
  headers?: Record<string, string>
}

/** The caller's or the world's fault. Our own bugs are thrown as anything else. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Record<string, string>

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    super(options.message ?? ERRORS[code][1], { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.status = ERRORS[code][0]
    this.headers = options.headers ?? {}
  }

  /** The body every refusal has. */
  toJSON(): { error: { code: ErrorCode; message: string } } {
    return { error: { code: this.code, message: this.message } }
  }
}
