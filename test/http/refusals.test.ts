import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { ask, refusal, refusalOf } from '../support/ask.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { rawConnection, sendRaw } from '../support/raw-connection.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

/** How often something was refused with this code, as the metrics say. */
async function refusedCount({ gateway }: RunningGateway, code: ErrorCode): Promise<number> {
  const { values } = await gateway.services.metrics.refused.get()
  return values.find(({ labels }) => labels.code === code)?.value ?? 0
}

/** The one proper refusal an answer in raw bytes holds. */
function readRaw(answer: string): { status: number; code: string | undefined } {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
  expect(head).toMatch(/content-type: application\/json; charset=utf-8/i)
  expect(head).toMatch(/cache-control: no-store/i)
  expect(head).toMatch(new RegExp(`content-length: ${Buffer.byteLength(body)}`, 'i'))
  return { status: Number(head.split(' ')[1]), code: refusalOf(body).code }
}

describe('a method an address does not take', () => {
  it.each([
    ['PUT', '/stream', 'GET, POST'],
    ['DELETE', '/stream?channels=a', 'GET, POST'],
    ['OPTIONS', '/stream', 'GET, POST'],
    ['PROPFIND', '/stream', 'GET, POST'],
    ['POST', '/health', 'GET'],
    ['GET', '/apps/local/events', 'POST'],
    ['DELETE', '/metrics', 'GET'],
  ])('%s %s is a 405 that lists the others', async (method, path, allow) => {
    const { url } = await startGateway()
    const answer = await refusal(`${url}${path}`, { method })
    expect(answer).toMatchObject({ status: 405, code: 'method_not_allowed', headers: { allow } })
  })

  it('is refused to HEAD without a body', async () => {
    const { url, gateway } = await startGateway()
    const { status, headers, text } = await ask(`${url}/stream?channels=a`, { method: 'HEAD' })
    expect({ status, allow: headers.allow, text }).toEqual({ status: 405, allow: 'GET, POST', text: '' })
    expect(gateway.services.hub.size).toBe(0)
  })
})

it.each(['/streams', '/stream/', '/apps', '/%zz', '/..%2f..', '/constructor'])(
  'nothing is at %s: 404',
  async (path) => {
    const { url } = await startGateway({ tryPage: false })
    expect(await refusal(`${url}${path}`)).toMatchObject({ status: 404, code: 'not_found' })
  },
)

describe('too much', () => {
  it('of a body is a 413, whatever it holds', async () => {
    const gateway = await startGateway({ maxBodyBytes: 1024 })
    const body = JSON.stringify({ channels: 'a'.repeat(1100) })
    const answer = await refusal(`${gateway.url}/stream`, { method: 'POST', headers: JSON_TYPE, body })
    expect(answer).toMatchObject({ status: 413, code: 'body_too_large' })
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const other = await refusal(`${gateway.url}/stream`, { method: 'POST', headers: form, body })
    expect(other).toMatchObject({ status: 413, code: 'body_too_large' })
    expect(await refusedCount(gateway, 'body_too_large')).toBe(2)
  })

  it('of an address is a 414, also when it alone fills all room for headers', async () => {
    const gateway = await startGateway()
    const tooLong = await refusal(`${gateway.url}/stream?channels=${'a'.repeat(8200)}`)
    expect(tooLong).toMatchObject({ status: 414, code: 'uri_too_long' })
    const muchTooLong = await sendRaw(gateway.port, `GET /stream?channels=${'a'.repeat(20_000)}`)
    expect(readRaw(muchTooLong)).toEqual({ status: 414, code: 'uri_too_long' })
    expect(await refusedCount(gateway, 'uri_too_long')).toBe(2)
  })

  it('of headers is a 431, also when they never end', async () => {
    const gateway = await startGateway()
    const cookie = `Cookie: a=${'x'.repeat(20_000)}\r\n`
    const once = await sendRaw(gateway.port, `GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n${cookie}\r\n`)
    expect(readRaw(once)).toEqual({ status: 431, code: 'headers_too_large' })
    const often = await sendRaw(gateway.port, `GET / HTTP/1.1\r\nHost: x\r\n${cookie.repeat(100)}`)
    expect(readRaw(often)).toEqual({ status: 431, code: 'headers_too_large' })
    expect(await refusedCount(gateway, 'headers_too_large')).toBe(2)
  })

  it('does not cut off a client that is still sending: it would lose the answer', async () => {
    const gateway = await startGateway()
    const client = await rawConnection(gateway.port)
    const headers = `GET / HTTP/1.1\r\nHost: x\r\nCookie: a=${'x'.repeat(16 * 1024 * 1024)}`
    const failure = await new Promise((resolve) => client.socket.write(headers, resolve))
    expect(failure ?? null).toBeNull()
    await client.closed
    expect(readRaw(client.text).code).toMatch(/uri_too_long|headers_too_large/)
  })
})

