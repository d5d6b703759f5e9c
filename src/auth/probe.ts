import type { Credentials } from './authorizer.ts'
import { type LaravelCallOptions, LaravelConnection } from './laravel.ts'
import { type Answer, type Failure, isLogin, judge } from './laravel-answer.ts'

/** Does the auth route answer as it should? One call without credentials, at start, turned into a sentence. */

// Nobody's channel: a healthy Laravel refuses it, to whomever.
const CHANNEL = { name: 'private-laravel-echo-sse-probe', kind: 'private' } as const
const SOCKET_ID = '1.1'

export type ProbeFinding = {
  /** What to do. */
  readonly sentence: string
  /** True while Laravel may just not be up yet. */
  readonly mayPass: boolean
}

/** Null when all is well. Never rejects; a signal that is aborted ends the call. */
export async function probeLaravel(options: LaravelCallOptions, signal?: AbortSignal): Promise<ProbeFinding | null> {
  const laravel = new LaravelConnection(options)
  const close = () => laravel.close()
  signal?.addEventListener('abort', close, { once: true })
  try {
    const reply = await laravel.ask(CHANNEL, nobody(laravel.address), SOCKET_ID)
    const sentence =
      'failure' in reply ? sentenceForFailure(reply, laravel.address) : sentenceFor(reply, laravel.address)
    return sentence === null
      ? null
      : { sentence, mayPass: 'failure' in reply || [502, 503, 504].includes(reply.status) }
  } finally {
    signal?.removeEventListener('abort', close)
    await laravel.close()
  }
}

function nobody(address: URL): Credentials {
  const protocol = address.protocol === 'https:' ? 'https' : 'http'
  return { headers: {}, address: '127.0.0.1', protocol, host: address.host }
}

function sentenceFor(answer: Answer, { href }: URL): string | null {
  const { status, location } = answer
  if (status === 200) return sentenceForBody(answer, href)
  if (status === 404) {
    return `Laravel has no route at ${href}: run php artisan install:broadcasting, or set --auth-endpoint to the route it has.`
  }
  if (status === 405) return `The route at ${href} does not take POST; is --auth-endpoint the broadcasting auth route?`
  if (status === 503) return `Laravel at ${href} answers 503: is it in maintenance mode (php artisan up ends it)?`
  if (status >= 500) return `Laravel at ${href} answers ${status} to an auth call; storage/logs/laravel.log says why.`
  if (status >= 300 && status < 400 && !isLogin(location)) {
    return `${href} redirects to ${placeOf(location)}, and redirects are not followed: set --laravel-url to the final address.`
  }
  return null
}

function sentenceForBody(answer: Answer, href: string): string | null {
  const { decision, reason } = judge(answer, CHANNEL, 0)
  if (decision.allowed)
    return `${href} grants a private channel to a caller without any login; guard it before anybody else finds out.`
  if (reason === 'empty') {
    return `Laravel answers 200 with an empty body at ${href}: BROADCAST_CONNECTION (BROADCAST_DRIVER before Laravel 11) is log or null; set it to redis, reverb or pusher.`
  }
  return `${href} answers 200, but not as Laravel's auth route does; are --laravel-url and --auth-endpoint right?`
}

function sentenceForFailure({ failure, detail }: Failure, { href, hostname }: URL): string {
  if (failure === 'timeout') {
    return `Laravel at ${href} gave ${detail}; php artisan serve answers one request at a time unless PHP_CLI_SERVER_WORKERS is set.`
  }
  if (detail === 'ECONNREFUSED') return `Nobody listens at ${href}: is Laravel running, and is --laravel-url right?`
  if (detail === 'ENOTFOUND' || detail === 'EAI_AGAIN')
    return `The host ${hostname} is not known: is --laravel-url right?`
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(detail)) {
    return `The certificate of ${href} does not verify (${detail}): name its authority in NODE_EXTRA_CA_CERTS.`
  }
  return `Laravel could not be reached at ${href} (${detail}): is --laravel-url right?`
}

/** A redirect's query may hold tokens, so it stays out of the log. */
function placeOf(location = ''): string {
  return location.replace(/[?#].*$/s, '').slice(0, 200) || 'another address'
}
