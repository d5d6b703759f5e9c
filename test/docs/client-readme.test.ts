import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { compileScript, parse } from 'vue/compiler-sfc'
import { loadConfig } from '../../src/config/config.ts'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'
import { clientReadmeBlocks } from '../support/readme-blocks.ts'

const ROOT = join(import.meta.dirname, '../..')
const README = readFileSync(join(ROOT, 'client/README.md'), 'utf8')
const BLOCKS = clientReadmeBlocks()

/** Of the packages that are not installed here: what the README uses. */
const ELSEWHERE = `
  declare module '@inertiajs/vue3' { export const router: { reload(): void } }
  declare module '@tanstack/vue-query' { export class QueryClient { invalidateQueries(): Promise<void> } }`

describe('the code in client/README.md', () => {
  let consumer: Consumer

  beforeAll(() => {
    const hooks = ['@laravel/echo-react', '@laravel/echo-vue', 'laravel-echo', 'pusher-js']
    consumer = consumerOfClient([...hooks, '@types/react', 'csstype', 'react', 'tweetnacl', 'vite', 'vue'])
  })

  afterAll(() => consumer?.remove())

  it('compiles strictly', () => {
    for (const [index, { language, content }] of BLOCKS.entries()) {
      if (/^(ts|tsx|js)$/.test(language)) consumer.write(`code/block-${index}.${language}`, content)
      if (language === 'vue') consumer.write(`code/block-${index}.ts`, scriptOf(content))
    }
    consumer.write('code/elsewhere.d.ts', ELSEWHERE)
    expect(BLOCKS.filter(({ language }) => /^(tsx?|vue)$/.test(language)).length).toBeGreaterThan(8)
    expect(tsc('code')).toBe('')
  }, 60_000)

  it('that is no TypeScript is run by a test, or is not code', () => {
    const unchecked = BLOCKS.filter(({ language, runs }) => !runs && !/^(tsx?|vue|sh|ini)$/.test(language))
    expect(unchecked).toEqual([])
  })

  it('starts the gateway with flags it has', () => {
    const commands = BLOCKS.flatMap(({ language, content }) => (language === 'sh' ? content.trim().split('\n') : []))
    const starts = commands.filter((command) => command.startsWith('laravel-echo-sse-server start '))
    expect(starts).toHaveLength(1)
    for (const command of starts) {
      const result = loadConfig({ argv: command.split(' ').slice(2), env: {}, cwd: '.' })
      expect('faults' in result ? result.faults : []).toEqual([])
    }
  })

  it('keeps a service worker away from streams, and from nothing else', () => {
    const worker = BLOCKS.find(({ runs }) => runs === 'service-worker')?.content ?? ''
    let listener: (event: unknown) => void = () => {}
    const caches = { match: async () => undefined }
    const add = (_name: string, given: typeof listener) => {
      listener = given
    }
    runInNewContext(worker, { addEventListener: add, caches, fetch: async () => new Response() })
    const respondWith = vi.fn()
    const ask = (Accept: string) => listener({ request: { headers: new Headers({ Accept }) }, respondWith })

    ask('text/event-stream')
    expect(respondWith).not.toHaveBeenCalled()
    ask('text/html')
    expect(respondWith).toHaveBeenCalledOnce()
  })

  function tsc(folder: string): string {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      allowJs: true,
      // Echo's own declarations compile in no other way.
      skipLibCheck: true,
      target: 'ES2022',
      lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      module: 'ESNext',
      moduleResolution: 'Bundler',
      jsx: 'react-jsx',
      types: ['vite/client'],
    }
    consumer.write(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions }))
    const args = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]
    return spawnSync(process.execPath, args, { cwd: consumer.folder, encoding: 'utf8' }).stdout
  }
})

describe('client/README.md', () => {
  it.each(['client/src/pusher/options.ts', 'client/src/echo/options.ts'])('names every option of %s', (file) => {
    const [, type = ''] = /export type \w+Options = (.*?)\n\n/s.exec(readFileSync(join(ROOT, file), 'utf8')) ?? []
    const names = [...type.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(4)
    const missing = names.filter((name) => !new RegExp(`^\\|[^|]*\`${name}[\`.]`, 'm').test(README) && name !== 'key')
    expect(missing).toEqual([])
  })

  it('has run what the README of the whole project shows of it', () => {
    const whole = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const shown = [...whole.matchAll(/^```js\n(.*?)^```/gms)].flatMap(([, content = '']) =>
      content.includes('laravel-echo-sse') ? [content] : [],
    )
    expect(shown).toHaveLength(2)
    const isRun = (content: string) => BLOCKS.some((block) => block.runs !== '' && block.content.startsWith(content))
    expect(shown.filter((content) => !isRun(content))).toEqual([])
  })

  it('leads to places that are there', () => {
    const places = [...README.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, place = '']) => place)
    const headings = [...README.matchAll(/^#+ (.*)$/gm)].map(
      ([, text = '']) => `#${text.toLowerCase().replaceAll(' ', '-')}`,
    )
    const isThere = (place: string) =>
      place.startsWith('#') ? headings.includes(place) : existsSync(join(ROOT, 'client', place))
    expect(places.filter((place) => !isThere(place))).toEqual([])
    expect(existsSync(join(ROOT, 'test/client/size.test.ts'))).toBe(true)
  })
})

function scriptOf(component: string): string {
  const { descriptor, errors } = parse(component)
  expect(errors).toEqual([])
  return compileScript(descriptor, { id: 'readme' }).content
}
