/**
 * Every option of the gateway, once. The `Config` type, the parser, `--help` and
 * docs/configuration.md all come from this table; the JSON key of an option is its name here.
 */

import { WEBHOOK_NAMES, type WebhookName } from '../webhooks/event.ts'
import {
  anyText,
  boolean,
  bytes,
  choice,
  hostPort,
  integer,
  keyPair,
  list,
  matching,
  option,
  origin,
  pathOrUrl,
  proxy,
  redisUrl,
  text,
  url,
} from './option.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const HOUR_MS = 3_600_000

const general = {
  config: option(text('FILE'), null, 'A JSON file with options; its keys are the names in this table.'),
  laravel: option(text('DIR'), null, 'Folder of the Laravel application whose `.env` is read.', {
    env: ['LARAVEL_DIR'],
  }),
  logLevel: option(
    choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'The least important log line that is written.',
  ),
}

const listening = {
  port: option(integer(0, 65_535), 6001, 'TCP port to listen on; 0 takes a free one.'),
  host: option(
    matching('HOST', /^[^\s/:]+$|^[\da-f:.]+$/i, 'a host name or an address'),
    '127.0.0.1',
    'Address to listen on.',
  ),
  socket: option(
    text('PATH'),
    null,
    'Listen on this Unix socket instead of a TCP port (one nginx to one TCP port ends near 28,000 connections).',
  ),
  adminPort: option(
    integer(0, 65_535),
    null,
    'Answer `/metrics`, `/health` and `/ready` on this port of `--host`; without it only callers on this machine that come without a proxy get `/metrics`.',
  ),
  trustProxy: option(
    list(proxy),
    ['loopback', 'unix'],
    'Whose `X-Forwarded-*` headers count: addresses, ranges, `loopback`, `unix`, `none`; the rightmost untrusted address is the client.',
  ),
  tryPage: option(boolean, false, 'Serve the try-it page at `/`.', {
    defaultNote: 'on with the memory broker, else off',
  }),
}

const redis = {
  redis: option(
    redisUrl,
    null,
    'Redis to relay from: `redis://`, `rediss://` or `unix://`; without it the embedded memory broker is used.',
    {
      env: ['REDIS_URL'],
      defaultNote: 'from `--laravel`, else none (memory broker)',
      secret: 'url',
    },
  ),
  redisPrefix: option(anyText('PREFIX'), '', "Laravel's global Redis key prefix (`database.redis.options.prefix`).", {
    defaultNote: 'from `--laravel`, else empty',
  }),
  redisUsername: option(text('NAME'), null, 'Redis ACL user; wins over the one in the URL.'),
  redisPassword: option(text('PASSWORD'), null, 'Redis password; wins over the one in the URL.', { secret: true }),
  redisTlsCa: option(
    text('FILE'),
    null,
    'PEM file with the authority that signed the certificate of a `rediss://` server.',
  ),
  redisTls: option(
    boolean,
    false,
    'Speak TLS with the servers that Sentinels or Cluster name; `rediss://` says it by itself.',
  ),
  redisSentinels: option(
    list(hostPort),
    [] as string[],
    'Redis Sentinels to ask for the master, instead of `--redis`.',
  ),
  redisSentinelName: option(text('NAME'), 'mymaster', 'Name of the master the Sentinels watch.'),
  redisSentinelPassword: option(text('PASSWORD'), null, 'Password of the Sentinels themselves.', { secret: true }),
  redisCluster: option(list(hostPort), [] as string[], 'Some nodes of a Redis Cluster, instead of `--redis`.', {
    // REDIS_CLUSTER is Laravel's name for something else.
    env: ['REDIS_CLUSTER_NODES'],
  }),
}

const laravel = {
  laravelUrl: option(
    url('http:', 'https:'),
    'http://localhost:8000',
    'Where Laravel is asked about private and presence channels.',
    {
      env: ['LARAVEL_URL', 'APP_URL'],
      secret: 'url',
      defaultNote: "`APP_URL` in Laravel's `.env`, else `http://localhost:8000`",
    },
  ),
  authEndpoint: option(pathOrUrl, '/broadcasting/auth', "Laravel's authorization route: a path, or an absolute URL.", {
    secret: 'url',
  }),
  authAnonymous: option(boolean, false, 'Ask Laravel also for requests with neither Cookie nor Authorization.'),
  authConcurrency: option(integer(1, 10_000), 16, 'Auth calls in flight to Laravel at the same time.'),
  authPerRequest: option(integer(1, 1000), 4, 'Auth calls in flight for one request at the same time.'),
  authTimeoutMs: option(integer(100, 120_000), 10_000, 'How long one auth call may take.', { unit: 'ms' }),
  authTries: option(integer(1, 10), 3, 'How often an auth call is made while Laravel answers 429, 502, 503 or 504.'),
  authMaxBodyBytes: option(bytes(KIB, 16 * MIB), 64 * KIB, 'Longest auth answer that is read.', { unit: 'bytes' }),
  maxDenialsPerMinute: option(
    integer(1, 1_000_000),
    300,
    'Refused channels a minute from one address, beyond which the gateway answers 429 itself.',
  ),
}

