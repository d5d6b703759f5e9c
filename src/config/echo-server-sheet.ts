import type { Given } from './arguments.ts'

/** The variables that laravel-echo-server took over its file. [src/cli/cli.ts envVariables] */
const VARIABLES: Readonly<Record<string, string>> = {
  LARAVEL_ECHO_SERVER_AUTH_HOST: 'authHost',
  LARAVEL_ECHO_SERVER_DEBUG: 'devMode',
  LARAVEL_ECHO_SERVER_HOST: 'host',
  LARAVEL_ECHO_SERVER_PORT: 'port',
  LARAVEL_ECHO_SERVER_REDIS_HOST: 'databaseConfig.redis.host',
  LARAVEL_ECHO_SERVER_REDIS_PORT: 'databaseConfig.redis.port',
  LARAVEL_ECHO_SERVER_REDIS_PASSWORD: 'databaseConfig.redis.password',
  LARAVEL_ECHO_SERVER_PROTO: 'protocol',
  LARAVEL_ECHO_SERVER_SSL_CERT: 'sslCertPath',
  LARAVEL_ECHO_SERVER_SSL_KEY: 'sslKeyPath',
  LARAVEL_ECHO_SERVER_SSL_CHAIN: 'sslCertChainPath',
  LARAVEL_ECHO_SERVER_SSL_PASS: 'sslPassphrase',
}

type Env = Readonly<Record<string, string | undefined>>

export type SheetInput = {
  readonly content: Readonly<Record<string, unknown>>
  /** As the person wrote it. */
  readonly path: string
  /** The environment, and below it the `.env` of the folder. */
  readonly env: Env
  /** What is set by stronger means, by the names of our options. */
  readonly stronger: ReadonlyMap<string, Given>
}

/** A configuration of laravel-echo-server with its variables written over it; each value knows where it stands. */
export class Sheet {
  readonly content: SheetInput['content']
  readonly path: string
  readonly #stronger: SheetInput['stronger']
  readonly #written = new Map<string, { readonly value: string; readonly variable: string }>()

  constructor({ content, path, env, stronger }: SheetInput) {
    this.content = content
    this.path = path
    this.#stronger = stronger
    for (const [variable, key] of Object.entries(VARIABLES)) {
      const value = expand(env, variable)
      if (value !== '') this.#written.set(key, { value, variable })
    }
  }

  /** What stands at a path of keys, `databaseConfig.redis.host`; undefined when nothing does. */
  value(path: string): unknown {
    const written = this.#written.get(path)
    if (written !== undefined) return written.value
    let value: unknown = this.content
    for (const key of path.split('.')) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
    return value
  }

  /** The value as a text; null when it is empty or no text, number or boolean. */
  text(path: string): string | null {
    const value = this.value(path)
    const text = ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : ''
    return text === '' ? null : text
  }

  /** A switch within a group that is on as a whole when the group is missing. */
  isOn(group: string, name: string): boolean {
    const value = this.value(group)
    return value === undefined || value === null || (isObject(value) && Boolean(value[name]))
  }

  label(path: string): string {
    const variable = this.#written.get(path)?.variable
    return variable === undefined ? `\`${path}\` in ${this.path}` : `\`${variable}\``
  }

  /** For what the file leaves open. */
  defaultLabel(path: string): string {
    return `default of \`${path}\` in ${this.path}`
  }

  /** Whether a flag or a variable of our own answers this option. */
  isAnswered(option: string): boolean {
    return this.#stronger.has(option)
  }
}

/** Those of these variables that are set. */
export function echoServerVariables(env: Env): string[] {
  return Object.keys(VARIABLES).filter((variable) => (env[variable] ?? '') !== '')
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// [cli.ts resolveEnvFileOptions] A value that holds ${OTHER} is replaced by it as a whole, and once.
function expand(env: Env, variable: string): string {
  const value = env[variable] ?? ''
  const other = /\$\{(.*?)\}/.exec(value)?.[1]
  return other === undefined ? value : (env[other] ?? '')
}
