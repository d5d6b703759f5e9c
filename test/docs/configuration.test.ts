import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { configurationMarkdown } from '../../src/cli/config-docs.ts'
import { flagOf, type Option } from '../../src/config/option.ts'
import { OPTIONS } from '../../src/config/options.ts'

it('docs/configuration.md says what the table of options says; `npm run docs` writes it anew', () => {
  const written = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  expect(written).toBe(configurationMarkdown())
})

it('names every option, with all cells of its row', () => {
  const rows = configurationMarkdown().split('\n')
  for (const [name, option] of Object.entries<Option>(OPTIONS)) {
    const row = rows.find((line) => line.includes(`\`${name}\` |`))
    expect(row, name).toContain(flagOf(name, option))
    expect(row?.match(/(?<!\\)\|/g), name).toHaveLength(6)
  }
})
