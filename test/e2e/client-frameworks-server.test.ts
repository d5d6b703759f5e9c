import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'

const run = promisify(execFile)

const PACKAGES = ['@laravel/echo-vue', '@laravel/echo-react', 'pusher-js', 'vue', 'react', 'react-dom']

describe.each(['vue', 'react'])('a page with the hooks of @laravel/echo-%s, rendered on a server', (framework) => {
  let consumer: Consumer

  beforeAll(() => {
    consumer = consumerOfClient(PACKAGES)
    consumer.write('package.json', '{ "type": "module" }')
    cpSync(join(import.meta.dirname, 'client-pages/server'), consumer.folder, { recursive: true })
  })
  afterAll(() => consumer?.remove())

  it('asks nobody, sets no timer, and lets the process end by itself', async () => {
    expect(await render()).toEqual({ html: '<p>disconnected, disconnected, undefined</p>', seen: [] })
  })

  it('would be seen to set one if it did', async () => {
    expect((await render('--as-a-browser')).seen).toContain('setTimeout')
  })

  /** Resolves when the process has ended, with what it said. */
  async function render(...more: string[]): Promise<{ html: string; seen: string[] }> {
    const args = ['--import', './watch.js', `${framework}.js`, ...more]
    // One that does not end is killed in the end, and that is an error.
    const { stdout } = await run(process.execPath, args, { cwd: consumer.folder, timeout: 15_000 })
    return JSON.parse(stdout)
  }
})
