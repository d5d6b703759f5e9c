/** What an option is, and how the text a person wrote becomes its value. */

import { isIP } from 'node:net'

/** Turns text into a value, or throws an `InvalidValue` that completes "--port must be …". */
export type Kind<T> = {
  /** What stands for the value in `--help`. */
  readonly placeholder: string
  readonly parse: (text: string) => T
  /** Given without a value (`--try-page`), and switched off with `--no-`. */
  readonly isSwitch?: true
  /** May be given several times; one text holds several values, separated by commas. */
  readonly isList?: true
}

export type Option<T = unknown> = {
  readonly kind: Kind<NonNullable<T>>
  readonly default: T
  /** One sentence, without the default. */
  readonly help: string
  /** The flag when it is not simply the name in kebab case. */
  readonly flag?: string
  /** Environment variables, the first that is set wins. Without it: the flag in upper case. */
  readonly env?: readonly string[]
  readonly unit?: 'ms' | 's' | 'bytes'
  /** What the default is when it depends on other options. */
  readonly defaultNote?: string
  /** Never printed; of a URL only the password is hidden. */
  readonly secret?: true | 'url'
}

export type OptionTable = Readonly<Record<string, Option>>

export class InvalidValue extends Error {}

/** Defines one option; the value's type follows from kind and default. */
export function option<T, D extends T | null>(
  kind: Kind<T>,
  defaultValue: D,
  help: string,
  more: Omit<Option, 'kind' | 'default' | 'help'> = {},
): Option<T | D> {
  return { kind: kind as Kind<NonNullable<T | D>>, default: defaultValue, help, ...more }
}

