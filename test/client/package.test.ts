import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build as bundle } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { INTERNAL_NAMES, LETTERS } from '../../client/short-names.ts'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'

const ROOT = join(import.meta.dirname, '../..')

let consumer: Consumer

beforeAll(() => {
  consumer = consumerOfClient([
    '@laravel/echo-react',
    '@laravel/echo-vue',
    '@types/react',
    'csstype',
    'laravel-echo',
    'pusher-js',
    'react',
    'vue',
  ])
})

afterAll(() => consumer?.remove())

describe('the packed browser package', () => {
  it('holds what is needed to use it, and nothing else', () => {
    const built = /^dist\/(?:[\w-]+\.(?:mjs|mjs\.map|cjs|d\.mts|d\.cts)|echo-sse\.iife\.js)$/
    const rest = consumer.files.filter((file) => !built.test(file))
    expect(rest.sort()).toEqual(['LICENSE', 'README.md', 'package.json'])
  })

  it('has a file behind every name that package.json gives', () => {
    const { exports, main, module, types, unpkg, jsdelivr } = manifest()
    const named = [...leavesOf(exports), main, module, types, unpkg, jsdelivr].map((path) => path.replace('./', ''))
    expect(named.filter((path) => !consumer.files.includes(path))).toEqual([])
  })

  it('is under the licence of the whole project', () => {
    expect(readFileSync(join(consumer.client, 'LICENSE'), 'utf8')).toBe(readFileSync(join(ROOT, 'LICENSE'), 'utf8'))
  })

  it('says nothing about the machine it was built on', () => {
    const telling = consumer.files.filter((file) => readFileSync(join(consumer.client, file), 'utf8').includes(ROOT))
    expect(telling).toEqual([])
  })
})

/** What each entry has to export; `default` is the value that a default import gives. */
const SHAPES = {
  'laravel-echo-sse': { default: 'Echo', Echo: 'Echo', SsePusher: 'SsePusher', Pusher: 'SsePusher' },
  'laravel-echo-sse/pusher': { default: 'SsePusher', SsePusher: 'SsePusher', Pusher: 'SsePusher' },
  'laravel-echo-sse/vue': { useStream: 'useStream' },
  'laravel-echo-sse/react': { useStream: 'useStream' },
}

const TELL =
  'const tell = (of) => console.log(JSON.stringify(Object.fromEntries(Object.keys(of).map((k) => [k, of[k]?.name]))))'

// Node has no page: what a server that renders pages does is this.
describe.each(Object.entries(SHAPES))('%s in plain Node', (entry, shape) => {
  it('can be imported', () => {
    const told = node('module', `import * as all from '${entry}'; ${TELL}; tell(all)`)
    expect(JSON.parse(told)).toMatchObject(shape)
  })

  it('can be required', () => {
    const told = node('commonjs', `${TELL}; tell(require('${entry}'))`)
    expect(JSON.parse(told)).toMatchObject(shape)
  })
})

describe('where pusher-js is expected', () => {
  it('gives the class itself to `require()`', () => {
    const source = `
      const Pusher = require('laravel-echo-sse/pusher')
      console.log(typeof Pusher, Pusher === Pusher.default, Pusher === Pusher.SsePusher, Pusher === Pusher.Pusher)`
    expect(node('commonjs', source)).toBe('function true true true\n')
  })

  // esbuild treats a CommonJS module as webpack and Babel do: its `default` counts only with `__esModule`.
  it.each([
    ['@laravel/echo-vue', 'mjs'],
    ['@laravel/echo-vue', 'cjs'],
    ['@laravel/echo-react', 'mjs'],
    ['@laravel/echo-react', 'cjs'],
  ])('%s, bundled with an alias, takes the %s build for pusher-js', async (hooks, ending) => {
    const { outputFiles } = await bundle({
      stdin: { contents: ASK_THE_HOOKS.replace('HOOKS', hooks), resolveDir: consumer.folder },
      alias: { 'pusher-js': join(consumer.client, `dist/pusher.${ending}`) },
      define: { 'import.meta.env': '{}' },
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['vue', 'react'],
      write: false,
    })
    expect(node('module', outputFiles[0]?.text ?? '')).toBe('true\n')
  })
})

/** Whether the hooks' own Echo has made its connection with our class. */
const ASK_THE_HOOKS = `
  import { configureEcho, echo } from 'HOOKS'
  import { SsePusher } from 'pusher-js'
  configureEcho({ broadcaster: 'reverb', key: 'x', wsHost: 'gateway.test' })
  console.log(echo().connector.pusher instanceof SsePusher)
  echo().disconnect()`

describe('the script for a page without a bundler', () => {
  it('defines EchoSSE with Echo and Pusher, and nothing else', () => {
    const page = createContext({})
    runInContext(readFileSync(join(consumer.client, 'dist/echo-sse.iife.js'), 'utf8'), page)
    expect(Object.keys(page)).toEqual(['EchoSSE'])
    expect(runInContext('Object.keys(EchoSSE).sort().join()', page)).toBe('Echo,Pusher')
    expect(runInContext('[typeof EchoSSE.Echo, typeof EchoSSE.Pusher].join()', page)).toBe('function,function')
  })
})

