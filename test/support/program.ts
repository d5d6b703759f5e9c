import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Command, Io } from '../../src/cli/command.ts'

export type Ran = { code: number | null; out: string; err: string }

export type RunOptions = {
  env?: Record<string, string>
  cwd?: string
  input?: string
  /** What a person answers, question by question; nobody is there after the last one. */
  answers?: readonly string[]
}

const MAIN = join(import.meta.dirname, '../../dist/main.js')

/** Runs the built program as a process of its own, with no environment but PATH and what the test gives. */
export function runProgram(args: string[], { env = {}, cwd, input = '' }: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk
  })
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ code, out, err }))
  })
}

/** Runs one command inside the test. */
export async function runCommand(command: Command, argv: string[], options: RunOptions = {}): Promise<Ran> {
  let [out, err] = ['', '']
  const answers = [...(options.answers ?? [])]
  const io: Io = {
    env: options.env ?? {},
    cwd: options.cwd ?? '.',
    program: 'gateway',
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    readInput: async () => options.input ?? '',
    ask: async (question) => {
      out += `${question}\n`
      return answers.shift() ?? null
    },
  }
  return { code: await command.run(argv, io), out, err }
}
