import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ERRORS } from '../../src/errors.ts'
import { type FrameName, PARAMETERS, PATHS } from '../../src/protocol.ts'
import { PROTOCOL_DOC, quotedNames, WIRE_FOLDER, withQuotes } from '../support/protocol-doc.ts'

const written = readFileSync(PROTOCOL_DOC, 'utf8')
if (process.env.UPDATE_DOCS === '1') writeFileSync(PROTOCOL_DOC, withQuotes(written))

it('docs/protocol.md quotes the transcripts and the errors; `UPDATE_DOCS=1 npx vitest run test/docs` writes them anew', () => {
  const document = readFileSync(PROTOCOL_DOC, 'utf8')
  expect(document).toBe(withQuotes(document))
})

it('quotes every transcript once', () => {
  const files = readdirSync(WIRE_FOLDER).filter((name) => name.endsWith('.txt'))
  expect(quotedNames(written).sort()).toEqual(files.map((name) => name.replace('.txt', '')).sort())
})

it('notices a quote that says something else', () => {
  for (const [right, wrong] of [
    ['event: subscribed', 'event: Subscribed'],
    [ERRORS.missing_channels[1], 'Whatever.'],
  ] as const) {
    const changed = withQuotes(written).replace(right, wrong)
    expect(withQuotes(changed)).toBe(withQuotes(written))
    expect(changed).not.toBe(withQuotes(written))
  }
})

it('names every parameter, every frame and every address', () => {
  for (const name of [...Object.values(PARAMETERS), ...FRAMES]) expect(written).toContain(`\`${name}\``)
  const { tryIt, apps, ...paths } = PATHS
  for (const path of [...Object.values(paths), ...APP_PATHS.map((path) => `${apps}/{id}/${path}`)]) {
    expect(written).toMatch(new RegExp(`\\b(GET|POST) ${path.replace(/[{}]/g, '\\$&')}(?![\\w/])`))
  }
})

const APP_PATHS = [
  'events',
  'batch_events',
  'channels',
  'channels/{channel}',
  'channels/{channel}/users',
  'users/{user}/terminate_connections',
  'revoke',
]

/** Of each `event:` name whether it is one: the compiler finds what is missing. */
const FRAMES = Object.keys({
  connected: true,
  subscribed: true,
  denied: true,
  joining: true,
  leaving: true,
  revoked: true,
  cache_miss: true,
  ping: true,
  gap: true,
  bye: true,
} satisfies Record<FrameName, true>)
