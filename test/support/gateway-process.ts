import { join } from 'node:path'
import { type Child, startChild, startOnFreePort, untilReady } from './child.ts'

const MAIN = join(import.meta.dirname, '../../dist/main.js')

/** The gateway as operators run it: a process of its own, on one port for its whole life and after it. */
export type GatewayProcess = {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** The process id at this moment; another one after a restart. */
  readonly pid: number
  /** What it wrote since its last start. */
  log(): string
  isReady(): Promise<boolean>
  /** Holds the process as it is, as a machine that sleeps; `thaw` lets it go on. */
  freeze(): void
  thaw(): void
  /** Ends the process, by SIGTERM unless told otherwise. May be called twice. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again after stop(). Resolves when it is ready. */
  start(): Promise<void>
}

/**
 * Runs `laravel-echo-sse-server start` with these arguments, and further variables if need be, built before. Resolves
 * when it says that it is ready.
 */
export async function startGatewayProcess(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<GatewayProcess> {
  const launch = (port: number) =>
    // Nothing of the machine's environment: a real REDIS_URL would be the gateway's.
    startChild(process.execPath, [MAIN, 'start', '--port', String(port), ...args], {
      env: { PATH: process.env.PATH, ...env },
    })
  const { child: first, port } = await startOnFreePort(launch, isReady)

  let child: Child = first
  return {
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return child.pid
    },
    log: () => child.log(),
    isReady: () => isReady(port),
    freeze: () => void process.kill(child.pid, 'SIGSTOP'),
    thaw: () => void process.kill(child.pid, 'SIGCONT'),
    stop: (signal) => child.stop(signal),
    start: async () => {
      child = await launch(port)
      await untilReady(child, () => isReady(port))
    },
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ready`)).status === 200
  } catch {
    return false
  }
}
