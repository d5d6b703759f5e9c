/** The JSON file of `--config`: one of ours, or one of laravel-echo-server's. */

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Given } from './arguments.ts'
import type { EchoServerClient } from './config.ts'
import { echoServerKeys, readEchoServer, SHARED_KEYS } from './echo-server.ts'
import { echoServerVariables, Sheet } from './echo-server-sheet.ts'
import { parseLaravelEnv } from './laravel-env.ts'
import { OPTIONS } from './options.ts'
import { didYouMean } from './suggest.ts'

export type ConfigFile = {
  readonly isEchoServers: boolean
  readonly given: ReadonlyMap<string, Given>
  /** What holds when nothing else says anything, not even Laravel's `.env`. */
  readonly assumed: ReadonlyMap<string, Given>
  readonly echoServerClients: readonly EchoServerClient[]
  readonly notes: readonly string[]
}

export type FileInput = {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What flags and variables say. */
  readonly stronger: ReadonlyMap<string, Given>
}

/** Reads the file that was named, if one was. */
export function readConfigFile(file: Given | undefined, input: FileInput, faults: string[]): ConfigFile {
  const path = file?.texts[0]
  if (file === undefined || path === undefined) return { ...NOTHING, notes: leftOverVariables(input.env) }
  const content = readJsonObject(resolve(input.cwd, path), file.label, faults)
  const theirs = echoServerKeys(content)
  if (theirs.length === 0) {
    return { ...NOTHING, given: ownOptions(content, path, faults), notes: leftOverVariables(input.env) }
  }
  const ours = Object.keys(content).filter(
    (key) => isOption(key) && !theirs.includes(key) && !SHARED_KEYS.includes(key),
  )
  if (ours.length > 0) {
    faults.push(
      `${path} mixes keys of laravel-echo-server (\`${theirs.join('`, `')}\`) with this gateway's (\`${ours.join('`, `')}\`); keep one kind and give the rest as flags or variables.`,
    )
    return NOTHING
  }
  // [src/cli/cli.ts] laravel-echo-server read the .env of the folder it was started in.
  const env = { ...dotEnv(input.cwd), ...input.env }
  return readEchoServer(new Sheet({ content, path, env, stronger: input.stronger }))
}

const NOTHING: ConfigFile = {
  isEchoServers: false,
  given: new Map(),
  assumed: new Map(),
  echoServerClients: [],
  notes: [],
}

function ownOptions(content: object, path: string, faults: string[]): Map<string, Given> {
  const layer = new Map<string, Given>()
  for (const [key, value] of Object.entries(content)) {
    const label = `\`${key}\` in ${path}`
    if (!isOption(key)) {
      faults.push(`${label} is not an option${didYouMean(key, Object.keys(OPTIONS))}`)
    } else if (value !== null) {
      const texts = (Array.isArray(value) ? value : [value]).map(scalarText)
      if (texts.every((text) => text !== null)) layer.set(key, { texts, label })
      else faults.push(`${label} must be a text, a number, a boolean or a list of texts.`)
    }
  }
  return layer
}

function isOption(key: string): boolean {
  return Object.hasOwn(OPTIONS, key) && key !== 'config'
}

function readJsonObject(path: string, label: string, faults: string[]): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) return { ...content }
    faults.push(`${label} must name a file that holds one JSON object, got \`${path}\`.`)
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : 'it cannot be read'
    faults.push(`${label} must name a JSON file, got \`${path}\`: ${why}.`)
  }
  return {}
}

function scalarText(value: unknown): string | null {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : null
}

function dotEnv(folder: string): Record<string, string> {
  try {
    return parseLaravelEnv(readFileSync(join(folder, '.env'), 'utf8'))
  } catch {
    return {}
  }
}

function leftOverVariables(env: FileInput['env']): string[] {
  const variables = echoServerVariables(env)
  if (variables.length === 0) return []
  return [`Not read: ${variables.join(', ')}; they count only with the file of laravel-echo-server in --config.`]
}
