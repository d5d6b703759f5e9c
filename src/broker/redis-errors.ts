/** What Redis answered, as a sentence that says what to do next. */
export function explainRedisError(error: unknown, where: string): string {
  const text = error instanceof Error ? error.message : String(error)
  const code = (error as { code?: string } | null)?.code
  for (const [pattern, sentence] of KNOWN) {
    if (pattern.test(text) || (code !== undefined && pattern.test(code)))
      return `${where} ${sentence} (${firstLine(text)})`
  }
  return `${where} answered: ${firstLine(text)}`
}

/** True when Redis answered, and its answer was no. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

/** True when the server that answered is not the master. */
export function isReplica(error: unknown): boolean {
  return isRefusal(error) && READONLY.test((error as Error).message)
}

/** True for what waiting cannot cure: a wrong password, a missing right. */
export function isPermanent(error: unknown): boolean {
  return /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR Client sent AUTH)/.test(
    error instanceof Error ? error.message : '',
  )
}

// Redis 6 puts a script's trouble behind a text of its own: "ERR Error running script (…): … -READONLY …".
const READONLY = /(^|-)READONLY/

const KNOWN: readonly (readonly [RegExp, string])[] = [
  // In a script a missing right has other words, in each version of Redis its own.
  [
    /^NOPERM|executing the script can't run|ACL failure in script/,
    'denies this user a right the gateway needs; `laravel-echo-sse-server acl` prints the rule to set',
  ],
  [
    /^(WRONGPASS|ERR invalid password)/,
    'does not accept user and password; check REDIS_URL or --redis-username and --redis-password',
  ],
  [/^NOAUTH/, 'wants a password; put it into REDIS_URL or --redis-password'],
  [/^ERR Client sent AUTH/, 'has no password set, but one was given; leave it out'],
  [/(^|-)OOM/, 'has no memory left for writes (maxmemory); free some or raise the limit'],
  [/(^|-)MISCONF/, 'cannot save its data and therefore takes no writes; its own log says why'],
  [READONLY, 'is a replica; name the master, or its Sentinels with --redis-sentinels'],
  [/^LOADING/, 'is still loading its data; trying again'],
  [/ECONNREFUSED/, 'refuses the connection; is the server running, and are host and port right?'],
  [/sentinels are unreachable/, 'cannot be asked for; are the Sentinels running, and do they know this name?'],
  [/Failed to refresh slots|startup nodes/, 'cannot be reached on any of its nodes; is it running?'],
  [/ENOTFOUND|EAI_AGAIN/, 'cannot be found; check the host name'],
  [/ENOENT/, 'has no such socket; check the path'],
  [/ETIMEDOUT|timed out|socket timeout/i, 'does not answer; is a firewall in between?'],
  [/ALTNAME/, 'shows a certificate made for another name; use the host name that is in it'],
  [
    /certificate|self[- ]signed|_CERT|_SIGNATURE/i,
    'shows a certificate that is not trusted; name its authority with --redis-tls-ca',
  ],
]

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