describe('too slowly sent', () => {
  it.each([
    '',
    'GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n',
    'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  ])('is a 408 and the end of the connection: %j', async (beginning) => {
    const gateway = await startGateway({ headersTimeoutMs: 100, requestTimeoutMs: 100 })
    const answer = await sendRaw(gateway.port, beginning)
    expect(readRaw(answer)).toEqual({ status: 408, code: 'request_timeout' })
    expect(await refusedCount(gateway, 'request_timeout')).toBe(1)
  })

  it('does not concern a stream that is open', async () => {
    const gateway = await startGateway({ headersTimeoutMs: 100, requestTimeoutMs: 100 })
    const stream = await rawConnection(gateway.port)
    stream.write('GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n')
    await stream.until('subscribed')
    // When another late one is refused, the stream has been looked at as well.
    await sendRaw(gateway.port, 'GET')
    await gateway.publish('a', 'StillThere')
    await stream.until('StillThere')
  })
})

describe('what is not HTTP', () => {
  it.each([
    'hello\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'FOO /stream HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /stream HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET /stream HTTP/1.1\r\nHost : x\r\n\r\n',
    'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'GET /stream?channels=a HTTP/1.1\r\nConnection: close\r\n\r\n',
  ])('is a 400: %j', async (bytes) => {
    const gateway = await startGateway()
    expect(readRaw(await sendRaw(gateway.port, bytes))).toEqual({ status: 400, code: 'bad_request' })
    expect(await refusedCount(gateway, 'bad_request')).toBe(1)
  })

  it('does not put a refusal into a stream that is open on the same connection', async () => {
    const gateway = await startGateway()
    const stream = await rawConnection(gateway.port)
    stream.write('GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n')
    await stream.until('subscribed')
    stream.write('\x00garbage\r\n\r\n')
    await stream.closed
    expect(stream.text.match(/HTTP\/1\.1/g)).toHaveLength(1)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(0)
  })
})

describe('a stream behind another request on one connection', () => {
  it('is refused: its bytes would have to wait, and nobody would know for how long', async () => {
    const gateway = await startGateway()
    const connection = await rawConnection(gateway.port)
    const stream = 'GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n'
    connection.write(`GET /health HTTP/1.1\r\nHost: x\r\n\r\n${stream}`)
    await connection.until('bad_request')
    expect(gateway.gateway.services.hub.size).toBe(0)
    expect(connection.text).toContain('{"status":"ok"}')
  })

  it('is answered as a long-poll, which can wait for its turn', async () => {
    const gateway = await startGateway()
    const connection = await rawConnection(gateway.port)
    const poll = 'GET /stream?channels=a&mode=poll HTTP/1.1\r\nHost: x\r\n\r\n'
    connection.write(`GET /health HTTP/1.1\r\nHost: x\r\n\r\n${poll}`)
    await connection.until('event: ping')
    expect(connection.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
  })
})

describe('a content type', () => {
  it.each([
    'text/plain',
    'text/plain; charset=utf-8',
    'multipart/form-data; boundary=x',
    'application/xml',
    'nonsense',
    '',
  ])('of %j is a 415 on /stream', async (type) => {
    const { url } = await startGateway()
    const headers = { 'content-type': type }
    const answer = await refusal(`${url}/stream`, { method: 'POST', headers, body: '{"channels":"a"}' })
    expect(answer).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })
})

it('every sentence ends like one and every status is one of the list', () => {
  const statuses = new Set([400, 401, 403, 404, 405, 408, 413, 414, 415, 419, 429, 431, 500, 503])
  for (const [status, sentence] of Object.values(ERRORS)) {
    expect(statuses).toContain(status)
    expect(sentence).toMatch(/^[A-Z].*[.)]$/)
  }
})
