import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFrame, Frame, type FrameFields } from '../../src/sse/frame.ts'
import { Batch } from '../../src/sse/outlet.ts'
import { readFrames } from '../support/sse.ts'

describe('the text of a frame', () => {
  it.each<[string, FrameFields, string]>([
    ['data alone', { data: 'a' }, 'data: a\n\n'],
    ['empty data', { data: '' }, 'data: \n\n'],
    ['an id', { id: '1.2.3', data: 'a' }, 'id: 1.2.3\ndata: a\n\n'],
    ['an event', { event: 'ping', data: 'a' }, 'event: ping\ndata: a\n\n'],
    [
      'all fields',
      { retry: 1500, id: '1.2.3~1.2.4', event: 'connected', data: '{}' },
      'retry: 1500\nid: 1.2.3~1.2.4\nevent: connected\ndata: {}\n\n',
    ],
    ['a retry with a fraction', { retry: 1500.7, data: '' }, 'retry: 1500\ndata: \n\n'],
    ['line feeds', { data: 'a\nb\n' }, 'data: a\ndata: b\ndata: \n\n'],
    ['every kind of line break', { data: 'a\r\nb\rc\nd' }, 'data: a\ndata: b\ndata: c\ndata: d\n\n'],
    ['spaces and colons', { data: ' : a' }, 'data:  : a\n\n'],
  ])('with %s is this', (_what, fields, text) => {
    expect(encodeFrame(fields)).toBe(text)
  })

  it.each(['', 'a\nb', 'a\rb', 'a\0b', '\r\n'])('cannot be made with %j as id or event: that is our bug', (value) => {
    expect(() => encodeFrame({ id: value, data: '' })).toThrow(TypeError)
    expect(() => encodeFrame({ event: value, data: '' })).toThrow(TypeError)
  })
})

describe('a parser that follows the standard', () => {
  const line = fc.string({
    unit: fc.oneof(
      { weight: 5, arbitrary: fc.string({ minLength: 1, maxLength: 1 }) },
      fc.constantFrom('é', '🎉', ':', ' ', '\ufeff', '\u2028', '\0'),
    ),
  })
  const name = fc.string({ unit: 'grapheme-ascii', minLength: 1 }).filter((text) => !/[\r\n\0]/.test(text))
  const data = fc
    .array(fc.oneof(line, fc.constantFrom('\n', '\r', '\r\n', 'data: x\n\n', 'id: 9\n')))
    .map((parts) => parts.join(''))
  const fields = fc.record(
    { data, id: name, event: name, retry: fc.nat() },
    { requiredKeys: ['data'], noNullPrototype: true },
  )
  const cuts = fc.array(fc.nat(200))

  function cut(text: string, lengths: readonly number[]): string[] {
    const pieces: string[] = []
    let rest = text
    for (const length of lengths) {
      pieces.push(rest.slice(0, length))
      rest = rest.slice(length)
    }
    return [...pieces, rest].filter((piece) => piece !== '')
  }

  it('reads exactly the intended frames, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fields, { minLength: 1, maxLength: 5 }), cuts, (frames, lengths) => {
        const stream = frames.map((frame) => encodeFrame(frame)).join('')
        // [spec] Line breaks within data all become line feeds.
        const intended = frames.map((frame) => ({ ...frame, data: frame.data.replace(/\r\n|\r/g, '\n') }))
        expect(readFrames(cut(stream, lengths))).toEqual(intended)
      }),
      { numRuns: 5000 },
    )
  })

  it('reads one frame of any string as data, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(readFrames(encodeFrame({ data: text }))).toEqual([{ data: text.replace(/\r\n|\r/g, '\n') }])
      }),
      { numRuns: 100_000 },
    )
  }, 30_000)
})

describe('the chunk of a frame', () => {
  it('is these bytes', () => {
    expect(new Frame('data: é\n\n').chunk.toString()).toBe('a\r\ndata: é\n\n\r\n')
  })

  it('is one HTTP/1.1 chunk whose length matches, of exactly the frame’s bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        const frame = new Frame(text)
        expect(readChunks(frame.chunk)).toEqual([Buffer.from(text)])
        expect(frame.bytes).toEqual(Buffer.from(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('of a batch is the chunks of its frames', () => {
    const frames = ['data: a\n\n', 'data: é\n\n'].map((text) => new Frame(text))
    expect(readChunks(new Batch(frames).chunk).map(String)).toEqual(['data: a\n\n', 'data: é\n\n'])
    expect(new Batch(frames.slice(0, 1)).chunk).toBe(frames[0]?.chunk)
    expect(new Batch([]).chunk).toHaveLength(0)
  })
})

/** Takes chunked transfer coding apart. [RFC 9112, section 7.1] */
function readChunks(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const head = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.toString('latin1', at, head), 16)
    const start = head + 2
    chunks.push(bytes.subarray(start, start + length))
    expect(bytes.toString('latin1', start + length, start + length + 2)).toBe('\r\n')
    at = start + length + 2
  }
  return chunks
}

// A slice of Node's shared pool would keep 8 KiB alive for as long as one small frame stays in the log.
it('a frame keeps no memory alive but its own', () => {
  const { chunk } = new Frame('data: small\n\n')
  expect(chunk.buffer.byteLength).toBe(chunk.length)
})
