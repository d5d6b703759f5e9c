/** The words after the command's name: which flag was given what, and what is left over. */

import { parseArgs } from 'node:util'
import { flagOf, type OptionTable } from './option.ts'
import { didYouMean } from './suggest.ts'

export type Given = {
  /** One text, or several for a repeated flag. */
  readonly texts: readonly string[]
  /** How a fault names the place: `--port`, `PORT`, `port` in gateway.json. */
  readonly label: string
}

export type Arguments = {
  readonly flags: ReadonlyMap<string, Given>
  readonly positionals: readonly string[]
  readonly faults: readonly string[]
}

/** Reads flags by the table. A flag that is given twice keeps the last value, unless it is a list. */
export function parseArguments(argv: readonly string[], table: OptionTable): Arguments {
  const known = namesByFlag(table)
  const flags = new Map<string, Given>()
  const positionals: string[] = []
  const faults: string[] = []
  let isLeftOver = false

  for (const token of tokenize(argv, table)) {
    if (token.kind === 'positional') {
      // What follows a flag that was refused is probably its value: one mistake, one sentence.
      if (!isLeftOver) positionals.push(token.value)
      isLeftOver = false
      continue
    }
    isLeftOver = false
    if (token.kind !== 'option') continue

    const negated = token.rawName.startsWith('--no-') && !known.has(token.rawName)
    const flag = negated ? `--${token.rawName.slice('--no-'.length)}` : token.rawName
    const name = known.get(flag)
    const kind = name === undefined ? undefined : table[name]?.kind
    if (name === undefined || kind === undefined || (negated && kind.isSwitch === undefined)) {
      faults.push(`\`${token.rawName}\` is not an option${whatInstead(token.rawName, known.keys())}`)
      isLeftOver = token.value === undefined
    } else if (kind.isSwitch) {
      flags.set(name, { texts: [token.value ?? String(!negated)], label: `\`${token.rawName}\`` })
    } else if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) {
      faults.push(`\`${flag}\` needs a value: ${flag} ${kind.placeholder}.`)
      isLeftOver = token.value !== undefined
    } else {
      const before = kind.isList ? (flags.get(name)?.texts ?? []) : []
      flags.set(name, { texts: [...before, token.value], label: `\`${flag}\`` })
    }
  }
  return { flags, positionals, faults }
}

/** Flags of laravel-echo-server's commands. */
const FORMER_FLAGS: Readonly<Record<string, string>> = {
  '--dev': '; `--log-level debug` logs everything.',
  '--dir': '; name the file with its folder, `--config DIR/laravel-echo-server.json`.',
  '--force': '; there is no lock file. Stop the gateway that runs (SIGTERM), then start.',
}

function whatInstead(flag: string, known: Iterable<string>): string {
  return Object.hasOwn(FORMER_FLAGS, flag) ? (FORMER_FLAGS[flag] ?? '.') : didYouMean(flag, known)
}

function namesByFlag(table: OptionTable): Map<string, string> {
  return new Map(Object.entries(table).map(([name, option]) => [flagOf(name, option), name]))
}

function tokenize(argv: readonly string[], table: OptionTable) {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, option]) => [
      flagOf(name, option).slice(2),
      { type: option.kind.isSwitch ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true }).tokens
}
