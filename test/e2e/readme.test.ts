import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Child, freePort, startChild, untilReady } from '../support/child.ts'
import { type Clone, cloneWorkingTree } from '../support/clone.ts'
import { requirePart } from '../support/parts.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
/** Building takes a few seconds, and many times as long on a machine that is busy with other tests. */
const BUILD_TIMEOUT_MS = 120_000

/** The README's fenced `sh` blocks that stand below `<!-- tested: name -->`. */
const BLOCKS = new Map(
  [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/<!-- tested: (\S+) -->\n```sh\n(.*?)```/gs)].map(
    ([, name = '', commands = '']) => [name, commands.trim().split('\n')],
  ),
)

describe.runIf(requirePart('curl'))('the README, followed on a fresh clone', () => {
  let clone: Clone
  let gateway: Child
  let port: number

  beforeAll(async () => {
    clone = await cloneWorkingTree()
    const [start = ''] = BLOCKS.get('start') ?? []
    port = await freePort()
    gateway = await shell(start.replace('npm ci &&', ''), { PORT: String(port) })
    const isThere = () => gateway.log().includes('Publish:') || gateway.hasExited()
    await vi.waitUntil(isThere, { timeout: BUILD_TIMEOUT_MS })
  }, BUILD_TIMEOUT_MS)

  afterAll(async () => {
    await gateway?.stop()
    clone?.remove()
  })

  it('names only commands that this suite runs', () => {
    expect([...BLOCKS.keys()]).toEqual(['start', 'listen-and-publish', 'example', 'test'])
    expect(BLOCKS.get('start')).toEqual(['npm ci && npm start'])
    // client-example.test.ts runs it.
    expect(BLOCKS.get('example')).toEqual(['npm run example'])
    expect(BLOCKS.get('test')).toEqual(['npm ci && npm test'])
  })

  it('installs what the lock file says, which agrees with package.json', async () => {
    const ci = run('npm', ['ci', '--dry-run', '--offline', '--ignore-scripts'], { cwd: clone.folder })
    await expect(ci).resolves.toBeDefined()
  })

  it('starts a gateway with the first command, which prints where to look', async () => {
    const [look, listen, publish] = printed()

    expect(look).toBe(`http://127.0.0.1:${port}/`)
    const page = await fetch(look ?? '', { headers: { accept: 'text/html' } })
    expect(await page.text()).toMatch(/^<!doctype html>/i)
    await expectToHear(listen ?? '', publish ?? '')
  })

  it('shows an event in the second terminal that the third one sent', async () => {
    const [listen = '', publish = ''] = (BLOCKS.get('listen-and-publish') ?? []).map((command) =>
      command.replaceAll('6001', String(port)),
    )

    expect([listen, publish]).toEqual(printed().slice(1))
    await expectToHear(listen, publish)
  })

  /** The lines `Look`, `Listen` and `Publish`. */
  function printed(): string[] {
    return ['Look', 'Listen', 'Publish'].map(
      (word) => new RegExp(`^ +${word}: +(.*)$`, 'm').exec(gateway.log())?.[1] ?? `nothing to ${word} at`,
    )
  }

  async function expectToHear(listen: string, publish: string): Promise<void> {
    const listening = await shell(listen)
    onTestFinished(() => listening.stop())
    await untilReady(listening, async () => listening.log().includes('event: subscribed\n'))
    const publishing = await shell(publish)
    expect(await publishing.exited, publishing.log()).toBe(0)
    const broadcast = 'data: {"channel":"orders","event":"OrderShipped","data":{"id":1}}\n\n'
    await untilReady(listening, async () => listening.log().includes(broadcast))
  }

  function shell(command: string, env: Record<string, string> = {}): Promise<Child> {
    const { PATH, HOME } = process.env
    return startChild('sh', ['-c', command], { cwd: clone.folder, env: { PATH, HOME, ...env } })
  }
})
