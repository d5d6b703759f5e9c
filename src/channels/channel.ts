/**
 * A channel name is looked at once, here. Whatever comes later asks `kind`, never the name.
 * Naming rules: laravel/framework `UsePusherChannelConventions`, Echo's connectors.
 */

export type ChannelKind = 'public' | 'private' | 'presence'

export type Channel = {
  /** Laravel's name, with `private-` or `presence-`, without the Redis prefix. */
  readonly name: string
  readonly kind: ChannelKind
}

/** Why a string can be nobody's channel name. */
export type InvalidChannel = { readonly name: string; readonly invalid: string }

export type ChannelRules = {
  /** Longest name in UTF-8 bytes. Default 200. */
  readonly maxNameBytes: number
  /** Laravel's Redis prefix; a name that still carries it was copied from Redis. */
  readonly prefix: string
}

/** Names of the gateway's own traffic on Redis. */
export const RESERVED_PREFIX = 'sse:'

// Spaces of all sorts as well, and what Laravel's Str::trim takes for one: Laravel trims `private-orders.7 ` before it
// authorizes, so a name that ends in one would be judged as another channel than the one delivered.
// U+FFFD is what is left of bytes that were no UTF-8.
const UNPRINTABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Z}\uFFFD]|[\u115F\u1160\u2065\u2800\u3164\uFFA0\u{1D159}]|\u034F|\u17B4|\u17B5/u
const GUARDED = /^(private|presence)-/
const GUARDED_ANYWHERE = /(private|presence)-/i

/** Parses a name a client asks for. Never throws. */
export function parseChannel(name: string, rules: ChannelRules): Channel | InvalidChannel {
  const invalid = whyInvalid(name, rules)
  return invalid === null ? { name, kind: kindOf(name) } : { name, invalid }
}

/** The kind a name has for everybody: case sensitive, and only with the dash. */
export function kindOf(name: string): ChannelKind {
  const prefix = GUARDED.exec(name)?.[1]
  return prefix === undefined ? 'public' : (prefix as ChannelKind)
}

/** True for channels whose data only their pages can read. [laravel/framework UsePusherChannelConventions] */
export function isEncrypted({ name }: Channel): boolean {
  return name.startsWith('private-encrypted-')
}

/** True for a public name that hides a guarded one behind a leftover prefix: `shop_private-orders.1`. */
export function hidesGuardedName(name: string): boolean {
  return !GUARDED.test(name) && GUARDED_ANYWHERE.test(name)
}

function whyInvalid(name: string, { maxNameBytes, prefix }: ChannelRules): string | null {
  if (name === '') return 'A channel name cannot be empty.'
  if (Buffer.byteLength(name) > maxNameBytes) return `A channel name has at most ${maxNameBytes} bytes.`
  if (UNPRINTABLE.test(name)) return 'A channel name has no spaces and no control characters.'
  if (name.startsWith('#')) return 'Names that begin with # are reserved.'
  if (name.startsWith(RESERVED_PREFIX)) return `Names that begin with ${RESERVED_PREFIX} are the gateway's own.`
  if (name.includes('/')) return 'A channel name has no slash.'
  if (prefix !== '' && name.startsWith(prefix)) {
    return `The name still carries the Redis prefix "${prefix}"; leave it out.`
  }
  // [contract S1] With an overlapping or missing prefix another application's private channel would look public.
  if (hidesGuardedName(name)) {
    return 'The name holds private- or presence- but does not begin with it; is a Redis prefix left over, or a letter in the wrong case?'
  }
  if (name.replace(GUARDED, '') === '') return 'The name ends after its prefix.'
  return null
}
