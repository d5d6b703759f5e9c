import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeBroadcast, jsonOrString, looksLikeBroadcast, parseBroadcast } from '../../src/channels/broadcast.ts'

const parse = (text: string) => parseBroadcast(Buffer.from(text))
const dataOf = (data: string, socket = 'null') => parse(`{"event":"E","data":${data},"socket":${socket}}`)?.dataJson

describe('what Laravel publishes', () => {
  it('is read as event, data and socket', () => {
    expect(parse('{"event":"App\\\\Events\\\\E","data":{"a":1},"socket":"1.2"}')).toEqual({
      eventJson: '"App\\\\Events\\\\E"',
      dataJson: '{"a":1}',
      socket: '1.2',
    })
  })

  it.each(['[]', '{}', 'null', '"text"', '5', '0', 'false', '[1,2]', '{"0":1}'])('may carry %s', (data) => {
    expect(dataOf(data)).toBe(data)
  })

  it('keeps numbers and escapes of its data as they were written', () => {
    const data = '{"n":9007199254740993,"f":1.0,"e":1e400,"s":"\\u00e9\\/<x>","é":[-0.0]}'
    expect(dataOf(data)).toBe(data)
  })

  it.each([
    ['error', '"error"'],
    ['', '""'],
    ['a b\nc', '"a b\\nc"'],
    ['🎉', '"🎉"'],
    ['x'.repeat(300), `"${'x'.repeat(300)}"`],
    ['__proto__', '"__proto__"'],
    ['client-typing', '"client-typing"'],
  ])('may be called %j', (event, json) => {
    expect(parse(JSON.stringify({ event, data: 1, socket: null }))?.eventJson).toBe(json)
  })

  it('is a notification or a model as well', () => {
    const type = 'App\\Notifications\\Paid'
    expect(dataOf(JSON.stringify({ id: 'uuid', type, socket: null }))).toBe(JSON.stringify({ id: 'uuid', type }))
    const model = { model: { id: 5 }, connection: null, queue: null, afterCommit: false }
    expect(dataOf(JSON.stringify({ ...model, socket: null }))).toBe(JSON.stringify(model))
  })

  it('may come without a socket, or with one that is no text', () => {
    expect(parse('{"event":"E","data":1}')?.socket).toBeNull()
    expect(parse('{"event":"E","data":1,"socket":5}')?.socket).toBeNull()
  })
})

describe('the copy of the sender’s socket id in the data', () => {
  it.each([
    ['{"x":1,"socket":"1.2"}', '"1.2"', '{"x":1}'],
    ['{"x":1,"socket":null}', 'null', '{"x":1}'],
    ['{"socket":null}', 'null', '{}'],
    ['{"0":1,"1":2,"socket":null}', 'null', '{"0":1,"1":2}'],
  ])('%s with socket %s becomes %s', (data, socket, kept) => {
    expect(dataOf(data, socket)).toBe(kept)
  })

  it.each([
    ['another value', '{"socket":"9.9"}', '"1.2"'],
    ['another type', '{"socket":false}', 'null'],
    ['deeper inside', '{"a":{"socket":"1.2"}}', '"1.2"'],
    ['in a list', '[{"socket":"1.2"}]', '"1.2"'],
    ['a text', '"socket"', 'null'],
  ])('is left alone when it is %s', (_what, data, socket) => {
    expect(dataOf(data, socket)).toBe(data)
  })
})

