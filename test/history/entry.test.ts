import { describe, expect, it } from 'vitest'
import { Entry, type EntryOptions } from '../../src/history/entry.ts'
import { at, laravel } from '../support/history.ts'

function entry(payload: Buffer | string, options: Partial<EntryOptions> = {}): Entry {
  return new Entry({
    seq: 1,
    position: at('7.8.9'),
    hasId: true,
    channel: 'orders',
    payload: Buffer.from(payload),
    receivedAtMs: 0,
    ...options,
  })
}

const text = (one: Entry, id?: string) => (id === undefined ? one.frame : one.frameWithId(id))?.bytes.toString()

describe('the frame of a broadcast', () => {
  it('is these bytes', () => {
    const one = entry('{"event":"App\\\\Events\\\\E","data":{"a":1},"socket":null}')
    expect(text(one)).toBe('id: 7.8.9\ndata: {"channel":"orders","event":"App\\\\Events\\\\E","data":{"a":1}}\n\n')
  })

  it('is made once and shared', () => {
    const one = entry(laravel(1))
    expect(one.frame).toBe(one.frame)
  })

  it('has no id when the place of the message is not known', () => {
    const one = entry(laravel(1), { hasId: false })
    expect(text(one)).toMatch(/^data: /)
    expect(one.frameWithId('1.1.1~7.8.9')).toBe(one.frame)
  })

  it('takes another id for a stream that still waits for an answer', () => {
    const one = entry(laravel('id: 7.8.9'))
    expect(text(one, '7.1.0~7.8.9')).toBe(text(one)?.replace('id: 7.8.9', 'id: 7.1.0~7.8.9'))
    expect(text(one)).toMatch(/^id: 7\.8\.9\n/)
  })

  it('carries names of channels and events only inside its JSON, whatever they hold', () => {
    const one = entry(laravel(1, null, 'error\nid: 1\r\0"'), { channel: 'a"b\nc' })
    expect(text(one)?.split('\n')).toHaveLength(4)
    expect(JSON.parse(text(one)?.split('\n')[1]?.slice(6) ?? '')).toEqual({
      channel: 'a"b\nc',
      event: 'error\nid: 1\r\0"',
      data: 1,
    })
  })

  it('does not exist for a message that is not Laravel’s', () => {
    const one = entry('{"event":5}')
    expect([one.frame, one.socket, one.frameWithId('1.1.1')]).toEqual([null, null, null])
  })
})

it('knows the connection that shall not receive it', () => {
  expect(entry(laravel(1, '1.2')).socket).toBe('1.2')
  expect(entry(laravel(1)).socket).toBeNull()
})

it('costs its payload and its bookkeeping, whether or not it was encoded', () => {
  const one = entry(laravel('x'.repeat(1000)))
  const before = one.sizeBytes
  expect(before).toBeGreaterThan(1000)
  expect(one.frame).not.toBeNull()
  expect(one.sizeBytes).toBe(before)
})

it.each([
  ['cut off', '{"event":"E","data":{'],
  ['without data', '{"event":"E"}'],
  ['with an event that is no text', '{"event":5,"data":1}'],
  ['no UTF-8', Buffer.from('{"event":"E\xff","data":1}', 'latin1')],
])('a message that is %s has no frame, and is counted once', (_what, payload) => {
  let malformed = 0
  const one = entry(payload, { onMalformed: () => (malformed += 1) })
  expect(malformed).toBe(0)
  expect([one.frame, one.frame, one.socket]).toEqual([null, null, null])
  expect(malformed).toBe(1)
})
