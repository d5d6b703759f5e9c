import type { Channel } from '../channels/channel.ts'
import type { ErrorCode } from '../errors.ts'
import type { Decision, Member } from './authorizer.ts'
import { deny } from './denial.ts'
import { isObject, parseJson, userIdOf } from './laravel-json.ts'
import { messageOf, parseRetryAfter } from './laravel-refusal.ts'

/** What came back from Laravel. */
export type Answer = {
  readonly status: number
  /** Null when it was longer than the gateway reads. */
  readonly body: Uint8Array | null
  readonly location: string | undefined
  readonly retryAfter: string | undefined
}

/** Nothing came back. `detail` is an error code such as ECONNREFUSED. */
export type Failure = { readonly failure: 'timeout' | 'unreachable'; readonly detail: string }

/** Why a question was decided as it was: the closed list that logs, metrics and tests share. */
export const DECISION_REASONS = [
  'granted',
  'refused',
  'no_credentials',
  'too_many_denials',
  'throttled',
  'no_identity',
  'empty',
  'unrecognized',
  'too_large',
  'redirect',
  'no_route',
  'server_error',
  'timeout',
  'unreachable',
  'internal',
] as const

export type DecisionReason = (typeof DECISION_REASONS)[number]

export type Judgement = {
  readonly decision: Decision
  readonly reason: DecisionReason
  /** For the operator: a status or an error code, never anything the caller or Laravel wrote. */
  readonly detail?: string
  /** Present when the gateway itself should ask again before it answers; ms if Laravel said when. */
  readonly askAgain?: { readonly afterMs: number | null }
}

/** Turns what Laravel said into a decision. Only a 200 whose body is a grant to the letter allows. Never throws. */
export function judge(reply: Answer | Failure, channel: Channel, nowMs: number): Judgement {
  if ('failure' in reply) return judgeFailure(reply)
  return reply.status === 200 ? judgeBody(reply.body, channel) : judgeStatus(reply, nowMs)
}

function judgeFailure({ failure, detail }: Failure): Judgement {
  return { decision: temporarily('authorizer_unavailable'), reason: failure, detail, askAgain: { afterMs: null } }
}

function judgeBody(body: Uint8Array | null, { kind }: Channel): Judgement {
  if (body === null) return refused('too_large', TOO_LARGE)
  const answer = parseJson(body)
  if (answer === undefined) return isBlank(body) ? refused('empty', EMPTY) : refused('unrecognized', NOT_JSON)
  const member = memberOf(answer)
  const isGrant = answer === true || isSigned(answer) || member !== null
  if (!isGrant) return refused('unrecognized', NO_GRANT)
  if (kind === 'presence' && member === null) return refused('no_identity', NO_IDENTITY)
  // On a private channel it is nobody's list that he is on: of the user the id is kept, to know whose page it is.
  const known = kind === 'presence' || member === null ? member : { id: member.id, info: null }
  return { decision: grantOf(answer, known), reason: 'granted' }
}

function grantOf(answer: unknown, member: Member | null): Decision {
  const sharedSecret = isObject(answer) ? answer.shared_secret : undefined
  return {
    allowed: true,
    ...(member === null ? {} : { member }),
    ...(typeof sharedSecret === 'string' && sharedSecret !== '' ? { sharedSecret } : {}),
  }
}

/** The pusher, reverb and ably drivers sign their grants. */
function isSigned(answer: unknown): boolean {
  return isObject(answer) && typeof answer.auth === 'string' && answer.auth !== ''
}

/** Who the answer speaks of. `channel_data` is an object with the redis driver and a JSON text with the others. */
function memberOf(answer: unknown): Member | null {
  if (!isObject(answer)) return null
  // A signature that is there must be one: `{"auth":false,"channel_data":…}` is nobody's grant.
  if (Object.hasOwn(answer, 'auth') && !isSigned(answer)) return null
  const data = typeof answer.channel_data === 'string' ? parseJson(answer.channel_data) : answer.channel_data
  if (!isObject(data)) return null
  const id = userIdOf(data)
  return id === null ? null : { id, info: data.user_info ?? null }
}

