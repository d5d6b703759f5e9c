/**
 * A configuration of laravel-echo-server 1.6, read as it is. What its keys meant: tlaverdure/laravel-echo-server
 * src/echo-server.ts, src/server.ts, src/channels/private-channel.ts, src/subscribers/redis-subscriber.ts.
 */

import type { Given } from './arguments.ts'
import type { EchoServerClient } from './config.ts'
import { echoServerNotes } from './echo-server-notes.ts'
import { redisAnswers } from './echo-server-redis.ts'
import { isObject, type Sheet } from './echo-server-sheet.ts'
import type { ConfigFile } from './file.ts'

const KEYS = [
  'apiOriginAllow',
  'authEndpoint',
  'authHost',
  'clients',
  'database',
  'databaseConfig',
  'devMode',
  'headers',
  'host',
  'port',
  'protocol',
  'secureOptions',
  'socketio',
  'sslCertChainPath',
  'sslCertPath',
  'sslKeyPath',
  'sslPassphrase',
  'subscribers',
]

/** Keys that this gateway has as well. */
export const SHARED_KEYS: readonly string[] = ['authEndpoint', 'host', 'port']

/** The keys of a file that laravel-echo-server alone knows. */
export function echoServerKeys(content: object): string[] {
  return Object.keys(content).filter((key) => KEYS.includes(key) && !SHARED_KEYS.includes(key))
}

/** An option, what it is given, and what a person calls the place. */
export type EchoServerAnswer = readonly [option: string, texts: readonly string[], label: string]

/** What the file answers, who may publish, and what becomes of the rest. */
export function readEchoServer(sheet: Sheet): ConfigFile {
  const { given, assumed } = redisAnswers(sheet)
  const clients = clientsOf(sheet)
  return {
    isEchoServers: true,
    given: layer([...listeningAnswers(sheet), ...laravelAnswers(sheet), ...given]),
    assumed: layer([['laravelUrl', ['http://localhost'], sheet.defaultLabel('authHost')], ...assumed]),
    echoServerClients: clients,
    notes: echoServerNotes(sheet, {
      clients: clients.length,
      authHosts: authHosts(sheet),
      unknown: unknownKeys(sheet),
    }),
  }
}

function layer(answers: readonly EchoServerAnswer[]): Map<string, Given> {
  return new Map(answers.map(([option, texts, label]) => [option, { texts, label }]))
}

function listeningAnswers(sheet: Sheet): EchoServerAnswer[] {
  const answers: EchoServerAnswer[] = []
  const port = sheet.text('port')
  // [server.ts getPort] It may be an address that ends in the port.
  if (port !== null) answers.push(['port', [/([0-9]{2,5})\/?$/.exec(port)?.[1] ?? port], sheet.label('port')])
  const host = sheet.text('host')
  if (host !== null) answers.push(['host', [host], sheet.label('host')])
  if (sheet.text('devMode') === 'true') answers.push(['logLevel', ['debug'], sheet.label('devMode')])
  const origins = originsOf(sheet)
  if (origins.length > 0) answers.push(['allowOrigins', origins, sheet.label('apiOriginAllow.allowOrigin')])
  return answers
}

/** `*` would take the cookies of pages of every origin. Laravel's own is added to it, as always. */
function originsOf(sheet: Sheet): string[] {
  const origin = sheet.text('apiOriginAllow.allowOrigin')
  if (sheet.text('apiOriginAllow.allowCors') !== 'true' || origin === null || origin === '*') return []
  return [origin]
}

function laravelAnswers(sheet: Sheet): EchoServerAnswer[] {
  const answers: EchoServerAnswer[] = []
  const [host] = authHosts(sheet)
  if (host !== undefined) answers.push(['laravelUrl', [host], sheet.label('authHost')])
  const endpoint = sheet.text('authEndpoint')
  if (endpoint !== null) answers.push(['authEndpoint', [endpoint], sheet.label('authEndpoint')])
  return answers
}

/** The one that is asked first. [private-channel.ts] An entry may be a domain, which only a Referer made an address. */
function authHosts(sheet: Sheet): string[] {
  const written = sheet.value('authHost')
  const hosts = (Array.isArray(written) ? written : [sheet.text('authHost')]).filter(
    (host): host is string => typeof host === 'string' && host !== '',
  )
  const first = hosts.find((host) => /^https?:\/\//i.test(host))
  return first === undefined ? hosts : [first, ...hosts.filter((host) => host !== first)]
}

/** Those that laravel-echo-server let in. [server.ts canAccess] The first of an id counts, and only texts are equal to texts. */
function clientsOf(sheet: Sheet): EchoServerClient[] {
  const written = sheet.value('clients')
  const mayPublish = sheet.isOn('subscribers', 'http')
  const clients: EchoServerClient[] = []
  for (const client of Array.isArray(written) ? written : []) {
    const { appId, key } = isObject(client) ? client : {}
    if (typeof appId !== 'string' || typeof key !== 'string' || appId === '' || key === '') continue
    if (!clients.some((other) => other.appId === appId)) clients.push({ appId, key, mayPublish })
  }
  return clients
}

function unknownKeys(sheet: Sheet): string[] {
  return Object.keys(sheet.content).filter((key) => !KEYS.includes(key))
}
