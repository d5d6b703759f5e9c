import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parser } from '../../../client/src/transports/parser.ts'

type Told = [event: string, data: string, id: string]

const bytes = (text: string) => new TextEncoder().encode(text)

function parse(...chunks: (string | Uint8Array)[]): Told[] {
  const told: Told[] = []
  const feed = parser((event, data, id) => told.push([event, data, id]))
  for (const chunk of chunks) feed(typeof chunk === 'string' ? bytes(chunk) : chunk)
  return told
}

// What the web platform tests hold against EventSource (eventsource/format-*), in terms of frames.
const VECTORS: [title: string, text: string, told: Told[]][] = [
  ['data alone', 'data: a\n\n', [['message', 'a', '']]],
  ['an event with a name and an id', 'id: 1\nevent: ping\ndata: a\n\n', [['ping', 'a', '1']]],
  ['several lines of data', 'data: a\ndata: b\ndata\ndata: c\n\n', [['message', 'a\nb\n\nc', '']]],
  [
    'data without anything',
    'data\n\ndata:\n\n',
    [
      ['message', '', ''],
      ['message', '', ''],
    ],
  ],
  ['no data: nothing is told', 'event: ping\nid: 1\n\ndata: a\n\n', [['message', 'a', '']]],
  [
    'one leading space is taken away',
    'data:a\n\ndata: a\n\ndata:  a\n\n',
    [
      ['message', 'a', ''],
      ['message', 'a', ''],
      ['message', ' a', ''],
    ],
  ],
  ['a tab is kept', 'data:\ta\n\n', [['message', '\ta', '']]],
  ['a colon in the value', 'data: {"a":1}\n\n', [['message', '{"a":1}', '']]],
  ['comments', ': hello\ndata: a\n:\n: b\n\n', [['message', 'a', '']]],
  [
    'unknown fields, and names in another case',
    'foo: 1\nData: 2\n data: 3\ndata: a\nretry: 100\n\n',
    [['message', 'a', '']],
  ],
  ['an id with NUL is none', 'id: 1\0\ndata: a\n\n', [['message', 'a', '']]],
  [
    'the id is the frame’s own',
    'id: 1\ndata: a\n\ndata: b\n\n',
    [
      ['message', 'a', '1'],
      ['message', 'b', ''],
    ],
  ],
  [
    'the name is the frame’s own',
    'event: ping\ndata: a\n\ndata: b\n\n',
    [
      ['ping', 'a', ''],
      ['message', 'b', ''],
    ],
  ],
  [
    'CR',
    'data: a\rdata: b\r\rdata: c\r\r',
    [
      ['message', 'a\nb', ''],
      ['message', 'c', ''],
    ],
  ],
  ['CRLF', 'data: a\r\ndata: b\r\n\r\n', [['message', 'a\nb', '']]],
  [
    'all line ends mixed',
    'data: a\rdata: b\r\ndata: c\n\r\ndata: d\n\r',
    [
      ['message', 'a\nb\nc', ''],
      ['message', 'd', ''],
    ],
  ],
  ['a byte order mark', '\ufeffdata: a\n\n', [['message', 'a', '']]],
  ['a second byte order mark is text', '\ufeff\ufeffdata: a\n\ndata: b\n\n', [['message', 'b', '']]],
  ['one that is not at the beginning is text', 'data: \ufeffa\n\n', [['message', '\ufeffa', '']]],
  ['a block without its end is not told', 'data: a\n\ndata: b\n', [['message', 'a', '']]],
  ['NUL and other characters in the data', 'data: \0ü€😀\u2028\n\n', [['message', '\0ü€😀\u2028', '']]],
  ['names that objects have', 'event: __proto__\nid: constructor\ndata: a\n\n', [['__proto__', 'a', 'constructor']]],
]

describe('the parser of event streams', () => {
  it.each(VECTORS)('reads %s', (_title, text, told) => {
    expect(parse(text)).toEqual(told)
  })

  it.each(VECTORS)('reads %s byte by byte', (_title, text, told) => {
    expect(parse(...[...bytes(text)].map((byte) => Uint8Array.of(byte)))).toEqual(told)
  })

  it('takes bytes that are no UTF-8 for what the standard says', () => {
    expect(parse('data: ', Uint8Array.of(0xff, 0xe2, 0x82), '\n\n')).toEqual([['message', '\ufffd\ufffd', '']])
  })

  it('tells the same however the bytes are cut', () => {
    const line = fc.oneof(
      fc.constantFrom('data', 'data: ', 'id: 7', 'id: \0', 'event: ping', ': x', '', '\ufeffdata: é€😀', 'foo: 1'),
      fc.string({ unit: 'binary' }),
    )
    const text = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n'))).map((parts) => parts.flat().join(''))
    fc.assert(
      fc.property(text, fc.array(fc.nat(200)), (text, cuts) => {
        const whole = bytes(text)
        const chunks: Uint8Array[] = []
        let start = 0
        for (const length of cuts) {
          chunks.push(whole.slice(start, start + length))
          start += length
        }
        expect(parse(...chunks, whole.slice(start))).toEqual(parse(whole))
      }),
      { numRuns: 500 },
    )
  })

  it('reads an event of 5 MB in time that grows with its length only', () => {
    const tookMs = (megabytes: number) => {
      const text = `data: ${'x'.repeat(megabytes * 1024 * 1024)}\n\n`
      const whole = bytes(text)
      const chunks = Array.from({ length: Math.ceil(whole.length / 65_536) }, (_, at) =>
        whole.subarray(at * 65_536, (at + 1) * 65_536),
      )
      const startedAt = performance.now()
      const told = parse(...chunks)
      expect(told[0]?.[1]).toHaveLength(megabytes * 1024 * 1024)
      return performance.now() - startedAt
    }
    tookMs(5)
    // Searched from the beginning with every chunk it would be four times as long per megabyte, and seconds in all.
    expect(tookMs(20)).toBeLessThan(Math.max(250, 12 * tookMs(5)))
  })
})