function judgeStatus(answer: Answer, nowMs: number): Judgement {
  return { ...judgeNonGrant(answer, nowMs), detail: `status ${answer.status}` }
}

function judgeNonGrant({ status, body, location, retryAfter }: Answer, nowMs: number): Judgement {
  const code = REFUSALS[status]
  if (code !== undefined) return refused('refused', messageOf(body), code)
  if (status === 404 || status === 405) return refused('no_route', NO_ROUTE)
  if (status >= 300 && status < 400) return judgeRedirect(location)

  const afterMs = parseRetryAfter(retryAfter, nowMs)
  if (status === 429) {
    const decision = temporarily('too_many_requests', afterMs, messageOf(body))
    return { decision, reason: 'throttled', askAgain: { afterMs } }
  }
  if (status >= 500) {
    const decision = temporarily('authorizer_unavailable', afterMs, SERVER_ERROR)
    const judgement = { decision, reason: 'server_error' } as const
    // Any other 5xx is a mistake in the application: asking again at once only repeats it.
    return [502, 503, 504].includes(status) ? { ...judgement, askAgain: { afterMs } } : judgement
  }
  return refused('unrecognized', `Laravel answered ${status}, which is no answer to an auth call.`)
}

/** The refusals that are Laravel's own words. */
const REFUSALS: Record<number, ErrorCode> = { 401: 'unauthenticated', 403: 'forbidden', 419: 'session_expired' }

function judgeRedirect(location: string | undefined): Judgement {
  return isLogin(location)
    ? refused('redirect', LOGIN_REDIRECT, 'unauthenticated')
    : refused('redirect', OTHER_REDIRECT)
}

/** True for where Laravel's `auth` middleware sends guests. */
export function isLogin(location: string | undefined): boolean {
  return /\/(log|sign)[-_]?in\b/i.test(location ?? '')
}

function refused(reason: DecisionReason, message?: string, code: ErrorCode = 'forbidden'): Judgement {
  return { decision: deny(code, { message }), reason }
}

function temporarily(code: ErrorCode, afterMs: number | null = null, message?: string): Decision {
  // Without a word from Laravel, jittered: pages refused in one moment should not come back in one moment.
  return deny(code, { message, retryAfterMs: afterMs ?? 5_000 + Math.random() * 5_000 })
}

function isBlank(body: Uint8Array): boolean {
  return new TextDecoder().decode(body).trim() === ''
}

const EMPTY =
  'Laravel answered 200 with an empty body. Usually BROADCAST_CONNECTION (BROADCAST_DRIVER before Laravel 11) is log or null: set it to redis, reverb or pusher.'

const NOT_JSON =
  'Laravel answered 200 with a page or a text instead of an auth answer; check that --auth-endpoint is the broadcasting auth route.'

const NO_GRANT =
  'Laravel answered 200, but the body is no grant; a custom auth route should answer as Broadcast::auth() does.'

const NO_IDENTITY =
  'Laravel allows this presence channel but does not say who the user is; let its callback in routes/channels.php return an array such as ["id" => $user->id, "name" => $user->name].'

const TOO_LARGE =
  'Laravel answered with more than an auth answer may hold; return less about the user from the channel callback.'

const SERVER_ERROR =
  'Laravel failed while deciding about this channel (storage/logs/laravel.log says why); the refusal is temporary.'

const NO_ROUTE =
  'Laravel has no auth route at this address; run php artisan install:broadcasting, or set --auth-endpoint to the route it has.'

const LOGIN_REDIRECT =
  'Laravel answered with a redirect to its login page: nobody is logged in, and a middleware on the auth route (likely) redirects instead of answering 401.'

const OTHER_REDIRECT =
  'Laravel answered with a redirect, which is not followed; set --laravel-url to the final address, or look for a middleware on the auth route that redirects.'
