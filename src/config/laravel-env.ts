/** What a Laravel application's own `.env` says about its Redis, its address and its credentials. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import dotenv from 'dotenv'
import type { Given } from './arguments.ts'
import { describeObstacles } from './laravel-obstacles.ts'
import { type Prefix, readPrefix } from './laravel-prefix.ts'

/** Facts that diagnostics use. Holds no secret. */
export type LaravelApp = {
  readonly directory: string
  readonly name: string | null
  readonly url: string | null
  /** BROADCAST_CONNECTION, or BROADCAST_DRIVER up to Laravel 10. */
  readonly broadcastConnection: string | null
  readonly queueConnection: string | null
}

export type LaravelEnv = {
  readonly app: LaravelApp
  /** Options this `.env` answers, as texts. */
  readonly given: ReadonlyMap<string, Given>
  readonly alternativePrefixes: readonly string[]
  readonly notes: readonly string[]
}

export type Env = Readonly<Record<string, string | undefined>>
/** Text of a file of the application, or null when it cannot be read. */
export type ReadFile = (path: string) => string | null

/** Reads the application in this folder, or null when it has no readable `.env`. */
export function readLaravelEnv(directory: string): LaravelEnv | null {
  const text = readText(join(directory, '.env'))
  if (text === null) return null
  const env = parseLaravelEnv(text)
  const readFile = (file: string) => readText(join(directory, file))
  const app = describeApp(directory, env, readFile)
  const prefix = readPrefix(env, readFile)
  const redis = app.broadcastConnection === 'redis' ? redisOptions(env) : {}
  const options = { ...redis, ...addressOptions(env), ...credentialOptions(env), ...prefixOption(prefix) }
  return {
    app,
    given: new Map(
      Object.entries(options).map(([name, [variable, value]]) => [
        name,
        { texts: [value], label: `\`${variable}\` in ${join(directory, '.env')}` },
      ]),
    ),
    alternativePrefixes: prefix.alternatives,
    notes: [...prefix.notes, ...describeObstacles(app, env, readFile)],
  }
}

/**
 * Parses a `.env` as Laravel does: `${NAME}` stands for an earlier variable, except in single quotes, and a
 * backslash protects in double quotes (vlucas/phpdotenv `Parser/EntryParser.php`). Unknown names stay as they are.
 */
export function parseLaravelEnv(text: string): Record<string, string> {
  const resolved = new Map<string, string>()
  for (const [name, value] of Object.entries(dotenv.parse(text))) {
    const quote = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=\\s*(['"]?)`, 'm').exec(text)?.[1]
    const pattern = quote === '"' ? /\\([\\"$])|\$\{([\w.]+)\}/g : /()\$\{([\w.]+)\}/g
    const expand = (whole: string, escaped: string, other: string) => escaped || (resolved.get(other) ?? whole)
    resolved.set(name, quote === "'" ? value : value.replace(pattern, expand))
  }
  return Object.fromEntries(resolved)
}

/**
 * Which of the two sets of credentials counts: the one of the broadcaster in use, else the one that
 * is there. Key and secret of different sets never meet.
 */
export function credentialFamily(env: Env): 'PUSHER' | 'REVERB' {
  const connection = setting(env, 'BROADCAST_CONNECTION') ?? setting(env, 'BROADCAST_DRIVER')
  if (connection === 'pusher') return 'PUSHER'
  if (connection === 'reverb') return 'REVERB'
  return setting(env, 'PUSHER_APP_SECRET') === null && setting(env, 'REVERB_APP_SECRET') !== null ? 'REVERB' : 'PUSHER'
}

/** [Illuminate/Support/Env.php] `null`, `(null)`, `empty` and nothing at all say the same to us. */
export function setting(env: Env, name: string): string | null {
  const value = env[name]
  return value === undefined || ['', 'null', '(null)', 'empty', '(empty)'].includes(value.toLowerCase()) ? null : value
}

/** For each option the variable that answers it and its text. */
type Answers = Record<string, [variable: string, value: string]>

function describeApp(directory: string, env: Env, readFile: ReadFile): LaravelApp {
  return {
    directory,
    name: setting(env, 'APP_NAME'),
    url: setting(env, 'APP_URL'),
    broadcastConnection: setting(env, 'BROADCAST_CONNECTION') ?? setting(env, 'BROADCAST_DRIVER'),
    queueConnection: setting(env, 'QUEUE_CONNECTION') ?? defaultQueue(readFile),
  }
}

function redisOptions(env: Env): Answers {
  const url = setting(env, 'REDIS_URL')
  const address = url === null ? redisAddress(env) : normalScheme(url)
  const answers: Answers = { redis: [url === null ? 'REDIS_HOST' : 'REDIS_URL', address] }
  // [Illuminate/Support/ConfigurationUrlParser.php] What the URL leaves open comes from the single variables.
  const inUrl = URL.canParse(address) ? new URL(address) : null
  const username = setting(env, 'REDIS_USERNAME')
  const password = setting(env, 'REDIS_PASSWORD')
  if (username !== null && !inUrl?.username) answers.redisUsername = ['REDIS_USERNAME', username]
  if (password !== null && !inUrl?.password) answers.redisPassword = ['REDIS_PASSWORD', password]
  return answers
}

/** The URL of REDIS_HOST, REDIS_PORT, REDIS_DB and REDIS_SCHEME; a host may be a socket or carry its scheme. */
function redisAddress(env: Env): string {
  const [, hostScheme, host = ''] = /^(?:(\w+):\/\/)?(.*)$/.exec(setting(env, 'REDIS_HOST') ?? '127.0.0.1') ?? []
  const path = setting(env, 'REDIS_PATH') ?? host
  if (path.startsWith('/')) return `unix://${path}`
  const scheme = (hostScheme ?? setting(env, 'REDIS_SCHEME')) === 'tls' ? 'rediss' : 'redis'
  const database = setting(env, 'REDIS_DB') ?? '0'
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  return `${scheme}://${bracketed}:${setting(env, 'REDIS_PORT') ?? '6379'}/${database}`
}

function normalScheme(url: string): string {
  return url.replace(/^tcp:/, 'redis:').replace(/^tls:/, 'rediss:')
}

function addressOptions(env: Env): Answers {
  const url = setting(env, 'APP_URL')
  return url === null ? {} : { laravelUrl: ['APP_URL', url] }
}

function credentialOptions(env: Env): Answers {
  const family = credentialFamily(env)
  const answers: Answers = {}
  for (const part of ['Id', 'Key', 'Secret']) {
    const variable = `${family}_APP_${part.toUpperCase()}`
    const value = setting(env, variable)
    if (value !== null) answers[`app${part}`] = [variable, value]
  }
  return answers
}

function prefixOption({ value, variable }: Prefix): Answers {
  return value === null ? {} : { redisPrefix: [variable, value] }
}

/** `database` since Laravel 11, `sync` before. */
function defaultQueue(readFile: ReadFile): string | null {
  const queue = readFile('config/queue.php') ?? readFile('vendor/laravel/framework/config/queue.php') ?? ''
  return /env\(\s*['"]QUEUE_CONNECTION['"]\s*,\s*['"](\w+)['"]/.exec(queue)?.[1] ?? null
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
