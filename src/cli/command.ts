/** What every command has, and what it may touch of the process. */

import type { OptionTable } from '../config/option.ts'

export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** How a person calls this program, for lines that are meant to be copied. */
  readonly program: string
  out(text: string): void
  err(text: string): void
  readInput(): Promise<string>
  /** One line of a person's; null when there is nobody to answer any more. */
  ask(question: string): Promise<string | null>
}

export type Command = {
  /** What comes after the name in the usage line. */
  readonly usage: string
  /** One sentence for the list of commands. */
  readonly summary: string
  /** Titles of the groups of options this command has a use for. */
  readonly groups: readonly string[]
  /** Options of this command alone. */
  readonly options?: OptionTable
  /** Not in the list of commands. */
  readonly isHidden?: true
  /** Resolves with the exit code, or with null when the process goes on. */
  run(argv: readonly string[], io: Io): Promise<number | null>
}

/** Exit codes: done, failed, asked wrongly. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/** All that is wrong with what was asked, at once. */
export function tellFaults(io: Io, faults: readonly string[]): number {
  io.err(faults.map((fault) => `${fault}\n`).join(''))
  return EXIT.usage
}