describe('what is not Laravel’s', () => {
  it.each([
    '',
    'null',
    'true',
    '5',
    '"x"',
    '[]',
    '{}',
    '{"event":"E"}',
    '{"data":1}',
    '{"event":5,"data":1}',
    '{"event":null,"data":1}',
    '["event","data"]',
    '{"event":"E","data":',
    '{"event":"E","data":01}',
    '{"__proto__":{"event":"E","data":1}}',
    'a:2:{s:5:"event";s:1:"E";s:4:"data";i:1;}',
    '\ufeff{"event":"E","data":1}',
  ])('%j is ignored', (text) => {
    expect(parse(text)).toBeNull()
  })

  it('is broken UTF-8 as well', () => {
    const broken = Buffer.concat([Buffer.from('{"event":"E","data":"'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(parseBroadcast(broken)).toBeNull()
  })

  it('is told mostly without parsing', () => {
    const foreign = ['', 'null', '[]', '{}', 'a:1:{s:5:"event";}', '{"type":"x"}', ' {"event":1}']
    expect(foreign.map((text) => looksLikeBroadcast(Buffer.from(text)))).toEqual(foreign.map(() => false))
    expect(looksLikeBroadcast(Buffer.from('{"data":[],"event":"E"}'))).toBe(true)
  })
})

describe('whatever is published', () => {
  // JSON written by hand: numbers as no program prints them, escapes, spaces.
  const scalar = fc.oneof(
    fc.constantFrom('null', 'true', '1.0', '-0', '1E+2', '9007199254740993', '"\\u0041\\/"', '"socket"', '{}', '[ ]'),
    fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  )
  const key = fc
    .string({ unit: 'grapheme' })
    .filter((name) => name !== 'socket')
    .map((name) => JSON.stringify(name))
  const { data } = fc.letrec<{ data: string }>((tie) => ({
    data: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      scalar,
      fc.array(tie('data'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
      fc
        .array(fc.tuple(key, tie('data')), { maxLength: 4 })
        .map((pairs) => `{${pairs.map((pair) => pair.join(':')).join(',')}}`),
    ),
  }))
  const event = fc.string({ unit: 'grapheme' })
  const socket = fc.constantFrom(null, '1.2', '123456.789012')

  it('data arrives digit for digit', () => {
    fc.assert(
      fc.property(event, data, socket, (name, text, sender) => {
        const broadcast = parse(encodeBroadcast(name, text, sender))
        expect(broadcast).toEqual({ eventJson: JSON.stringify(name), dataJson: text, socket: sender })
      }),
      { numRuns: 5000 },
    )
  })

  it('only the copied socket leaves the data', () => {
    const members = fc.uniqueArray(fc.tuple(key, data), { maxLength: 4, selector: ([name]) => name })
    fc.assert(
      fc.property(members, fc.nat(4), socket, (pairs, at, sender) => {
        const written = pairs.map(([name, value]) => `${name}:${value}`)
        const withCopy = written.toSpliced(at, 0, `"socket":${JSON.stringify(sender)}`)
        expect(dataOf(`{${withCopy.join(',')}}`, JSON.stringify(sender))).toBe(`{${written.join(',')}}`)
      }),
      { numRuns: 3000 },
    )
  })

  it('random bytes never throw', () => {
    const bytes = fc.uint8Array({ maxLength: 60 })
    fc.assert(
      fc.property(bytes, (random) => void parseBroadcast(Buffer.from(random))),
      { numRuns: 40_000 },
    )
  })

  it('mutated messages never throw, and give JSON or nothing', () => {
    const message = Buffer.from('{"event":"App\\\\E","data":{"a":[1,{"b":"c\\n"}],"socket":"1.2"},"socket":"1.2"}')
    const edit = fc.tuple(
      fc.nat(message.length - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\ n0'))),
    )
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat(message.length), (edits, length) => {
        const mutated = Buffer.from(message.subarray(0, length + (length % 2) * message.length))
        for (const [index, byte] of edits) if (index < mutated.length) mutated[index] = byte
        const broadcast = parseBroadcast(mutated)
        if (broadcast === null) return
        expect(() => JSON.parse(`[${broadcast.eventJson},${broadcast.dataJson}]`)).not.toThrow()
      }),
      { numRuns: 60_000 },
    )
  }, 20_000)
})

describe('data of Pusher’s API', () => {
  it('is JSON when it is JSON, else a text', () => {
    expect(['{"a":1.0}', '5', 'plain', '', '"q"', '{broken'].map(jsonOrString)).toEqual([
      '{"a":1.0}',
      '5',
      '"plain"',
      '""',
      '"q"',
      '"{broken"',
    ])
  })
})
