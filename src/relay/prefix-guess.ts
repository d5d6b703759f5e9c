/** Which Redis prefix does a channel name probably carry? */

export type PrefixHints = {
  /** The prefix this gateway takes off. */
  readonly configured: string
  /** Others that this application may well have. */
  readonly alternatives: readonly string[]
}

const GUARDED = /^(.*?)(?:private|presence)-/
// [laravel/laravel config/database.php] The default is the application's name and `_database_`, or `-database-` since 12.1.
const DERIVED = /^.*?[_-]database[_-]/

/** The prefix of a channel as it is called on Redis, `''` for none; null when the name does not tell. Never throws. */
export function guessPrefix(name: string, { configured, alternatives }: PrefixHints): string | null {
  const before = GUARDED.exec(name)?.[1]
  if (before !== undefined) return before
  const known = [configured, ...alternatives].filter((prefix) => prefix !== '' && name.startsWith(prefix))
  const derived = DERIVED.exec(name)?.[0]
  const candidates = derived === undefined ? known : [...known, derived]
  return candidates.sort((one, other) => other.length - one.length)[0] ?? null
}

/** The common beginning of several names, up to its last separator; null when there is none. */
export function commonPrefix(names: Iterable<string>): string | null {
  const [first, ...others] = new Set(names)
  if (first === undefined || others.length === 0) return null
  let length = first.length
  for (const name of others) {
    while (!name.startsWith(first.slice(0, length))) length -= 1
  }
  return /^.*[_:-]/.exec(first.slice(0, length))?.[0] ?? null
}
