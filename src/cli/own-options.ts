import type { Arguments } from '../config/arguments.ts'
import { parseGiven } from '../config/config.ts'
import type { OptionTable } from '../config/option.ts'

/** The values of the options that only one command has; null where nothing, or nothing right, was given. */
export function readOwn<Table extends OptionTable>(
  table: Table,
  flags: Arguments['flags'],
  faults: string[],
): Record<keyof Table, string | null> {
  const values = Object.entries(table).map(([name, option]) => {
    const given = flags.get(name)
    const value = given === undefined ? undefined : (parseGiven(option, given, faults) as string | undefined)
    return [name, value ?? null]
  })
  return Object.fromEntries(values)
}
