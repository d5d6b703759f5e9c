#!/usr/bin/env node
/** The process: its arguments choose a command. */

import { readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { acl } from './cli/acl.ts'
import { type Command, EXIT, type Io, tellFaults } from './cli/command.ts'
import { configDocs } from './cli/config-docs.ts'
import { FORMER_COMMANDS } from './cli/former-commands.ts'
import { helpOf, overview } from './cli/help.ts'
import { init } from './cli/init.ts'
import { createPrompt } from './cli/prompt.ts'
import { publish } from './cli/publish.ts'
import { revoke } from './cli/revoke.ts'
import { start } from './cli/start.ts'
import { didYouMean } from './config/suggest.ts'

const COMMANDS: Readonly<Record<string, Command>> = {
  start,
  init,
  // laravel-echo-server's other name for it.
  configure: { ...init, isHidden: true },
  publish,
  revoke,
  acl,
  'config-docs': configDocs,
  ...FORMER_COMMANDS,
}

async function main([name = '--help', ...argv]: readonly string[], io: Io): Promise<number | null> {
  if (name === '--version' || name === '-v') return say(io, `${version()}\n`)
  if (name === '--help' || name === '-h' || name === 'help') return say(io, overview(COMMANDS))
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) return tellFaults(io, [unknownCommand(name)])
  const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  if (words.includes('--help') || words.includes('-h')) return say(io, helpOf(name, command))
  return command.run(argv, io)
}

function unknownCommand(name: string): string {
  if (name.startsWith('-')) return `Name a command before ${name}; \`start\` runs the gateway, --help lists all.`
  return `\`${name}\` is not a command${didYouMean(name, Object.keys(COMMANDS))} --help lists all.`
}

function say(io: Io, sentence: string): number {
  io.out(sentence)
  return EXIT.ok
}

function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return manifest.version
}

/** How this process was called: by the name npm gave it, or by its file. */
function programName(script: string): string {
  return basename(script) === 'main.js' ? `node ${relative(process.cwd(), script)}` : `npx ${basename(script)}`
}

const prompt = createPrompt(process.stdin, (words) => process.stdout.write(words))
const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  program: programName(process.argv[1] ?? 'laravel-echo-sse-server'),
  out: (words) => process.stdout.write(words),
  err: (words) => process.stderr.write(words),
  readInput: () => text(process.stdin),
  ask: (question) => prompt.ask(question),
})
// A process that still listens to its input does not end.
prompt.close()
if (code !== null) process.exitCode = code
