import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Block = {
  readonly language: string
  readonly content: string
  /** The name in a comment `<!-- runs: name -->` above it; empty without one. */
  readonly runs: string
}

const BLOCK = /(?:<!-- runs: (\S+) -->\n)?^( *)```(\w+)\n(.*?)^ *```/gms

/** The fenced blocks of client/README.md, without what indents them as parts of a list. */
export function clientReadmeBlocks(): Block[] {
  const text = readFileSync(join(import.meta.dirname, '../../client/README.md'), 'utf8')
  return [...text.matchAll(BLOCK)].map(([, runs = '', indent = '', language = '', content = '']) => ({
    language,
    runs,
    content: content.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}