describe('the types', () => {
  const everything = `
    import Echo, { Echo as NamedEcho, Pusher, SsePusher } from 'laravel-echo-sse'
    import DefaultPusher, { Pusher as PusherOfPusher, SsePusher as SsePusherOfPusher } from 'laravel-echo-sse/pusher'
    import { useStream as useReactStream } from 'laravel-echo-sse/react'
    import { useStream as useVueStream } from 'laravel-echo-sse/vue'

    export const echo: Echo = new NamedEcho({ broadcaster: 'reverb', key: 'x' })
    export const pusher: SsePusher = new DefaultPusher('x')
    export const same: (typeof SsePusher)[] = [SsePusherOfPusher, PusherOfPusher, Pusher]

    declare global {
      interface Events {
        OrderShipped: { id: number }
      }
    }
    echo.channel('orders').listen('OrderShipped', ({ id }) => id.toFixed())
    // @ts-expect-error Named in \`Events\`, it has no total.
    echo.channel('orders').listen('OrderShipped', ({ total }) => total)

    // @ts-expect-error Were these \`any\`, everything would compile.
    echo.noSuchMethod()
    // @ts-expect-error
    pusher.noSuchMethod()
    // @ts-expect-error
    useVueStream().noSuchField
    // @ts-expect-error
    useReactStream().noSuchField`

  it('compile strictly in a Node project, ESM and CommonJS, themselves checked too', () => {
    consumer.write('node/everything.mts', everything)
    consumer.write('node/everything.cts', everything)
    expect(tsc('node', { module: 'Node16', moduleResolution: 'Node16', skipLibCheck: false })).toBe('')
  }, 60_000)

  // Echo's own declarations compile in no other way.
  it('compile strictly with a bundler, where those of Laravel Echo and pusher-js are expected too', () => {
    consumer.write('bundler/everything.ts', everything)
    consumer.write(
      'bundler/plugs.ts',
      `
      import { configureEcho as configureReactEcho } from '@laravel/echo-react'
      import { configureEcho as configureVueEcho } from '@laravel/echo-vue'
      import RealEcho from 'laravel-echo'
      import { Pusher } from 'laravel-echo-sse/pusher'
      import type RealPusher from 'pusher-js'

      export const plug: typeof RealPusher = Pusher
      export const echo = new RealEcho({ broadcaster: 'reverb', key: 'x', Pusher })
      configureVueEcho({ broadcaster: 'reverb', key: 'x', Pusher })
      configureReactEcho({ broadcaster: 'reverb', key: 'x', Pusher })`,
    )
    expect(tsc('bundler', { module: 'ESNext', moduleResolution: 'Bundler', skipLibCheck: true })).toBe('')
  }, 60_000)
})

describe('names that the build shortens', () => {
  it('are our own: none is declared for the wire or for the page', () => {
    const wordsOf = (file: string) => readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    const wire = wordsOf('src/protocol.ts').match(/\w+/g) ?? []
    const options = ['client/src/pusher/options.ts', 'client/src/echo/options.ts'].flatMap(
      (file) => wordsOf(file).match(/\w+(?=\??:)/g) ?? [],
    )
    const declared = [...wire, ...options]
    expect(declared).toContain('bye')
    expect(declared.length).toBeGreaterThan(50)
    expect(INTERNAL_NAMES.filter((name) => declared.includes(name))).toEqual([])
  })

  it('are all there are, and gone from everything that is shipped', () => {
    const folder = join(consumer.client, 'dist')
    const shipped = readdirSync(folder).filter((file) => /\.[cm]?js$/.test(file))
    const code = shipped.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
    expect(INTERNAL_NAMES.filter((name) => code.includes(`.${name}`))).toEqual([])
    expect(code.match(/\.[a-zA-Z]\b(?!\.)/g)?.length).toBeGreaterThan(100)
    const letters = INTERNAL_NAMES.map((_, at) => LETTERS[at])
    expect([...new Set(letters)]).toHaveLength(INTERNAL_NAMES.length)
  })

  it('are not the names of functions, which are read in stack traces', () => {
    const print = 'console.log(new SsePusher("x", { url: "http://a" }).connection.turn.name, SsePusher.name)'
    expect(node('module', `import { SsePusher } from 'laravel-echo-sse/pusher'; ${print}`)).toBe('turn SsePusher\n')
  })
})

function node(kind: 'module' | 'commonjs', source: string): string {
  const args = [`--input-type=${kind}`, '--eval', source]
  return execFileSync(process.execPath, args, { cwd: consumer.folder, encoding: 'utf8', timeout: 10_000 })
}

/** What the compiler has to say about the sources in this folder of the consumer. */
function tsc(folder: string, how: Record<string, unknown>): string {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    target: 'ES2022',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: [],
    ...how,
  }
  consumer.write(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions }))
  const args = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]
  const { stdout } = spawnSync(process.execPath, args, { cwd: consumer.folder, encoding: 'utf8' })
  return stdout
}

function manifest() {
  return JSON.parse(readFileSync(join(consumer.client, 'package.json'), 'utf8'))
}

function leavesOf(tree: unknown): string[] {
  return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(leavesOf) : [String(tree)]
}
