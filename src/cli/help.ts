/** The texts of `--help`, made from the table of options. */

import { flagOf, type Option, type OptionTable, showBytes, variablesOf } from '../config/option.ts'
import { GROUPS } from '../config/options.ts'
import type { Command } from './command.ts'

const NAME = 'laravel-echo-sse-server'
const WIDTH = 100
const INDENT = 6

/** The list of commands. */
export function overview(commands: Readonly<Record<string, Command>>): string {
  const visible = Object.entries(commands).filter(([, command]) => command.isHidden === undefined)
  const width = Math.max(...visible.map(([name]) => name.length))
  return [
    `Usage: ${NAME} COMMAND [OPTIONS]`,
    '',
    "A push gateway for Laravel's broadcasts over Server-Sent Events.",
    '',
    ...visible.map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    `${NAME} COMMAND --help tells the options of a command; --version the version.`,
    '',
  ].join('\n')
}

/** Everything about one command. */
export function helpOf(name: string, { usage, summary, groups, options }: Command): string {
  const lines = [`Usage: ${`${NAME} ${name} ${usage}`.trimEnd()}`, '', summary]
  if (options !== undefined) lines.push('', ...optionLines(options, false))
  for (const group of GROUPS.filter(({ title }) => groups.includes(title))) {
    lines.push('', `${group.title}:`, ...optionLines(group.options, true))
  }
  if (groups.length > 0) {
    lines.push('', 'Flags win over environment variables, these over the JSON file of --config, that over the .env of')
    lines.push('--laravel. Empty variables count as unset. Sizes may be written 64k, 1m, 2g.')
  }
  return `${lines.join('\n')}\n`
}

/** The default as a person writes it. */
export function showDefault({ default: value, defaultNote, unit }: Option): string {
  if (defaultNote !== undefined) return defaultNote
  if (value === null || (Array.isArray(value) && value.length === 0)) return 'none'
  if (unit === 'bytes' && typeof value === 'number') return showBytes(value)
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return value === '' ? 'empty' : String(value)
}

function optionLines(options: OptionTable, hasVariables: boolean): string[] {
  return Object.entries(options).flatMap(([name, option]) => {
    const { kind, help, unit } = option
    const value = kind.isSwitch ? '' : ` ${unit === 'ms' || unit === 's' ? unit.toUpperCase() : kind.placeholder}`
    const several = kind.isList ? ', repeatable' : ''
    const variables = hasVariables ? `${variablesOf(name, option).join(' or ')}; ` : ''
    const facts = `(${variables}default: ${showDefault(option).replaceAll('`', '')}${several})`
    return [`  ${flagOf(name, option)}${value}`, ...wrap(`${help.replaceAll('`', '')} ${facts}`)]
  })
}

function wrap(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(' '.repeat(INDENT) + word)
  }
  return lines
}
