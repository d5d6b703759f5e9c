import { request } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { signRequest } from '../../../src/http/pusher-api/signature.ts'
import { startGateway } from '../../support/gateway.ts'
import { EVENT, LOCAL_APP, type PublishChange, publishByHttp } from '../../support/publisher.ts'
import { openStream } from '../../support/sse-client.ts'
import { StuckBroker } from '../../support/stuck-broker.ts'
import { grantByToken, joinPage } from '../../support/talking-page.ts'

const CREDENTIALS = { id: 'app-1', key: 'public-key', secret: 'a-real-secret' }
const OWN = { appId: CREDENTIALS.id, appKey: CREDENTIALS.key, appSecret: CREDENTIALS.secret }

describe('a signed publish', () => {
  it('reaches the stream, digit for digit, on every channel it names', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=orders,private-a`, { headers: { cookie: 'a=b' } })
    await page.next('ping')
    const data = '{"id":9007199254740993,"s":"é\\/<x>"}'
    const answer = await publishByHttp(url, { ...EVENT, channels: ['orders', 'private-a'], data })
    expect(answer).toMatchObject({ status: 200, text: '{}' })
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    const told = await page.take(2, 'message')
    expect(told.map(({ text }) => text)).toEqual([
      `{"channel":"orders","event":"App\\\\Events\\\\E","data":${data}}`,
      `{"channel":"private-a","event":"App\\\\Events\\\\E","data":${data}}`,
    ])
  })

  it.each<[string, unknown, unknown]>([
    ['{"a":1}', { channel: 'orders' }, { a: 1 }],
    ['[]', {}, []],
    ['null', {}, null],
    ['12.50', {}, 12.5],
    ['"text"', {}, 'text'],
    ['no JSON', {}, 'no JSON'],
    ['', {}, ''],
  ])('carries the text %j as what it is', async (data, change, expected) => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=orders`)
    await page.next('subscribed')
    await publishByHttp(url, { ...EVENT, ...(change as object), data })
    expect((await page.next('message')).data.data).toEqual(expected)
  })

  it('leaves out the connection it names', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=orders`)
    const { socketId } = (await page.next()).data
    await page.next('subscribed')
    await publishByHttp(url, { ...EVENT, socket_id: socketId })
    await publishByHttp(url, { ...EVENT, name: 'Second', socket_id: null })
    expect((await page.next('message')).data.event).toBe('Second')
  })

  it('may name 100 channels and further parameters', async () => {
    const { url } = await startGateway()
    const channels = Array.from({ length: 100 }, (_, index) => `c${index}`)
    const page = await openStream(`${url}/stream?channels=c0,c99`)
    await page.next('subscribed')
    await page.next('subscribed')
    const answer = await publishByHttp(url, { ...EVENT, channels, more: 'x' }, { parameters: { b: '2', a: '1' } })
    expect(answer.status).toBe(200)
    expect((await page.take(2, 'message')).map(({ data }) => data.channel)).toEqual(['c0', 'c99'])
  })
})

describe('what is told of the channels', () => {
  it('is what was asked for, as far as each channel has it', async () => {
    const gateway = await startGateway()
    gateway.authorizer.decides(grantByToken)
    await joinPage(gateway, 'presence-a,orders')
    await joinPage(gateway, 'presence-a')
    await joinPage(gateway, 'presence-a', { user: 'grace' })
    const tell = async (info: string) => {
      const event = { ...EVENT, channels: ['presence-a', 'orders', '__proto__'], info }
      const { status, text } = await publishByHttp(gateway.url, event)
      return { status, ...JSON.parse(text) }
    }
    await expect
      .poll(() => tell('user_count,subscription_count'))
      .toEqual({
        status: 200,
        channels: Object.fromEntries([
          ['presence-a', { user_count: 2, subscription_count: 3 }],
          ['orders', { subscription_count: 1 }],
          ['__proto__', { subscription_count: 0 }],
        ]),
      })
    const users = Object.fromEntries([
      ['presence-a', { user_count: 2 }],
      ['orders', {}],
      ['__proto__', {}],
    ])
    expect(await tell('user_count')).toEqual({ status: 200, channels: users })
  })

  it.each(['', null])('is nothing when nothing is asked for: %j', async (info) => {
    const { url } = await startGateway()
    expect(await publishByHttp(url, { ...EVENT, info })).toMatchObject({ status: 200, text: '{}' })
  })

  it('keeps back the event when it cannot be told: it may be sent again', async () => {
    const { url, gateway } = await startGateway()
    const { occupancy, history } = gateway.services
    const count = vi.spyOn(occupancy, 'count').mockRejectedValueOnce(new GatewayError('broker_unavailable'))
    const event = { ...EVENT, info: 'subscription_count' }
    expect(await publishByHttp(url, event)).toMatchObject({ status: 503, code: 'broker_unavailable' })
    expect(history.length).toBe(0)
    count.mockRestore()
    expect((await publishByHttp(url, event)).status).toBe(200)
    expect(history.length).toBe(1)
  })
})

describe('an idempotency key', () => {
  it('makes a repetition harmless: it is answered and not published', async () => {
    const { url, gateway } = await startGateway()
    const event = { ...EVENT, idempotency_key: 'order 1' }
    const answers = await Promise.all([1, 2, 3].map(() => publishByHttp(url, event)))
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, text: '{}' })
    expect(gateway.services.history.length).toBe(1)
    await publishByHttp(url, { ...event, idempotency_key: 'order 2' })
    await publishByHttp(url, { ...event, idempotency_key: null })
    expect(gateway.services.history.length).toBe(3)
  })

  it('is still free after an attempt that was refused', async () => {
    const broker = new StuckBroker()
    broker.release()
    const { url, gateway } = await startGateway({}, { broker })
    const event = { ...EVENT, idempotency_key: 'order 1' }
    broker.isRefusing = true
    expect((await publishByHttp(url, event)).status).toBe(503)
    broker.isRefusing = false
    expect((await publishByHttp(url, event)).status).toBe(200)
    expect(gateway.services.history.length).toBe(1)
  })
})

describe('a key of the application', () => {
  const app = { id: 'app-1', key: 'next-key', secret: 'next:secret' }

  it('may be one of several while they are changed', async () => {
    const { url } = await startGateway({ ...OWN, moreAppKeys: ['other:other', `${app.key}:${app.secret}`] })
    expect((await publishByHttp(url, EVENT, { app })).status).toBe(200)
    expect((await publishByHttp(url, EVENT, { app: CREDENTIALS })).status).toBe(200)
    const mixed = { ...app, secret: CREDENTIALS.secret }
    expect(await publishByHttp(url, EVENT, { app: mixed })).toMatchObject({ status: 401, code: 'unauthorized' })
  })

  it('is refused in the same words as an application that there is not', async () => {
    const { url } = await startGateway(OWN)
    const [key, id] = [
      await publishByHttp(url, EVENT, { app }),
      await publishByHttp(url, EVENT, { app: { ...CREDENTIALS, id: 'other' } }),
    ]
    expect(key.text).toBe(id.text)
  })
})

describe('a publish that is not signed by us', () => {
  it.each<[string, PublishChange]>([
    ['no signature', { query: (query) => query.delete('auth_signature') }],
    ['no key', { query: (query) => query.delete('auth_key') }],
    ['nothing at all', { query: (query) => [...query.keys()].map((name) => query.delete(name)) }],
    ['a wrong signature', { query: (query) => query.set('auth_signature', 'a'.repeat(64)) }],
    ['a short signature', { query: (query) => query.set('auth_signature', 'a') }],
    [
      'a signature given twice',
      { query: (query) => query.append('auth_signature', query.get('auth_signature') ?? '') },
    ],
    ['a body that was changed', { signed: '{}' }],
    ['no body_md5', { query: (query) => query.delete('body_md5') }],
    ['a parameter that was added', { query: (query) => query.set('info', 'x') }],
    ['another secret', { app: { ...CREDENTIALS, secret: 'wrong' } }],
    ['another key', { app: { ...CREDENTIALS, key: 'wrong' } }],
    ['another application', { app: { ...CREDENTIALS, id: 'other' } }],
    ['the default credentials', { app: LOCAL_APP }],
    ['a timestamp 11 minutes old', { now: Date.now() - 660_000 }],
    ['a timestamp 11 minutes ahead', { now: Date.now() + 660_000 }],
    ['no timestamp', { query: (query) => query.delete('auth_timestamp') }],
    ['a signature as a list', { query: (query) => rename(query, 'auth_signature', 'auth_signature[]') }],
    ['a key given twice', { query: (query) => query.append('auth_key', query.get('auth_key') ?? '') }],
    ['another version', { query: (query) => query.set('auth_version', '2.0') }],
  ])('is a 401: %s', async (_, change) => {
    const { url, gateway } = await startGateway(OWN)
    const answer = await publishByHttp(url, EVENT, { app: CREDENTIALS, ...change })
    expect(answer).toMatchObject({ status: 401, code: 'unauthorized', headers: { 'cache-control': /no-store/ } })
    const { values } = await gateway.services.metrics.published.get()
    expect(values).toEqual([{ labels: { outcome: 'unauthorized' }, value: 1 }])
  })

  it('is a 401 where publishing by HTTP is off', async () => {
    const { url } = await startGateway({ appId: null, appKey: null, appSecret: null, usesDefaultCredentials: false })
    expect((await publishByHttp(url, EVENT)).status).toBe(401)
  })
})

describe('a page', () => {
  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-origin' },
    { origin: 'http://127.0.0.1' },
  ])('may not publish, signed or not, listed or not: %j', async (headers) => {
    const { url } = await startGateway({ ...OWN, allowOrigins: ['https://evil.example', '*'] })
    const answer = await publishByHttp(url, EVENT, { app: CREDENTIALS, headers: headers as Record<string, string> })
    expect(answer).toMatchObject({ status: 403, code: 'origin_denied' })
  })
})

describe('the default credentials', () => {
  it.each<[string, Record<string, string>]>([
    ['a proxy', { 'x-forwarded-for': '127.0.0.1' }],
    ['another proxy', { forwarded: 'for=127.0.0.1' }],
    ['a third', { via: '1.1 cache' }],
    ['a name that DNS rebinding uses', { host: 'evil.example' }],
  ])('are worth nothing through %s', async (_, headers) => {
    const { url } = await startGateway()
    expect(await publishByHttp(url, EVENT, { headers })).toMatchObject({ status: 403, code: 'local_only' })
  })

  it('leave credentials of your own alone', async () => {
    const { url } = await startGateway(OWN)
    const headers = { 'x-forwarded-for': '203.0.113.7', host: 'app.example' }
    expect((await publishByHttp(url, EVENT, { app: CREDENTIALS, headers })).status).toBe(200)
  })
})

describe('a publish that makes no sense', () => {
  const tooMany = Array.from({ length: 101 }, (_, index) => `c${index}`)

  it.each<[string, unknown, string]>([
    ['a list', [], 'invalid_body'],
    ['null', null, 'invalid_body'],
    ['a text', 'event', 'invalid_body'],
    ['no name', { ...EVENT, name: undefined }, 'invalid_body'],
    ['an empty name', { ...EVENT, name: '' }, 'invalid_body'],
    ['a number for a name', { ...EVENT, name: 5 }, 'invalid_body'],
    ['a name of 201 characters', { ...EVENT, name: 'x'.repeat(201) }, 'invalid_body'],
    ['no data', { ...EVENT, data: undefined }, 'invalid_body'],
    ['data that is no text', { ...EVENT, data: { a: 1 } }, 'invalid_body'],
    ['no channel', { ...EVENT, channels: undefined }, 'invalid_body'],
    ['an empty list of channels', { ...EVENT, channels: [] }, 'invalid_body'],
    ['101 channels', { ...EVENT, channels: tooMany }, 'invalid_body'],
    ['a text for channels', { ...EVENT, channels: 'orders' }, 'invalid_body'],
    ['a number among the channels', { ...EVENT, channels: ['a', 5] }, 'invalid_body'],
    ['an impossible name among the channels', { ...EVENT, channels: ['a', 'b c'] }, 'invalid_channel'],
    ["the gateway's own channel", { ...EVENT, channels: ['sse:clock'] }, 'invalid_channel'],
    ['a socket id that is none', { ...EVENT, socket_id: 'me' }, 'invalid_body'],
    ['a key that is too long', { ...EVENT, idempotency_key: 'x'.repeat(129) }, 'invalid_body'],
    ['an empty key', { ...EVENT, idempotency_key: '' }, 'invalid_body'],
    ['a number for a key', { ...EVENT, idempotency_key: 5 }, 'invalid_body'],
    ['info that there is not', { ...EVENT, info: 'user_count,mood' }, 'invalid_parameter'],
    ['the cache of channels', { ...EVENT, info: 'cache' }, 'invalid_parameter'],
    ['a list for info', { ...EVENT, info: ['user_count'] }, 'invalid_parameter'],
    ['an object for info', { ...EVENT, info: { toString: null } }, 'invalid_parameter'],
    ['a number for a socket id', { ...EVENT, socket_id: 1.1 }, 'invalid_body'],
  ])('is a 400 and reaches nobody: %s', async (_, event, code) => {
    const { url, gateway } = await startGateway()
    expect(await publishByHttp(url, event)).toMatchObject({ status: 400, code, message: expect.stringMatching(/\.$/) })
    expect(gateway.services.history.length).toBe(0)
  })

  it.each(['', '{', 'event=x', '\ufffd'])('is a 400 when its body is %j', async (body) => {
    const { url } = await startGateway()
    expect(await publishByHttp(url, null, { body })).toMatchObject({ status: 400, code: 'invalid_body' })
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])(
    'is a 415 when it comes as %s',
    async (type) => {
      const { url } = await startGateway()
      const answer = await publishByHttp(url, EVENT, { headers: { 'content-type': type } })
      expect(answer).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    },
  )

  it('is a 413 when its data is longer than 10 kB, in bytes', async () => {
    const { url, gateway } = await startGateway()
    expect((await publishByHttp(url, { ...EVENT, data: 'ä'.repeat(5120) })).status).toBe(200)
    for (const data of [`${'ä'.repeat(5120)}x`, 'x'.repeat(10_241)]) {
      const answer = await publishByHttp(url, { ...EVENT, data })
      expect(answer).toMatchObject({ status: 413, code: 'body_too_large', message: /10240 bytes/ })
    }
    expect(gateway.services.history.length).toBe(1)
  })

  it.each(['POST', 'PUT', 'DELETE'])('may come in pieces, without a length, up to its limit: %s', async (method) => {
    const { port } = await startGateway({ maxPublishBodyBytes: 2048 })
    const body = (length: number) => JSON.stringify({ ...EVENT, data: 'x'.repeat(length) })
    const statusOf = async (text: string) => (await sendInPieces(port, text, method)).status
    const isPost = method === 'POST'
    expect(await statusOf(body(1500))).toBe(isPost ? 200 : 405)
    expect(await statusOf(body(3000))).toBe(isPost ? 413 : 405)
  })

  it('is a 413 when it is too long', async () => {
    const { url } = await startGateway({ maxPublishBodyBytes: 2048 })
    expect((await publishByHttp(url, { ...EVENT, data: 'x'.repeat(1500) })).status).toBe(200)
    const answer = await publishByHttp(url, { ...EVENT, data: 'x'.repeat(2500) })
    expect(answer).toMatchObject({ status: 413, code: 'body_too_large' })
  })
})

it('a broker that takes nothing makes it a 503 that says when to try again', async () => {
  const broker = new StuckBroker()
  broker.release()
  const { url, gateway } = await startGateway({}, { broker })
  broker.isRefusing = true
  const answer = await publishByHttp(url, EVENT)
  expect(answer).toMatchObject({ status: 503, code: 'broker_unavailable' })
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  broker.isRefusing = false
  expect((await publishByHttp(url, EVENT)).status).toBe(200)
  const { values } = await gateway.services.metrics.published.get()
  expect(values.map(({ labels, value }) => [labels.outcome, value])).toEqual([
    ['broker_unavailable', 1],
    ['ok', 1],
  ])
})

function rename(query: URLSearchParams, from: string, to: string): void {
  query.set(to, query.get(from) ?? '')
  query.delete(from)
}

/** Chunked: without Content-Length. */
async function sendInPieces(port: number, body: string, method: string): Promise<{ status: number | undefined }> {
  const path = '/apps/local/events'
  const query = signRequest({ method, path, body, app: LOCAL_APP, now: Date.now() })
  const outgoing = request({ port, host: '127.0.0.1', method, path: `${path}?${query}`, agent: false })
  outgoing.setHeader('Content-Type', 'application/json')
  outgoing.setHeader('Transfer-Encoding', 'chunked')
  const answered = new Promise<{ status: number | undefined }>((resolve, reject) => {
    outgoing.on('error', reject).on('response', (response) => {
      response.resume()
      resolve({ status: response.statusCode })
    })
  })
  for (let at = 0; at < body.length; at += 500) outgoing.write(body.slice(at, at + 500))
  outgoing.end()
  return answered
}
