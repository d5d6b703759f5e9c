/**
 * Where the configuration comes from: flags over environment over a JSON file over Laravel's own
 * `.env` over defaults. Every fault is found before anything is said, so that one look is enough.
 */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Arguments, type Given, parseArguments } from './arguments.ts'
import { readConfigFile } from './file.ts'
import { credentialFamily, type LaravelApp, type LaravelEnv, readLaravelEnv } from './laravel-env.ts'
import { hidePasswords, InvalidValue, type Option, variablesOf } from './option.ts'
import { OPTIONS, type OptionName } from './options.ts'
import { settle } from './rules.ts'

/** From the strongest to the weakest. */
export const LAYERS = ['flag', 'environment', 'file', 'laravel', 'default'] as const
export type Layer = (typeof LAYERS)[number]

/** Where a value came from; `label` is how a person finds the place. */
export type Source = { readonly layer: Layer; readonly label: string }

/** A client of laravel-echo-server's HTTP API. */
export type EchoServerClient = {
  readonly appId: string
  readonly key: string
  /** False where it may only look. */
  readonly mayPublish: boolean
}

/** The options alone. */
export type Values = { -readonly [Name in OptionName]: (typeof OPTIONS)[Name]['default'] }

export type Config = Values & {
  /** Redis when a server, Sentinels or a cluster are known, else the embedded broker. */
  broker: 'memory' | 'redis'
  /** Where Laravel is asked: `authEndpoint` on `laravelUrl`. */
  authUrl: string
  /** True while publishing by HTTP takes `local`, `local`, `local`. */
  usesDefaultCredentials: boolean
  /** Who may publish without a signature: the clients of a laravel-echo-server configuration. */
  echoServerClients: readonly EchoServerClient[]
  /** Other prefixes this Laravel application might use; for diagnostics only. */
  alternativePrefixes: string[]
  /** What was found in `--laravel DIR`, or null. */
  laravelApp: LaravelApp | null
  /** Where each value came from. */
  sources: Record<OptionName, Source>
  /** Sentences about choices that were made; start-up logs them. */
  notes: string[]
}

export type ConfigInput = {
  /** The words after the command. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative files and folders begin here. */
  readonly cwd: string
  /** Read when it is in the folder and nothing says where Redis is. */
  readonly fallbackFile?: string
}

export type ConfigResult = { readonly config: Config } | { readonly faults: readonly string[] }

/** The configuration, or all faults of it as sentences. */
export function loadConfig({ argv, ...input }: ConfigInput): ConfigResult {
  const { flags, positionals, faults } = parseArguments(argv, OPTIONS)
  const surplus = positionals.map((word) => `\`${word}\` is not expected here; options begin with --.`)
  return resolveConfig({ flags, faults: [...faults, ...surplus], ...input })
}

/** As `loadConfig`, for a command that has taken its own words out of the arguments. */
export function resolveConfig(input: Pick<Arguments, 'flags' | 'faults'> & Omit<ConfigInput, 'argv'>): ConfigResult {
  const faults = [...input.faults]
  const environment = environmentLayer(input.env)
  const flags = withFallbackFile(input, environment)
  const stronger = new Map([...environment, ...flags])
  const file = readConfigFile(stronger.get('config'), { ...input, stronger }, faults)
  // APP_URL is where pages are; what laravel-echo-server's file names is where Laravel is asked.
  if (file.isEchoServers && file.given.has('laravelUrl') && environment.get('laravelUrl')?.label === '`APP_URL`')
    environment.delete('laravelUrl')
  const layers: [Layer, ReadonlyMap<string, Given>][] = [
    ['flag', flags],
    ['environment', environment],
    ['file', file.given],
  ]
  const laravel = laravelLayer(strongest('laravel', layers)?.given, input.cwd, faults)
  if (laravel !== null) layers.push(['laravel', laravel.given])
  layers.push(['file', file.assumed])

  const { values, sources } = parseLayers(layers, faults)
  const config = settle({ values, sources, file, laravel, env: input.env }, faults)
  if (flags !== input.flags)
    config.notes.unshift(`${input.fallbackFile} of this folder is read, because nothing else says where Redis is.`)
  return faults.length === 0 ? { config } : { faults: [...new Set(faults)] }
}

