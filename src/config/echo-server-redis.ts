import type { EchoServerAnswer } from './echo-server.ts'
import { isObject, type Sheet } from './echo-server-sheet.ts'

/** `databaseConfig.redis`: what laravel-echo-server handed to ioredis, as our options. */

const REDIS = 'databaseConfig.redis'
const DEFAULT_HOST = '127.0.0.1'

type Answers = { readonly given: EchoServerAnswer[]; readonly assumed: EchoServerAnswer[] }

export function redisAnswers(sheet: Sheet): Answers {
  if (!sheet.isOn('subscribers', 'redis')) return { given: [], assumed: [] }
  const prefix = answersOf(sheet, { keyPrefix: 'redisPrefix' })
  // Its password belongs to the server it names, and goes to no other.
  if (SERVERS.some((option) => sheet.isAnswered(option))) return { given: prefix, assumed: [] }
  const server = serverAnswers(sheet)
  const local: EchoServerAnswer = ['redis', [`redis://${DEFAULT_HOST}:6379`], sheet.defaultLabel(REDIS)]
  return { given: [...server, ...prefix], assumed: server.length > 0 ? [] : [local] }
}

const SERVERS = ['redis', 'redisSentinels', 'redisCluster']

/** True when the connection is to be encrypted. */
function wantsTls(sheet: Sheet): boolean {
  const tls = sheet.value(`${REDIS}.tls`)
  return isObject(tls) || tls === true || sheet.text(`${REDIS}.enableTLSForSentinelMode`) === 'true'
}

function serverAnswers(sheet: Sheet): EchoServerAnswer[] {
  const sentinels = nodesOf(sheet, 'sentinels', 26_379)
  const cluster = nodesOf(sheet, 'cluster', 6379)
  const login = answersOf(sheet, { username: 'redisUsername', password: 'redisPassword' })
  const tls: EchoServerAnswer[] = wantsTls(sheet) ? [['redisTls', ['true'], sheet.label(`${REDIS}.tls`)]] : []
  if (sentinels.length > 0) {
    const names = answersOf(sheet, { name: 'redisSentinelName', sentinelPassword: 'redisSentinelPassword' })
    return [['redisSentinels', sentinels, sheet.label(`${REDIS}.sentinels`)], ...names, ...login, ...tls]
  }
  if (cluster.length > 0) return [['redisCluster', cluster, sheet.label(`${REDIS}.cluster`)], ...login, ...tls]
  const address = addressOf(sheet)
  return address === null ? [] : [['redis', [address.url], address.label], ...login]
}

/** Keys whose texts are answers as they are. */
function answersOf(sheet: Sheet, options: Readonly<Record<string, string>>): EchoServerAnswer[] {
  return Object.entries(options).flatMap(([key, option]): EchoServerAnswer[] => {
    const text = sheet.text(`${REDIS}.${key}`)
    return text === null ? [] : [[option, [text], sheet.label(`${REDIS}.${key}`)]]
  })
}

/** The URL of one server; null when the file says nothing about it. */
function addressOf(sheet: Sheet): { url: string; label: string } | null {
  const whole = sheet.text(REDIS)
  if (whole !== null) return { url: urlOf(whole), label: sheet.label(REDIS) }
  const path = sheet.text(`${REDIS}.path`)
  if (path !== null) return { url: `unix://${encodeURI(path)}`, label: sheet.label(`${REDIS}.path`) }
  const keys = ['host', 'port', 'db', 'username', 'password'].filter((key) => sheet.text(`${REDIS}.${key}`) !== null)
  const [first] = keys
  if (first === undefined && !wantsTls(sheet)) return null
  const host = sheet.text(`${REDIS}.host`) ?? DEFAULT_HOST
  const server = `${host.includes(':') ? `[${host}]` : host}:${sheet.text(`${REDIS}.port`) ?? 6379}`
  const scheme = wantsTls(sheet) ? 'rediss' : 'redis'
  const database = sheet.text(`${REDIS}.db`)
  return {
    url: `${scheme}://${server}${database === null ? '' : `/${database}`}`,
    label: sheet.label(`${REDIS}.${first ?? 'tls'}`),
  }
}

/** [ioredis lib/utils parseURL] A number is a port, a path a socket, and a scheme may be missing. */
function urlOf(text: string): string {
  if (text.includes('://')) return text
  if (text.startsWith('/')) return `unix://${encodeURI(text)}`
  return `redis://${/^\d+$/.test(text) ? `${DEFAULT_HOST}:${text}` : text}`
}

/** `host:port` of each server in a list. */
function nodesOf(sheet: Sheet, key: 'sentinels' | 'cluster', defaultPort: number): string[] {
  const written = sheet.value(`${REDIS}.${key}`)
  return (Array.isArray(written) ? written : []).map((node: unknown) => {
    if (!isObject(node)) return String(node)
    const { host = DEFAULT_HOST, port = defaultPort } = node
    return `${String(host).includes(':') ? `[${host}]` : host}:${port}`
  })
}
