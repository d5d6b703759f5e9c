import { isObject, type Sheet } from './echo-server-sheet.ts'
import { hidePasswords } from './option.ts'

/** What of a laravel-echo-server configuration means nothing here, or something else; each is said once, at start. */

export type NotesAbout = {
  /** How many clients are let in. */
  readonly clients: number
  /** The one that is asked first. */
  readonly authHosts: readonly string[]
  readonly unknown: readonly string[]
}

export function echoServerNotes(sheet: Sheet, { clients, authHosts, unknown }: NotesAbout): string[] {
  const { path } = sheet
  return [
    `${path} is a configuration of laravel-echo-server. Pages need the client laravel-echo-sse: there is no socket.io here.`,
    ...listeningNotes(sheet),
    ...laravelNotes(sheet, authHosts),
    ...redisNotes(sheet),
    ...INSTEAD.flatMap(([key, isUsual, instead]) =>
      isUsual(sheet.value(key)) ? [] : [`${sheet.label(key)} means nothing here: ${instead}`],
    ),
    ...clientNotes(sheet, clients),
    ...(unknown.length === 0
      ? []
      : [`Not read: ${list(unknown)} in ${path}, which laravel-echo-server 1.6 does not know.`]),
  ]
}

const isEmpty = (value: unknown) =>
  value === undefined || value === null || value === '' || (isObject(value) && Object.keys(value).length === 0)

/** Keys without a meaning, the value that goes without saying, and what to use. */
const INSTEAD: readonly [key: string, isUsual: (value: unknown) => boolean, instead: string][] = [
  [
    'socketio',
    isEmpty,
    'options of socket.io have no counterpart; heartbeat, limits and origins are options of the gateway.',
  ],
  ['headers', isEmpty, 'let nginx add headers (add_header … always).'],
  ['database', (value) => isEmpty(value) || value === 'redis', 'presence is kept in Redis, or in memory without one.'],
  [
    'databaseConfig.publishPresence',
    (value) => isEmpty(value) || value === false,
    'the application is told of members by --webhook-urls (member_added, member_removed).',
  ],
  ['apiOriginAllow.allowMethods', isEmpty, 'the gateway answers preflights by itself.'],
  ['apiOriginAllow.allowHeaders', isEmpty, 'the gateway answers preflights by itself.'],
]

const TLS_KEYS = ['sslCertPath', 'sslKeyPath', 'sslCertChainPath', 'sslPassphrase']

function listeningNotes(sheet: Sheet): string[] {
  const notes: string[] = []
  const keys = TLS_KEYS.filter((key) => !isEmpty(sheet.value(key)))
  if (sheet.text('protocol') === 'https') keys.unshift('protocol')
  if (keys.length > 0)
    notes.push(
      `${keys.map((key) => sheet.label(key)).join(', ')}: the gateway speaks plain HTTP. Let nginx in front of it speak TLS (nginx/gateway.conf), with the same certificate; secureOptions are nginx's ssl_protocols.`,
    )
  if (sheet.text('host') === null && !sheet.isAnswered('host') && !sheet.isAnswered('socket'))
    notes.push(
      'laravel-echo-server listens on all addresses unless `host` is set; the gateway listens on 127.0.0.1, for a proxy on the same machine. --host 0.0.0.0 opens it to all, as a container needs.',
    )
  if (!sheet.isAnswered('allowOrigins'))
    notes.push(
      "laravel-echo-server let pages of every origin listen; the gateway lets those of its own origin, of Laravel's and of `apiOriginAllow` (unless it is *). --allow-origin names others.",
    )
  return notes
}

function laravelNotes(sheet: Sheet, [first, ...others]: readonly string[]): string[] {
  const notes = [
    "Other than laravel-echo-server, the gateway verifies Laravel's TLS certificate, takes an empty 200 of the auth route for a refusal, calls private what begins with private- or presence-, and hands Laravel the caller's own Cookie, Authorization and CSRF headers, no others that a page names.",
  ]
  if (others.length > 0 && !sheet.isAnswered('laravelUrl'))
    notes.push(
      `Laravel is asked at ${hidePasswords(first ?? '')}, whoever the caller is. Not used: ${others.map(hidePasswords).join(', ')} of ${sheet.label('authHost')}; a Referer chooses nothing here. Run a gateway for each application, and name further origins with --allow-origin.`,
    )
  return notes
}

/** What ioredis was told that the gateway knows or decides by itself. */
const REDIS_KEYS = [
  'cluster',
  'db',
  'enableTLSForSentinelMode',
  'family',
  'host',
  'keyPrefix',
  'name',
  'password',
  'path',
  'port',
  'sentinelPassword',
  'sentinels',
  'tls',
  'username',
]

function redisNotes(sheet: Sheet): string[] {
  const notes: string[] = []
  if (!sheet.isOn('subscribers', 'redis')) {
    notes.push(
      `${sheet.label('subscribers.redis')} is off, so Redis is not used: messages come by HTTP, to one gateway. Several gateways need it on.`,
    )
    return notes
  }
  if (sheet.isAnswered('redis') || sheet.isAnswered('redisSentinels') || sheet.isAnswered('redisCluster')) {
    notes.push(`Redis and its password in ${sheet.path} are not used, because another Redis is named.`)
    return notes
  }
  const redis = sheet.value('databaseConfig.redis')
  const unread = isObject(redis) ? Object.keys(redis).filter((key) => !REDIS_KEYS.includes(key)) : []
  if (unread.length > 0)
    notes.push(`Not read: ${list(unread)} of \`databaseConfig.redis\` in ${sheet.path}; the gateway decides it itself.`)
  const tls = sheet.value('databaseConfig.redis.tls')
  if (isObject(tls) && Object.keys(tls).length > 0)
    notes.push(
      `Of ${sheet.label('databaseConfig.redis.tls')} only that there is TLS is read. The certificate is verified: name the file of its authority with --redis-tls-ca.`,
    )
  return notes
}

function clientNotes(sheet: Sheet, accepted: number): string[] {
  const written = sheet.value('clients')
  const count = Array.isArray(written) ? written.length : 0
  const notes: string[] = []
  if (accepted > 0)
    notes.push(
      "`clients` may use /apps without a signature, as in laravel-echo-server. Laravel's pusher driver and Pusher's SDKs sign: for them set --app-id, --app-key and --app-secret, and take the client with that key out.",
    )
  if (count > accepted)
    notes.push(
      `Not every entry of ${sheet.label('clients')} is used: an entry needs an appId of its own and a key, both texts that are not empty.`,
    )
  if (accepted > 0 && !sheet.isOn('subscribers', 'http'))
    notes.push(`${sheet.label('subscribers.http')} is off: \`clients\` may look, and not publish.`)
  return notes
}

function list(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ')
}
