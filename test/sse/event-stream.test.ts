import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EventStream } from '../../src/sse/event-stream.ts'
import { Frame } from '../../src/sse/frame.ts'
import { Batch } from '../../src/sse/outlet.ts'
import { HELLO, StreamServer } from '../support/stream-server.ts'

const V11 = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const V10 = 'GET / HTTP/1.0\r\n\r\n'
const frame = (text: string) => new Frame(`data: ${text}\n\n`)
const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4)

let server: StreamServer
beforeEach(async () => {
  server = new StreamServer()
  await server.start()
})
afterEach(() => server.close())

describe('over HTTP/1.1', () => {
  it('sends head and first frame at once, and each write as chunks', async () => {
    const { stream, reader } = await server.request(V11)
    const head = await reader.until('hello')
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head).toMatch(/\r\nTransfer-Encoding: chunked\r\n/i)
    stream.write([frame('a'), frame('b')])
    stream.writeBatch(new Batch([frame('c')]))
    stream.end(frame('bye'))
    const text = await reader.end()
    expect(bodyOf(text)).toBe(
      [
        'd\r\ndata: hello\n\n',
        '9\r\ndata: a\n\n',
        '9\r\ndata: b\n\n',
        '9\r\ndata: c\n\n',
        'b\r\ndata: bye\n\n',
        '0\r\n',
        '',
      ].join('\r\n'),
    )
  })

  it('ends once, cleanly, and writes nothing afterwards', async () => {
    const { stream, reader } = await server.request(V11)
    stream.end(frame('bye'))
    stream.end(frame('again'))
    stream.write([frame('late')])
    expect(stream.isOpen).toBe(false)
    expect(bodyOf(await reader.end())).toBe('d\r\ndata: hello\n\n\r\nb\r\ndata: bye\n\n\r\n0\r\n\r\n')
  })
})

describe('over HTTP/1.0', () => {
  it('sends the frames without chunk framing and ends with the connection', async () => {
    const { stream, reader } = await server.request(V10)
    stream.write([frame('a'), frame('b')])
    stream.writeBatch(new Batch([frame('c'), frame('d')]))
    stream.end(frame('bye'))
    const text = await reader.end()
    expect(text).not.toMatch(/transfer-encoding/i)
    expect(bodyOf(text)).toBe('data: hello\n\ndata: a\n\ndata: b\n\ndata: c\n\ndata: d\n\ndata: bye\n\n')
  })
})

describe('a reader that has left', () => {
  it('is noticed: the stream is no longer open and takes writes in silence', async () => {
    const { stream, response, reader } = await server.request(V11)
    reader.socket.destroy()
    await once(response, 'close')
    expect(stream.isOpen).toBe(false)
    stream.write([frame('late')])
    stream.end()
  })

  it('before the stream was opened gets none', async () => {
    const { response, reader } = await server.request(V11)
    reader.socket.destroy()
    await once(response, 'close')
    expect(EventStream.open(response, {}, HELLO)).toBeNull()
  })
})

describe('a reader that has stopped reading', () => {
  const MEGABYTE = frame('x'.repeat(1024 * 1024))

  async function stuck() {
    const opened = await server.request(V11)
    await opened.reader.until('hello')
    opened.reader.socket.pause()
    const { stream } = opened
    // The kernel takes the first megabytes; then they pile up here.
    for (let count = 0; stream.pendingBytes < 4 * 1024 * 1024 && count < 64; count += 1) {
      stream.write([MEGABYTE])
      await nextTurn()
    }
    return opened
  }

  it('leaves its bytes here to be counted, and says when it has taken them', async () => {
    const { stream, reader } = await stuck()
    expect(stream.pendingBytes).toBeGreaterThanOrEqual(4 * 1024 * 1024)
    const drained = new Promise<void>((resolve) => stream.onceDrained(resolve))
    reader.socket.resume()
    await drained
    expect(stream.pendingBytes).toBe(0)
  })

  it('and then breaks off is not asked again for ever: nobody waits for a closed stream', async () => {
    const { stream, response } = await stuck()
    let calls = 0
    response.socket?.destroy()
    stream.onceDrained(() => {
      calls += 1
    })
    await once(response, 'close')
    expect([stream.isOpen, calls]).toEqual([false, 0])
  })
})

it('calls back at once when nothing waits', async () => {
  const { stream, reader } = await server.request(V11)
  await reader.until('hello')
  let isCalled = false
  stream.onceDrained(() => {
    isCalled = true
  })
  expect(isCalled).toBe(true)
})
