/** What must hold between options, and the defaults that depend on other options. */

import type { Config, EchoServerClient, Layer, Source, Values } from './config.ts'
import type { ConfigFile } from './file.ts'
import type { LaravelEnv } from './laravel-env.ts'
import { flagOf } from './option.ts'
import { OPTIONS, type OptionName } from './options.ts'

export type Draft = {
  readonly values: Values
  readonly sources: Record<OptionName, Source>
  readonly file: ConfigFile | null
  readonly laravel: LaravelEnv | null
  readonly env: Readonly<Record<string, string | undefined>>
}

type Settling = Draft & { readonly faults: string[]; readonly notes: string[] }

const STRENGTH: Record<Layer, number> = { flag: 4, environment: 3, file: 2, laravel: 1, default: 0 }

/** Completes a configuration from parsed values. What cannot be is added to `faults`. */
export function settle(draft: Draft, faults: string[]): Config {
  const settling: Settling = { ...draft, faults, notes: [] }
  const { values, sources, file, laravel, notes } = settling
  settleListening(settling)
  const broker = settleRedis(settling)
  const usesDefaultCredentials = settleCredentials(settling, broker)
  checkAppKeys(settling)
  checkWebhooks(settling)
  checkClients(settling)
  if (sources.tryPage.layer === 'default') values.tryPage = broker === 'memory'
  settleOrigins(settling)
  checkSizes(settling)
  notes.push(...(file?.notes ?? []), ...(laravel?.notes ?? []))
  return {
    ...values,
    broker,
    authUrl: authUrl(values),
    usesDefaultCredentials,
    echoServerClients: clientsOf(settling),
    alternativePrefixes: (laravel?.alternativePrefixes ?? []).filter((prefix) => prefix !== values.redisPrefix),
    laravelApp: laravel?.app ?? null,
    sources,
    notes,
  }
}

function settleListening(settling: Settling): void {
  const { values, faults } = settling
  rivals(settling, 'socket', 'port')
  if (
    values.adminPort !== null &&
    values.adminPort !== 0 &&
    values.socket === null &&
    values.adminPort === values.port
  ) {
    faults.push(`${name(settling, 'adminPort')} must differ from ${name(settling, 'port')}, both are ${values.port}.`)
  }
  if (values.trustProxy.includes('none')) {
    if (values.trustProxy.length > 1)
      faults.push(`${name(settling, 'trustProxy')} cannot hold \`none\` together with others.`)
    values.trustProxy = []
  }
}

function settleRedis(settling: Settling): Config['broker'] {
  const { values, sources, notes, laravel, env } = settling
  rivals(settling, 'redis', 'redisSentinels')
  rivals(settling, 'redis', 'redisCluster')
  rivals(settling, 'redisSentinels', 'redisCluster')
  forgetForeignPassword(settling)

  const hasNames = values.redisSentinels.length > 0 || values.redisCluster.length > 0
  if (values.redisSentinels.length === 0)
    needs(settling, ['redisSentinelName', 'redisSentinelPassword'], '--redis-sentinels')
  if (!hasNames) needs(settling, ['redisTls'], '--redis-sentinels or --redis-cluster')
  if (values.redis === null && !hasNames) {
    needs(settling, ['redisUsername', 'redisPassword', 'redisTlsCa'], '--redis')
    notes.push(whyMemory(laravel))
    if (env.REDIS_HOST) notes.push('REDIS_HOST is set, but the gateway reads REDIS_URL, or the `.env` of --laravel.')
    return 'memory'
  }
  if (values.redisTlsCa !== null && !values.redisTls && !values.redis?.startsWith('rediss:')) {
    settling.faults.push(
      `${name(settling, 'redisTlsCa')} has no effect without TLS; use a rediss:// URL or --redis-tls.`,
    )
  }
  if (sources.redis.layer === 'laravel') notes.push(`Redis is the one of ${sources.redis.label}.`)
  if (laravel !== null) notes.push(`The Redis prefix is "${values.redisPrefix}" (${sources.redisPrefix.label}).`)
  return 'redis'
}

function whyMemory(laravel: LaravelEnv | null): string {
  const connection = laravel?.app.broadcastConnection
  const why = laravel === null ? '' : ` (Laravel's .env has BROADCAST_CONNECTION=${connection ?? ''}, not redis)`
  return `No Redis is configured${why}, so the embedded memory broker is used: one gateway, and messages come by HTTP only. --redis changes that.`
}

