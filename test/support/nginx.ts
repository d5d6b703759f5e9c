import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startChild, startOnFreePort } from './child.ts'
import { pathOf } from './parts.ts'

const run = promisify(execFile)

export type Nginx = {
  port: number
  /** `http://127.0.0.1:<port>` */
  url: string
  stop(): Promise<void>
}

export type NginxOptions = {
  /** What stands in the http block; it listens on this port of 127.0.0.1. */
  config(port: number): string
}

/** Starts a real nginx that keeps to a folder of its own. Resolves when it listens. */
export async function startNginx({ config }: NginxOptions): Promise<Nginx> {
  const dir = mkdtempSync(join(tmpdir(), 'nginx-'))
  const launch = (port: number) => startChild(pathOf('nginx'), argumentsFor(dir, config(port)))
  const { child, port } = await startOnFreePort(launch, accepts)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      await child.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** What `nginx -t` says about an http block; rejects with it when the configuration is wrong. */
export async function checkNginx(config: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'nginx-'))
  try {
    return (await run(pathOf('nginx'), ['-t', ...argumentsFor(dir, config)])).stderr
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** `-e`, because nginx opens the log it was built with before it reads where another one is. */
function argumentsFor(dir: string, http: string): string[] {
  writeFileSync(join(dir, 'nginx.conf'), wholeConfig(http))
  return ['-p', dir, '-e', 'stderr', '-c', 'nginx.conf', '-g', 'daemon off;']
}

function wholeConfig(http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
  return [
    // Workers of a root process are somebody else, who may not enter this folder.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'pid nginx.pid;',
    'error_log stderr;',
    'worker_processes 1;',
    'events { worker_connections 256; }',
    `http {\naccess_log off;\n${temporary.join('\n')}\n${http}\n}`,
  ].join('\n')
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
