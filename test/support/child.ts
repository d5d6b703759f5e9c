import { spawn } from 'node:child_process'
import { createServer } from 'node:net'

/** A process a test started. It ends with its whole process group, by its own pid. */
export type Child = {
  pid: number
  /** What it wrote so far to stdout and stderr. */
  log(): string
  /** Resolves with the exit code, null after a signal. */
  exited: Promise<number | null>
  hasExited(): boolean
  /**
   * Signals the process group and resolves when the process is gone. Whatever is left after 3 s is killed. May be
   * called twice.
   */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** What ends the children that run: a test run that is interrupted leaves nothing behind either. */
const running = new Set<() => void>()
process.once('exit', () => {
  for (const kill of running) kill()
})

export type ChildOptions = { cwd?: string; env?: Record<string, string | undefined> }

export async function startChild(command: string, args: string[], options: ChildOptions = {}): Promise<Child> {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))

  const pid = child.pid as number
  let log = ''
  let hasExited = false
  const collect = (chunk: Buffer) => {
    log += chunk
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)

  const killGroup = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  const kill = () => killGroup('SIGKILL')
  running.add(kill)

  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      hasExited = true
      running.delete(kill)
      resolve(code)
    })
  })

  return {
    pid,
    log: () => log,
    exited,
    hasExited: () => hasExited,
    stop: async (signal = 'SIGTERM') => {
      if (!hasExited) killGroup(signal)
      const impatience = setTimeout(kill, 3000)
      await exited
      clearTimeout(impatience)
    },
  }
}

/**
 * Starts something on a free port of 127.0.0.1 and resolves once `isReady` says so. The port can be taken between its
 * choice and its use, so a process that ends at once is started again on another.
 */
export async function startOnFreePort(
  start: (port: number) => Promise<Child>,
  isReady: (port: number) => Promise<boolean>,
): Promise<{ child: Child; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const child = await start(port)
    try {
      await untilReady(child, () => isReady(port))
      return { child, port }
    } catch (error) {
      await child.stop('SIGKILL')
      if (attempt === 3) throw error
    }
  }
}

/** Asks `isReady` until it says yes; fails when the process ends or 20 s have passed. */
export async function untilReady(child: Child, isReady: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await isReady())) {
    if (child.hasExited()) throw new Error(`The process ended before it was ready:\n${child.log()}`)
    if (Date.now() > deadline) throw new Error(`The process was not ready within 20 s:\n${child.log()}`)
    // Another program gets ready: there is no event to wait for.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/**
 * Below the ports that the system gives to outgoing connections: one of those could have the port of a gateway that is
 * down for a moment, or the port that another test has just found free.
 */
const FIRST_PORT = 11_000
/** Each worker of vitest has ports of its own. */
const PORTS_PER_WORKER = 2000
const WORKERS = 8
const firstPort = FIRST_PORT + (Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS) * PORTS_PER_WORKER
let lastPort = Math.floor(Math.random() * PORTS_PER_WORKER)

/** A port of 127.0.0.1 that nobody uses, and that nobody else here is given. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_PER_WORKER; tries += 1) {
    lastPort = (lastPort + 1) % PORTS_PER_WORKER
    const port = firstPort + lastPort
    if (await isFree(port)) return port
  }
  throw new Error(`All ports from ${firstPort} to ${firstPort + PORTS_PER_WORKER - 1} are taken.`)
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
