import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS } from '../../src/errors.ts'

export const PROTOCOL_DOC = join(import.meta.dirname, '../../docs/protocol.md')
export const WIRE_FOLDER = join(import.meta.dirname, '../wire')

const TRANSCRIPT = /(<!-- transcript: ([\w-]+) -->\n)(?:```text\n.*?```\n)?/gs
const ERROR_TABLE = /(<!-- errors -->\n)(?:\|[^\n]*\n)*/

/** The document with every transcript and the table of errors as they are in the files they come from. */
export function withQuotes(document: string): string {
  return document
    .replace(TRANSCRIPT, (_, mark: string, name: string) => `${mark}\`\`\`text\n${transcript(name)}\`\`\`\n`)
    .replace(ERROR_TABLE, (_, mark: string) => `${mark}${errorTable()}`)
}

/** The transcripts the document quotes, in its order. */
export function quotedNames(document: string): string[] {
  return [...document.matchAll(TRANSCRIPT)].map(([, , name]) => name as string)
}

function transcript(name: string): string {
  return readFileSync(join(WIRE_FOLDER, `${name}.txt`), 'utf8')
}

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, [status, sentence]]) => `| ${status} | \`${code}\` | ${sentence.replaceAll('|', '\\|')} |\n`,
  )
  return `| status | \`code\` | \`message\`, where nothing more is known |\n|---|---|---|\n${rows.join('')}`
}
