import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))

/** Starts the gateway together with the page, unless there is one already: that of `npm start`, for instance. */
export function gateway(url: string): Plugin {
  return {
    name: 'gateway',
    async configureServer({ config }) {
      const laravel = `http://localhost:${config.server.port}`
      if (await answers(url))
        config.logger.info(`\n  The gateway at ${url} is used; it has to ask ${laravel} for auth.`)
      else await start(url, laravel)
    },
  }
}

async function start(url: string, laravel: string): Promise<void> {
  const { hostname, port } = new URL(url)
  const options = ['--host', hostname, '--port', port, '--laravel-url', laravel, '--log-level', 'error']
  // Whatever the environment says of another gateway is not meant for this one.
  const child = spawn(process.execPath, [MAIN, 'start', ...options], { env: {}, stdio: 'inherit' })
  process.once('exit', () => child.kill())
  while (!(await answers(url))) {
    if (child.exitCode !== null) throw new Error('The gateway did not start; what it said is above.')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok
  } catch {
    return false
  }
}
