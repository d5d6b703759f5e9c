import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { playTranscript } from '../support/transcript.ts'

const FILES = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))

describe.each(FILES)('the transcript %s', (name) => {
  const text = readFileSync(join(import.meta.dirname, name), 'utf8')
  const lines = text.trimEnd().split('\n')

  it('is what the gateway says', () => playTranscript(text))

  it('is refused with any line of the answer changed', async () => {
    for (const [index, line] of lines.entries()) {
      if (!/^[<|=]/.test(line) || line === '<') continue
      await expectRefused(lines.with(index, `${line.padEnd(2)}!`))
    }
  })

  it('is refused with any line of the body left out', async () => {
    for (const [index, line] of lines.entries()) {
      if (line.startsWith('|')) await expectRefused(lines.toSpliced(index, 1))
    }
  })
})

it('is refused when one name stands for two values', async () => {
  const text = readFileSync(join(import.meta.dirname, 'public-channel.txt'), 'utf8')
  await expectRefused(text.replace('{first}', '{start}').split('\n'))
})

async function expectRefused(lines: readonly string[]): Promise<void> {
  await expect(playTranscript(lines.join('\n')), lines.join('\n')).rejects.toThrow(/^Line|expected/)
}
