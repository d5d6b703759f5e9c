import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Block = {
  readonly language: string
  readonly content: string
  /** The name in a comment `<!-- runs: name -->` above it; empty without one. */
  readonly runs: string
}

const BLOCK = /(?:<!-- runs: (\S+) -->\n)?^( *)```(\w+)\n(.*?)^ *```/gms

export const clientReadmeBlocks = (): Block[] => blocksOf('client/README.md')

/** The fenced blocks of a document, without what indents them as parts of a list. */
export function blocksOf(document: string): Block[] {
  const text = readFileSync(join(import.meta.dirname, '../..', document), 'utf8')
  return [...text.matchAll(BLOCK)].map(([, runs = '', indent = '', language = '', content = '']) => ({
    language,
    runs,
    content: content.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}
