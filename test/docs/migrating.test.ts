import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { flagOf, type Option } from '../../src/config/option.ts'
import { OPTIONS } from '../../src/config/options.ts'
import { consumerOfClient } from '../support/client-package.ts'
import { blocksOf } from '../support/readme-blocks.ts'

const PATH = join(import.meta.dirname, '../../docs/migrating.md')
const TEXT = readFileSync(PATH, 'utf8')

describe('docs/migrating.md', () => {
  it('names options that there are', () => {
    const named = [...TEXT.matchAll(/`[^`]*?(--[a-z][\w-]*)[^`]*`/g)].map(([, flag]) => flag)
    const known = Object.entries<Option>(OPTIONS).map(([name, option]) => flagOf(name, option))
    // Of the old tool, and of Laravel.
    const others = ['--force', '--tries', '--backoff']
    expect(named.length).toBeGreaterThan(15)
    expect(named.filter((flag) => ![...known, ...others].includes(flag ?? ''))).toEqual([])
  })

  it('points at files and headings that there are', () => {
    const targets = [...TEXT.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? '')
    expect(targets.length).toBeGreaterThan(5)
    for (const target of targets) {
      const [file = '', heading] = target.split('#')
      const path = file === '' ? PATH : join(dirname(PATH), file)
      expect(existsSync(path), target).toBe(true)
      if (heading !== undefined) expect(headingsOf(readFileSync(path, 'utf8')), target).toContain(heading)
    }
    const tests = [...TEXT.matchAll(/`(test\/[^`]+\.ts)`/g)].map(([, file]) => file ?? '')
    expect(tests.length).toBeGreaterThan(2)
    expect(tests.filter((file) => !existsSync(join(dirname(PATH), '..', file)))).toEqual([])
  })

  it('shows JavaScript that can be bundled from the packages as they are', async () => {
    const shown = blocksOf('docs/migrating.md').filter(({ language }) => language === 'js')
    const consumer = consumerOfClient(['laravel-echo', 'pusher-js'])
    try {
      expect(shown.length).toBeGreaterThan(2)
      for (const { content } of shown) {
        const stdin = { contents: content, resolveDir: consumer.folder }
        const { warnings } = await build({ stdin, bundle: true, format: 'esm', write: false, logLevel: 'silent' })
        expect(warnings).toEqual([])
      }
    } finally {
      consumer.remove()
    }
  })
})

function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}