const access = {
  allowOrigins: option(
    list(origin),
    [] as string[],
    'Origins whose pages may send credentials; `*` means public channels without credentials.',
    {
      flag: 'allow-origin',
      env: ['ALLOW_ORIGINS'],
      defaultNote: 'origins of `APP_URL` and of the Laravel URL',
    },
  ),
  secret: option(
    matching('TEXT', /^.{16,}$/s, 'at least 16 characters long'),
    null,
    'Signs the key with which a page keeps its socket id.',
    {
      secret: true,
      defaultNote: 'random, shared through Redis',
    },
  ),
  keyTtlS: option(integer(60, 30 * 86_400), 86_400, 'How long such a key is good.', { unit: 's' }),
}

const presence = {
  lingerMs: option(
    integer(0, 600_000),
    5000,
    'How long somebody stays on a presence channel after the last connection has gone; a reload fits in.',
    { unit: 'ms' },
  ),
  leaseS: option(
    integer(1, 600),
    15,
    'Within this time after a gateway was killed, everybody is told that those who were there have left.',
    { unit: 's' },
  ),
  grantS: option(
    integer(0, 3600),
    60,
    'How long a page that comes back and proves its socket id need not be put to Laravel again; 0 always asks.',
    { unit: 's' },
  ),
  recheckS: option(
    integer(0, 86_400),
    0,
    'How often Laravel is asked again about the guarded channels of open streams; 0 never.',
    { unit: 's' },
  ),
  maxMembersListed: option(
    integer(1, 100_000),
    1000,
    'Members that a `subscribed` frame names; beyond it come the first ones and a count.',
  ),
  maxMemberBytes: option(bytes(64, MIB), 16 * KIB, 'What Laravel may say about one member.', { unit: 'bytes' }),
  maxWhisperBytes: option(bytes(64, MIB), 10 * KIB, 'Longest data of a whisper.', { unit: 'bytes' }),
  maxWhispersPerSecond: option(integer(0, 10_000), 10, 'Whispers a second from one socket; 0 forbids them.'),
}

const CREDENTIALS_NOTE = '`local` with the memory broker on a loopback address, else none (publishing by HTTP is off)'

const publishing = {
  appId: option(
    matching('ID', /^[\w-]+$/, 'letters, digits, - and _'),
    null,
    'Application id of those who publish by HTTP.',
    {
      env: ['PUSHER_APP_ID', 'REVERB_APP_ID'],
      defaultNote: CREDENTIALS_NOTE,
    },
  ),
  appKey: option(text('KEY'), null, 'Application key of those who publish by HTTP.', {
    env: ['PUSHER_APP_KEY', 'REVERB_APP_KEY'],
    defaultNote: CREDENTIALS_NOTE,
  }),
  appSecret: option(text('SECRET'), null, 'Signs what is published by HTTP.', {
    env: ['PUSHER_APP_SECRET', 'REVERB_APP_SECRET'],
    secret: true,
    defaultNote: CREDENTIALS_NOTE,
  }),
  moreAppKeys: option(
    list(keyPair),
    [] as string[],
    'Further keys of the application, while its keys are changed: the gateway takes what any of them has signed.',
    { secret: true },
  ),
  maxEventBytes: option(
    bytes(64, 16 * MIB),
    10 * KIB,
    'Longest data of one event published by HTTP; Pusher and Reverb take 10k.',
    { unit: 'bytes' },
  ),
  maxPublishBodyBytes: option(bytes(KIB, 64 * MIB), MIB, 'Longest body of a request to `/apps/…`.', { unit: 'bytes' }),
}

