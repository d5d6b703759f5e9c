/**
 * Laravel's global Redis prefix, `database.redis.options.prefix`. Without REDIS_PREFIX it is derived
 * from APP_NAME, in one of two spellings: `laravel_database_` up to laravel/laravel 12.0, and
 * `laravel-database-` from 12.1 (laravel/laravel PR #6636; framework's own default since 13).
 */

import { isSlugCertain, slug } from './laravel-slug.ts'

export type Prefix = {
  /** Null when it cannot be told. */
  readonly value: string | null
  /** What to name when a person asks where it came from. */
  readonly variable: 'REDIS_PREFIX' | 'APP_NAME'
  /** What else it might be. */
  readonly alternatives: readonly string[]
  readonly notes: readonly string[]
}

type Env = Readonly<Record<string, string | undefined>>
type ReadFile = (path: string) => string | null

/** Reads the prefix as this application's own configuration would build it. */
export function readPrefix(env: Env, readFile: ReadFile): Prefix {
  const expression = prefixExpression(env, readFile)
  const value = expression === null ? null : evaluate(expression, env)
  const name = text(env.APP_NAME) ?? 'laravel'
  const spellings = [derived(name, '_'), derived(name, '-')]
  const fromVariable = env.REDIS_PREFIX !== undefined
  const notes: string[] = []
  if (value === null) {
    notes.push(
      'The Redis prefix in config/database.php could not be read; set --redis-prefix to the value of config("database.redis.options.prefix").',
    )
  } else if (!fromVariable && spellings.includes(value) && !isSlugCertain(name)) {
    notes.push(
      `APP_NAME has letters whose spelling in the Redis prefix is uncertain; the gateway assumes "${value}" (--redis-prefix decides).`,
    )
  }
  return {
    value,
    variable: fromVariable ? 'REDIS_PREFIX' : 'APP_NAME',
    alternatives: spellings.filter((spelling) => spelling !== value),
    notes,
  }
}

function derived(name: string, separator: '-' | '_'): string {
  return `${slug(name, separator)}${separator}database${separator}`
}

const UNDERSCORED = "env('REDIS_PREFIX', Str::slug(env('APP_NAME', 'laravel'), '_').'_database_')"
const DASHED = "env('REDIS_PREFIX', Str::slug(env('APP_NAME', 'laravel')).'-database-')"

/** The PHP expression behind the prefix; an empty text when the configuration has none, null when it is no line. */
function prefixExpression(env: Env, readFile: ReadFile): string | null {
  for (const file of ['config/database.php', 'vendor/laravel/framework/config/database.php']) {
    const redis = /['"]redis['"]\s*=>\s*\[(.*)$/s.exec(withoutComments(readFile(file) ?? ''))?.[1]
    if (redis !== undefined) return /['"]prefix['"]\s*=>\s*(.+?),?\s*$/m.exec(redis)?.[1] ?? "''"
  }
  if (env.REDIS_PREFIX !== undefined) return "env('REDIS_PREFIX')"
  return frameworkMajor(readFile) >= 13 ? DASHED : UNDERSCORED
}

function withoutComments(php: string): string {
  return php.replace(/\/\*.*?\*\//gs, '').replace(/^\s*(\/\/|#).*$/gm, '')
}

function frameworkMajor(readFile: ReadFile): number {
  for (const file of ['vendor/composer/installed.json', 'composer.lock']) {
    const version = /"name":\s*"laravel\/framework",\s*"version":\s*"v?(\d+)/.exec(readFile(file) ?? '')?.[1]
    if (version !== undefined) return Number(version)
  }
  return 0
}

const QUOTED = /^(['"])(.*)\1$/
const ENV = /^env\(\s*['"](\w+)['"]\s*(?:,\s*(.*))?\)$/s
const SLUG = /^(?:\\?(?:Illuminate\\Support\\)?Str::|str_)slug\((.*)\)\s*\.\s*(['"])(.*?)\2$/s

/** Evaluates the few forms this expression has in practice; null for any other. */
function evaluate(expression: string, env: Env): string | null {
  const php = expression.trim().replace(/^\(string\)\s*/, '')
  const [, , literal] = QUOTED.exec(php) ?? []
  if (literal !== undefined && !literal.includes("'")) return literal

  const [, variable, fallback] = ENV.exec(php) ?? []
  if (variable !== undefined) {
    const value = text(env[variable])
    return value ?? (fallback === undefined ? '' : evaluate(fallback, env))
  }

  const [, inner, , suffix] = SLUG.exec(php) ?? []
  if (inner === undefined || suffix === undefined) return null
  const [, title = inner, separator = '-'] = /^(.*\))\s*,\s*['"]([-_])['"]\s*$/s.exec(inner) ?? []
  const name = evaluate(title, env)
  return name === null ? null : slug(name, separator === '_' ? '_' : '-') + suffix
}

/** [Illuminate/Support/Env.php] A variable that says `null` or `empty` is there, and empty. */
function text(value: string | undefined): string | null {
  if (value === undefined) return null
  return ['null', '(null)', 'empty', '(empty)'].includes(value.toLowerCase()) ? '' : value
}
