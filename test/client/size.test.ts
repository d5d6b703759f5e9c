import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'

/** One per cent above what was measured when they were set; the README says them too. */
const CEILINGS = { pusher: 8170, echo: 9580, script: 9510 }

let consumer: Consumer

beforeAll(() => {
  consumer = consumerOfClient()
})

afterAll(() => consumer?.remove())

describe('what a page downloads', () => {
  it.each([
    ['the Pusher face', "export { SsePusher } from 'laravel-echo-sse/pusher'", CEILINGS.pusher],
    ['the Echo shim', "export { default } from 'laravel-echo-sse'", CEILINGS.echo],
  ])('is small: %s', async (name, source, budget) => {
    const { code } = await bundle(source)
    expectToFit(name, code, budget)
  })

  it('is small: the script for a page without a bundler', () => {
    const code = readFileSync(join(consumer.client, 'dist/echo-sse.iife.js'))
    expectToFit('the script', code, CEILINGS.script)
  })

  it.each(Object.values(CEILINGS))('is at most what the README says: %i bytes', (ceiling) => {
    const readme = readFileSync(join(consumer.client, 'README.md'), 'utf8')
    expect(readme).toContain(ceiling.toLocaleString('en'))
  })

  it('contains no code of any other package', async () => {
    const { inputs } = await bundle("export { default } from 'laravel-echo-sse'")
    expect(
      inputs.filter((input) => !input.startsWith('node_modules/laravel-echo-sse/') && input !== '<stdin>'),
    ).toEqual([])
    const { dependencies } = JSON.parse(readFileSync(join(consumer.client, 'package.json'), 'utf8'))
    expect(dependencies).toBeUndefined()
  })

  it('leaves out what is not imported', async () => {
    const { code } = await bundle("import { SsePusher } from 'laravel-echo-sse'")
    expect(code.toString()).toBe('')
  })
})

async function bundle(source: string): Promise<{ code: Buffer; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: consumer.folder },
    absWorkingDir: consumer.folder,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
  })
  return { code: Buffer.from(outputFiles[0]?.contents ?? []), inputs: Object.keys(metafile.inputs) }
}

function expectToFit(name: string, code: Buffer, budget: number): void {
  const size = brotliCompressSync(code).length
  console.info(`${name}: ${size} of ${budget} bytes (brotli), ${code.length} minified`)
  expect(size).toBeLessThanOrEqual(budget)
}