/** A password of Laravel's `.env` goes to the server named there and to no other. */
function forgetForeignPassword({ values, sources, notes }: Settling): void {
  if (sources.redis.layer === 'laravel') return
  const foreign = (['redisUsername', 'redisPassword'] as const).filter((option) => sources[option].layer === 'laravel')
  for (const option of foreign) {
    values[option] = null
    sources[option] = DEFAULT
  }
  if (foreign.length > 0)
    notes.push(
      "REDIS_USERNAME and REDIS_PASSWORD of Laravel's .env are not used, because another Redis is configured; --redis-password sets one.",
    )
}

const CREDENTIALS = ['appId', 'appKey', 'appSecret'] as const

/** Id, key and secret belong together. Returns whether the well-known local ones are in force. */
function settleCredentials(settling: Settling, broker: Config['broker']): boolean {
  const { values, sources, faults, notes } = settling
  if (CREDENTIALS.some((option) => STRENGTH[sources[option].layer] > STRENGTH.laravel)) {
    for (const option of CREDENTIALS.filter((each) => sources[each].layer === 'laravel')) {
      values[option] = null
      sources[option] = DEFAULT
    }
  }
  const missing = CREDENTIALS.filter((option) => values[option] === null)
  if (missing.length === 0) return false
  if (missing.length < CREDENTIALS.length) {
    const there = CREDENTIALS.filter((option) => !missing.includes(option))
    const flags = (options: readonly OptionName[]) => options.map((option) => name(settling, option)).join(' and ')
    faults.push(
      `${flags(there)} ${there.length > 1 ? 'are' : 'is'} set without ${flags(missing)}; publishing by HTTP needs id, key and secret.`,
    )
    return false
  }
  if (broker === 'memory' && values.socket === null && isLoopback(values.host)) {
    for (const option of CREDENTIALS) values[option] = 'local'
    return true
  }
  if (broker === 'memory' && !clientsOf(settling).some(({ mayPublish }) => mayPublish))
    notes.push(
      'Nobody can publish: the memory broker takes messages by HTTP only, and on a public address that needs --app-id, --app-key and --app-secret.',
    )
  return false
}

/** A key that is there twice would have two secrets. */
function checkAppKeys(settling: Settling): void {
  const { values, faults } = settling
  if (values.appId === null) needs(settling, ['moreAppKeys'], '--app-id, --app-key and --app-secret')
  const keys = appKeysOf(values)
  if (new Set(keys).size < keys.length)
    faults.push(`${name(settling, 'moreAppKeys')} names a key twice, or the app key.`)
}

function appKeysOf({ appKey, moreAppKeys }: Values): (string | null)[] {
  return [appKey, ...moreAppKeys.map((pair) => pair.slice(0, pair.indexOf(':')))]
}

/** Whoever is told checks the signature, so there has to be one. */
function checkWebhooks(settling: Settling): void {
  const { values, faults } = settling
  if (values.webhookUrls.length === 0) needs(settling, ['webhookEvents'], '--webhook-urls')
  else if (values.appSecret === null) {
    faults.push(
      `${name(settling, 'webhookUrls')} needs --app-id, --app-key and --app-secret: webhooks are signed with the secret.`,
    )
  }
}

/** An app key stands in the code of pages: nothing may hang on it alone. */
function checkClients(settling: Settling): void {
  const { values, faults, notes } = settling
  const { PUSHER_APP_KEY, REVERB_APP_KEY } = settling.env
  // Also those that other credentials have taken the place of here: pages have them all the same.
  const others = [PUSHER_APP_KEY, REVERB_APP_KEY, ...(settling.laravel?.given.get('appKey')?.texts ?? [])]
  const appKeys = [...appKeysOf(values), ...others]
  for (const { appId, key } of clientsOf(settling)) {
    if (appKeys.includes(key)) {
      faults.push(
        `The client ${appId} in \`clients\` has an app key of the application, which pages know: whoever has it could publish. Take the client out, and let its publisher sign with --app-secret.`,
      )
    }
    if (appId === values.appId) {
      notes.push(
        `The client ${appId} in \`clients\` has the id of the application, whose requests must be signed; its own key is not used.`,
      )
    }
  }
}