/** A whole configuration for tests: the defaults, changed as the test needs. */
export function defaultConfig(overrides: Partial<Config> = {}): Config {
  const { values, sources } = parseLayers([], [])
  const options = Object.keys(overrides).filter((name): name is OptionName => Object.hasOwn(OPTIONS, name))
  for (const name of options) sources[name] = { layer: 'flag', label: name }
  const config = settle({ values: { ...values, ...overrides }, sources, file: null, laravel: null, env: {} }, [])
  return { ...config, ...overrides }
}

/** Empty variables count as unset, and so does `null`, as Laravel writes it. */
function environmentLayer(env: ConfigInput['env']): Map<string, Given> {
  const layer = new Map<string, Given>()
  const family = credentialFamily(env)
  for (const [name, option] of Object.entries<Option>(OPTIONS)) {
    const variables = variablesOf(name, option)
    const variable = variables.find(
      (candidate) => isSet(env[candidate]) && (!/^(PUSHER|REVERB)_/.test(candidate) || candidate.startsWith(family)),
    )
    const text = variable === undefined ? undefined : env[variable]
    if (text !== undefined) layer.set(name, { texts: [text], label: `\`${variable}\`` })
  }
  return layer
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'null'
}

/** Options that say where messages come from. */
const PLACES: readonly OptionName[] = ['config', 'laravel', 'redis', 'redisSentinels', 'redisCluster']

function withFallbackFile(
  { flags, cwd, fallbackFile }: Pick<Arguments, 'flags'> & Pick<ConfigInput, 'cwd' | 'fallbackFile'>,
  environment: ReadonlyMap<string, Given>,
): ReadonlyMap<string, Given> {
  const isSaid = PLACES.some((name) => flags.has(name) || environment.has(name))
  if (fallbackFile === undefined || isSaid || !existsSync(resolve(cwd, fallbackFile))) return flags
  return new Map([...flags, ['config', { texts: [fallbackFile], label: `\`${fallbackFile}\` of this folder` }]])
}

function laravelLayer(directory: Given | undefined, cwd: string, faults: string[]): LaravelEnv | null {
  const path = directory?.texts.at(-1)
  if (directory === undefined || path === undefined) return null
  const env = readLaravelEnv(resolve(cwd, path))
  if (env === null) {
    faults.push(`${directory.label} must be the folder of a Laravel application with a readable .env, got \`${path}\`.`)
  }
  return env
}

function strongest(name: string, layers: readonly (readonly [Layer, ReadonlyMap<string, Given>])[]) {
  for (const [layer, values] of layers) {
    const given = values.get(name)
    if (given !== undefined) return { layer, given }
  }
  return null
}

function parseLayers(layers: readonly (readonly [Layer, ReadonlyMap<string, Given>])[], faults: string[]) {
  const values: Record<string, unknown> = {}
  const sources: Record<string, Source> = {}
  for (const [name, option] of Object.entries<Option>(OPTIONS)) {
    const found = strongest(name, layers)
    values[name] = structuredClone(option.default)
    sources[name] = { layer: found?.layer ?? 'default', label: found?.given.label ?? 'default' }
    if (found !== null) values[name] = parseGiven(option, found.given, faults) ?? values[name]
  }
  // The loop above has filled in every name of the table, each by its own kind.
  return { values: values as Values, sources: sources as Record<OptionName, Source> }
}

/** The value of what was given, or undefined and a fault. */
export function parseGiven(option: Option, { texts, label }: Given, faults: string[]): unknown {
  const text = option.kind.isList ? texts.join(',') : (texts.at(-1) ?? '')
  try {
    return option.kind.parse(text)
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    faults.push(`${label} ${error.message}${option.secret === true ? '' : `, got \`${hidePasswords(text)}\``}.`)
    return undefined
  }
}
