import { describe, expect, it } from 'vitest'
import { ask, refusal } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'

const LISTED = 'https://app.example'
const STRANGE = 'https://evil.example'
const COOKIE = 'laravel_session=alice'

type Headers = Record<string, string>

function corsOf({ headers }: Pick<SseClient, 'headers'>): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-'))) as Headers
}

describe('a page of a listed origin', () => {
  it('may listen and send credentials, and may read when to come back', async () => {
    const { url } = await startGateway({ allowOrigins: [LISTED] })
    const headers = { origin: LISTED, 'sec-fetch-site': 'cross-site', cookie: COOKIE }
    const page = await openStream(`${url}/stream?channels=private-a`, { headers })
    expect((await page.next('subscribed')).data.channel).toBe('private-a')
    expect(corsOf(page)).toEqual({
      'access-control-allow-origin': LISTED,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'Retry-After',
    })
    expect(page.headers.vary).toBe('Origin')
  })

  it('may read why it was refused', async () => {
    const { url } = await startGateway({ allowOrigins: [LISTED] })
    for (const [path, status] of [
      ['/stream', 400],
      ['/nowhere', 404],
      [`/stream?channels=${'a'.repeat(9000)}`, 414],
    ] as const) {
      const answer = await refusal(url + path, { headers: { origin: LISTED } })
      expect(answer.status).toBe(status)
      expect(answer.headers['access-control-allow-origin']).toBe(LISTED)
      expect(answer.headers['access-control-allow-credentials']).toBe('true')
    }
  })

  it('may ask beforehand', async () => {
    const { url } = await startGateway({ allowOrigins: [LISTED] })
    const headers = {
      origin: LISTED,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,last-event-id',
    }
    const { status, text, headers: answer } = await ask(`${url}/stream`, { method: 'OPTIONS', headers })
    expect({ status, text }).toEqual({ status: 204, text: '' })
    expect(answer).toMatchObject({
      'access-control-allow-origin': LISTED,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST',
      'access-control-max-age': '86400',
    })
    const allowed = String(answer['access-control-allow-headers']).toLowerCase().split(', ')
    expect(allowed).toEqual(expect.arrayContaining(['authorization', 'content-type', 'last-event-id', 'x-csrf-token']))
  })
})

describe('a page of an origin that is not listed', () => {
  const cases: [string, Headers][] = [
    ['names itself', { origin: STRANGE, 'sec-fetch-site': 'cross-site' }],
    ['is of the same site only', { origin: 'https://other.app.example', 'sec-fetch-site': 'same-site' }],
    ['does not name itself', { 'sec-fetch-site': 'cross-site' }],
    ['comes from an old browser', { origin: STRANGE }],
    ['comes from a very old browser, with a cookie', { referer: `${STRANGE}/page` }],
    ['has no origin', { origin: 'null' }],
  ]

  it.each(cases)('is refused before Laravel is asked: it %s', async (_, headers) => {
    const { url, authorizer, gateway } = await startGateway({ allowOrigins: [LISTED] })
    const answer = await refusal(`${url}/stream?channels=private-a`, { headers: { ...headers, cookie: COOKIE } })
    expect(answer).toMatchObject({ status: 403, code: 'origin_denied' })
    expect(corsOf({ headers: answer.headers as SseClient['headers'] })).toEqual({})
    expect(authorizer.questions).toEqual([])
    const { values } = await gateway.services.metrics.refused.get()
    expect(values).toEqual([{ labels: { code: 'origin_denied' }, value: 1 }])
  })

  it('is refused also when it waits for something that never breaks, as an EventSource', async () => {
    const { url } = await startGateway()
    const headers = { origin: STRANGE, accept: 'text/event-stream' }
    expect((await refusal(`${url}/stream?channels=a`, { headers })).status).toBe(403)
  })

  it('gets no leave when it asks beforehand', async () => {
    const { url } = await startGateway({ allowOrigins: [LISTED] })
    const headers = { origin: STRANGE, 'access-control-request-method': 'POST' }
    const answer = await ask(`${url}/stream`, { method: 'OPTIONS', headers })
    expect(corsOf({ headers: answer.headers as SseClient['headers'] })).toEqual({})
  })
})

describe('with *', () => {
  it('every page may listen to public channels, and nobody by * sends credentials', async () => {
    const { url, authorizer } = await startGateway({ allowOrigins: ['*', LISTED] })
    const headers = { origin: STRANGE, 'sec-fetch-site': 'cross-site', cookie: COOKIE, authorization: 'Bearer t' }
    const page = await openStream(`${url}/stream?channels=a,private-b`, { headers })
    expect((await page.next('subscribed')).data.channel).toBe('a')
    expect(corsOf(page)).toEqual({
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'Retry-After',
    })
    expect(page.headers.vary).toBe('Origin')
    await page.next('ping')
    // The authorizer sees a caller without credentials, so the real one denies without asking Laravel.
    for (const { credentials } of authorizer.questions) {
      expect(credentials.headers.cookie).toBeUndefined()
      expect(credentials.headers.authorization).toBeUndefined()
    }
    const listed = await openStream(`${url}/stream?channels=a`, { headers: { origin: LISTED } })
    expect(corsOf(listed)['access-control-allow-credentials']).toBe('true')
    expect(corsOf(listed)['access-control-allow-origin']).toBe(LISTED)
  })
})

describe('our own origin', () => {
  it.each<[string, Headers]>([
    ['says so', { 'sec-fetch-site': 'same-origin' }],
    ['is an address bar', { 'sec-fetch-site': 'none' }],
    ['is curl', {}],
    [
      'is the public one, by a trusted proxy',
      { origin: LISTED, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' },
    ],
  ])('may send credentials without being listed: it %s', async (_, headers) => {
    const { url, authorizer } = await startGateway()
    const page = await openStream(`${url}/stream?channels=private-a`, { headers: { ...headers, cookie: COOKIE } })
    await page.next('subscribed')
    expect(authorizer.questions[0]?.credentials.headers.cookie).toBe(COOKIE)
    expect(page.headers['access-control-allow-credentials']).toBeUndefined()
  })
})