function clientsOf({ file }: Pick<Draft, 'file'>): readonly EchoServerClient[] {
  return file?.echoServerClients ?? []
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function settleOrigins(settling: Settling): void {
  const { values, sources, faults, laravel, env } = settling
  if (values.allowOrigins.includes('*') && values.allowOrigins.length > 1) {
    faults.push(
      `${name(settling, 'allowOrigins')} cannot hold \`*\` together with others: \`*\` means public channels without credentials.`,
    )
  }
  // Those of laravel-echo-server came on top of its own application.
  const isFormers = settling.file?.isEchoServers === true && sources.allowOrigins.layer === 'file'
  if (sources.allowOrigins.layer === 'default' || isFormers) {
    const urls = [env.APP_URL, laravel?.app.url, values.laravelUrl]
    const given = isFormers ? values.allowOrigins : []
    values.allowOrigins = [...new Set([...given, ...urls.flatMap((url) => originOf(url ?? ''))])]
  }
}

function originOf(url: string): string[] {
  return /^https?:/i.test(url) && URL.canParse(url) ? [new URL(url).origin] : []
}

function authUrl({ laravelUrl, authEndpoint }: Values): string {
  return authEndpoint.startsWith('/') ? laravelUrl.replace(/\/+$/, '') + authEndpoint : authEndpoint
}

function checkSizes(settling: Settling): void {
  within(settling, 'backlogBytes', 'totalBacklogBytes')
  within(settling, 'historyChannelBytes', 'historyBytes')
  within(settling, 'maxConnectionsPerAddress', 'maxConnections')
  within(settling, 'authPerRequest', 'authConcurrency')
  within(settling, 'headersTimeoutMs', 'requestTimeoutMs')
  const { values, sources, faults } = settling
  // A single late marker is no reason to be unready.
  if (values.readyTimeoutMs >= 2 * values.markerIntervalMs) return
  if (sources.readyTimeoutMs.layer === 'default') values.readyTimeoutMs = 3 * values.markerIntervalMs
  else
    faults.push(
      `${name(settling, 'readyTimeoutMs')} must be at least twice ${name(settling, 'markerIntervalMs')} (${values.markerIntervalMs}), got ${values.readyTimeoutMs}.`,
    )
}

type NumberOption = { [Name in OptionName]: Values[Name] extends number ? Name : never }[OptionName]

/** The part may not exceed the whole; a part nobody has set shrinks with it. */
function within(settling: Settling, part: NumberOption, whole: NumberOption): void {
  const { values, sources, faults } = settling
  if (values[part] <= values[whole]) return
  if (sources[part].layer === 'default') values[part] = values[whole]
  else
    faults.push(
      `${name(settling, part)} (${values[part]}) must not exceed ${name(settling, whole)} (${values[whole]}).`,
    )
}

/** Two options of which one can hold: the stronger source wins, and the same source contradicts itself. */
function rivals(settling: Settling, one: OptionName, other: OptionName): void {
  const { sources, values, faults } = settling
  const [strengthOne, strengthOther] = [STRENGTH[sources[one].layer], STRENGTH[sources[other].layer]]
  if (strengthOne === 0 || strengthOther === 0) return
  if (strengthOne === strengthOther) {
    faults.push(`${name(settling, one)} and ${name(settling, other)} exclude each other; set one of them.`)
    return
  }
  const loser = strengthOne < strengthOther ? one : other
  Object.assign(values, { [loser]: structuredClone(OPTIONS[loser].default) })
  sources[loser] = DEFAULT
}

/** Options that do nothing without another one; in an environment shared with Laravel they may be left over. */
function needs({ sources, faults }: Settling, options: readonly OptionName[], wanted: string): void {
  for (const option of options) {
    if (STRENGTH[sources[option].layer] === STRENGTH.flag || sources[option].layer === 'file') {
      faults.push(`${sources[option].label} has no effect without ${wanted}.`)
    }
  }
}

const DEFAULT: Source = { layer: 'default', label: 'default' }

/** The place where a value was set, else the flag that sets it. */
function name({ sources }: Settling, option: OptionName): string {
  return sources[option].layer === 'default' ? `\`${flagOf(option, OPTIONS[option])}\`` : sources[option].label
}