const webhooks = {
  webhookUrls: option(
    list(url('http:', 'https:')),
    [] as string[],
    "Where the application is told of its channels, in Pusher's format and signed with the application's secret.",
    // Some carry a password or a token.
    { secret: true },
  ),
  webhookEvents: option(
    { ...list(choice(...WEBHOOK_NAMES)), placeholder: 'NAME' },
    ['channel_occupied', 'channel_vacated', 'member_added', 'member_removed', 'cache_miss'] as WebhookName[],
    `What it is told of: ${WEBHOOK_NAMES.join(', ')}; \`client_event\` comes once for each whisper, \`subscription_count\` with each change.`,
  ),
}

const limits = {
  maxConnections: option(integer(1, 1_000_000), 10_000, 'Streams open at the same time.'),
  maxConnectionsPerAddress: option(
    integer(1, 1_000_000),
    1000,
    'Streams open at the same time from one address (IPv6: one /64); whole offices sit behind one.',
  ),
  maxChannels: option(integer(1, 10_000), 100, 'Channels of one stream.'),
  maxChannelBytes: option(bytes(1, 4 * KIB), 200, 'Longest channel name.', { unit: 'bytes' }),
  maxUrlBytes: option(bytes(256, 64 * KIB), 8 * KIB, 'Longest URL.', { unit: 'bytes' }),
  maxHeaderBytes: option(bytes(KIB, 256 * KIB), 16 * KIB, 'All request headers together.', { unit: 'bytes' }),
  maxBodyBytes: option(bytes(KIB, 16 * MIB), 64 * KIB, 'Longest body of a request, except to `/apps/…`.', {
    unit: 'bytes',
  }),
  headersTimeoutMs: option(integer(100, 600_000), 10_000, 'How long a client may take to send its headers.', {
    unit: 'ms',
  }),
  requestTimeoutMs: option(integer(100, 600_000), 30_000, 'How long a client may take to send its whole request.', {
    unit: 'ms',
  }),
  backlogBytes: option(bytes(KIB, GIB), MIB, 'Unsent bytes of one stream, beyond which it ends with `bye slow`.', {
    unit: 'bytes',
  }),
  totalBacklogBytes: option(bytes(KIB, 64 * GIB), 256 * MIB, 'Unsent bytes of all streams together.', {
    unit: 'bytes',
  }),
}

const history = {
  historyBytes: option(
    bytes(0, 64 * GIB),
    128 * MIB,
    'Messages kept for clients that come back: all channels together.',
    { unit: 'bytes' },
  ),
  historyChannelBytes: option(bytes(0, 64 * GIB), 8 * MIB, 'Messages kept: one channel.', { unit: 'bytes' }),
  historyMessages: option(integer(0, 1_000_000), 1000, 'Messages kept: one channel, by number.'),
  historyAgeS: option(integer(1, 86_400), 600, 'How long a message is kept.', { unit: 's' }),
  cacheTtlS: option(integer(0, 86_400), 1800, 'How long the last event of a cache channel is kept; 0 keeps none.', {
    unit: 's',
  }),
}

const timing = {
  heartbeatMs: option(
    integer(2000, 55_000),
    15_000,
    'Silence after which a `ping` is sent; below 60 s, the read timeout of nginx and most proxies.',
    { unit: 'ms' },
  ),
  retryMs: option(
    integer(100, HOUR_MS),
    3000,
    'The `retry:` hint of streams: how long a native EventSource waits before it comes back.',
    { unit: 'ms' },
  ),
  drainMs: option(
    integer(0, HOUR_MS),
    8000,
    'How long the gateway takes to say goodbye to its clients when it stops.',
    { unit: 'ms' },
  ),
  markerIntervalMs: option(integer(100, 60_000), 2000, 'How often a marker goes through Redis.', { unit: 'ms' }),
  readyTimeoutMs: option(integer(100, 300_000), 6000, 'Without a marker for so long, `/ready` turns red.', {
    unit: 'ms',
  }),
}

export const GROUPS = [
  { title: 'General', options: general },
  { title: 'Listening', options: listening },
  { title: 'Redis', options: redis },
  { title: 'Asking Laravel', options: laravel },
  { title: 'Origins and identity', options: access },
  { title: 'Presence and whispers', options: presence },
  { title: 'Publishing by HTTP', options: publishing },
  { title: 'Webhooks', options: webhooks },
  { title: 'Limits', options: limits },
  { title: 'History', options: history },
  { title: 'Timing', options: timing },
] as const

export const OPTIONS = {
  ...general,
  ...listening,
  ...redis,
  ...laravel,
  ...access,
  ...presence,
  ...publishing,
  ...webhooks,
  ...limits,
  ...history,
  ...timing,
}

export type OptionName = keyof typeof OPTIONS