/** `redisPrefix` → `--redis-prefix`. */
export function flagOf(name: string, { flag }: Pick<Option, 'flag'>): string {
  return `--${flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `redisPrefix` → `REDIS_PREFIX`. */
export function variablesOf(name: string, option: Option): readonly string[] {
  return option.env ?? [flagOf(name, option).slice(2).replaceAll('-', '_').toUpperCase()]
}

export function integer(min: number, max: number): Kind<number> {
  return {
    placeholder: 'N',
    parse(text) {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      if (value >= min && value <= max) return value
      throw new InvalidValue(`must be a number from ${min} to ${max}`)
    },
  }
}

const BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** `1048576`, `64k`, `1m`, `2g`. */
export function bytes(min: number, max: number): Kind<number> {
  return {
    placeholder: 'SIZE',
    parse(text) {
      const [, digits, suffix] = /^(\d{1,15})([kmg]?)$/i.exec(text) ?? []
      const value = Number(digits) * (BYTES[suffix?.toLowerCase() ?? ''] ?? 1)
      if (value >= min && value <= max) return value
      throw new InvalidValue(`must be a size from ${showBytes(min)} to ${showBytes(max)}, such as 64k, 1m or 1048576`)
    },
  }
}

export function showBytes(value: number): string {
  const suffix = value === 0 ? '' : (['g', 'm', 'k'].find((unit) => value % (BYTES[unit] ?? 1) === 0) ?? '')
  return `${value / (BYTES[suffix] ?? 1)}${suffix}`
}

/** Any text, the empty one included. */
export function anyText(placeholder: string): Kind<string> {
  return { placeholder, parse: (value) => value }
}

export function text(placeholder: string): Kind<string> {
  return matching(placeholder, /./s, 'a text that is not empty')
}

export function matching(placeholder: string, pattern: RegExp, expected: string): Kind<string> {
  return {
    placeholder,
    parse(value) {
      if (pattern.test(value)) return value
      throw new InvalidValue(`must be ${expected}`)
    },
  }
}

export function choice<const C extends string>(...choices: readonly C[]): Kind<C> {
  return {
    placeholder: choices.join('|'),
    parse(value) {
      const found = choices.find((candidate) => candidate === value)
      if (found !== undefined) return found
      throw new InvalidValue(`must be one of ${choices.join(', ')}`)
    },
  }
}

const TRUTH: Record<string, boolean> = {
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
}

export const boolean: Kind<boolean> = {
  placeholder: 'true|false',
  isSwitch: true,
  parse(value) {
    const key = value.toLowerCase()
    if (Object.hasOwn(TRUTH, key)) return TRUTH[key] as boolean
    throw new InvalidValue('must be true or false')
  },
}

/** An absolute URL of one of these schemes, as written. */
export function url(...schemes: readonly string[]): Kind<string> {
  return {
    placeholder: 'URL',
    parse(value) {
      if (URL.canParse(value) && schemes.includes(new URL(value).protocol)) return value
      throw new InvalidValue(`must be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`)
    },
  }
}

/** `redis://host:6379/0`, `rediss://…`, `unix:///run/redis.sock`. */
export const redisUrl: Kind<string> = {
  placeholder: 'URL',
  parse(value) {
    const parsed = URL.canParse(value) ? new URL(value) : null
    const hasServer =
      /^rediss?:$/.test(parsed?.protocol ?? '') && parsed?.hostname !== '' && /^\/?\d*$/.test(parsed?.pathname ?? '')
    const hasSocket = parsed?.protocol === 'unix:' && parsed.pathname.length > 1
    if (hasServer || hasSocket) return value
    throw new InvalidValue('must be a redis://, rediss:// or unix:// URL, such as redis://127.0.0.1:6379')
  },
}

/** A path on the same server, or an absolute URL. */
export const pathOrUrl: Kind<string> = {
  placeholder: 'PATH',
  parse(value) {
    if (/^\/(?!\/)\S*$/.test(value)) return value
    if (/^https?:\/\//i.test(value) && URL.canParse(value)) return value
    throw new InvalidValue('must be a path that begins with / or an http(s):// URL')
  },
}

/** `KEY:SECRET`; neither is empty. */
export const keyPair: Kind<string> = {
  placeholder: 'KEY:SECRET',
  parse(value) {
    if (/^[^:\s]+:\S+$/.test(value)) return value
    throw new InvalidValue('must be a key and its secret, with a colon between them')
  },
}

/** `https://app.example.com` or `*`; what comes out is spelled as browsers spell it. */
export const origin: Kind<string> = {
  placeholder: 'ORIGIN',
  parse(value) {
    if (value === '*') return value
    const parsed = /^https?:\/\/[^/?#]+\/?$/i.test(value) && URL.canParse(value) ? new URL(value) : null
    if (parsed !== null && parsed.username === '' && parsed.password === '') return parsed.origin
    throw new InvalidValue('must be an origin such as https://app.example.com (scheme, host, port; no path), or *')
  },
}

/** Whom X-Forwarded-* are believed from: `loopback`, `unix`, `10.0.0.0/8`, `none` … */
export const proxy: Kind<string> = {
  placeholder: 'ADDRESS',
  parse(value) {
    if (['loopback', 'unix', 'none'].includes(value)) return value
    const [address = '', bits, rest] = value.split('/')
    const family = isIP(address)
    const isRange = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
    if (family !== 0 && isRange && rest === undefined) return value
    throw new InvalidValue('must be an address, a range such as 10.0.0.0/8, loopback, unix or none')
  },
}

/** `host:port`, IPv6 in brackets. */
export const hostPort: Kind<string> = {
  placeholder: 'HOST:PORT',
  parse(value) {
    const port = Number(/^(?:[^\s:/[\]]+|\[[\da-f:.]+\]):(\d{1,5})$/i.exec(value)?.[1])
    if (port >= 1 && port <= 65_535) return value
    throw new InvalidValue('must be host:port, such as redis-1:6379')
  },
}

/** Several values of one kind, separated by commas. */
export function list<T>(item: Kind<T>): Kind<T[]> {
  return {
    placeholder: item.placeholder,
    isList: true,
    parse: (value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .map((part) => item.parse(part)),
  }
}

/** `redis://:secret@host` → `redis://***@host`. */
export function hidePasswords(text: string): string {
  return text.replace(/\/\/.*@/, '//***@')
}
