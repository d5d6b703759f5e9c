import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Credentials } from '../../src/auth/authorizer.ts'
import { LaravelAuthorizer, type LaravelHooks, type LaravelOptions } from '../../src/auth/laravel.ts'
import { authAddress } from '../../src/auth/laravel-address.ts'
import type { DecisionEvent } from '../../src/auth/laravel-session.ts'
import type { Channel } from '../../src/channels/channel.ts'
import { makeCertificates } from '../support/certificates.ts'
import { credentials } from '../support/credentials.ts'
import { FakeLaravel, GRANT, presenceGrant, REFUSAL } from '../support/fake-laravel.ts'
import { requirePart } from '../support/parts.ts'

const ORDERS: Channel = { name: 'private-orders.1', kind: 'private' }
const ROOM: Channel = { name: 'presence-room.1', kind: 'presence' }
const NEWS: Channel = { name: 'news', kind: 'public' }

const numbered = (count: number): Channel[] =>
  Array.from({ length: count }, (_, n) => ({ name: `private-orders.${n}`, kind: 'private' }))

let laravel: FakeLaravel
let authorizers: LaravelAuthorizer[] = []

beforeEach(async () => {
  laravel = await FakeLaravel.start()
})

afterEach(async () => {
  await Promise.all(authorizers.map((authorizer) => authorizer.stop()))
  authorizers = []
  await laravel.close()
})

function authorizerWith(options: Partial<LaravelOptions> = {}, hooks: LaravelHooks = {}): LaravelAuthorizer {
  const authorizer = new LaravelAuthorizer({ url: laravel.url, ...options }, { wait: async () => {}, ...hooks })
  authorizers.push(authorizer)
  return authorizer
}

const ask = (authorizer: LaravelAuthorizer, channel = ORDERS, caller: Credentials = credentials()) =>
  authorizer.open(caller, '8123.1').authorize(channel)

describe('what Laravel gets to see', () => {
  it('is a form with the channel and the socket id, sent to the default route', async () => {
    await ask(authorizerWith(), { name: 'private-a,b;c=d.1', kind: 'private' })
    expect(laravel.requests).toMatchObject([
      { method: 'POST', url: '/broadcasting/auth', body: 'channel_name=private-a%2Cb%3Bc%3Dd.1&socket_id=8123.1' },
    ])
  })

  it('is exactly the headers on the list, unchanged, and our own', async () => {
    const sent = {
      cookie: 'laravel_session=abc%3D; XSRF-TOKEN=abc%3D; name=caf\u00c3\u00a9',
      authorization: 'Bearer 12|abc',
      origin: 'https://app.example',
      referer: 'https://app.example/orders?page=2',
      'user-agent': 'Mozilla/5.0 (X11)',
      'accept-language': 'de-CH, en;q=0.5',
      'x-csrf-token': 'csrf',
      'sec-fetch-site': 'same-origin',
      'x-socket-id': '8123.1',
    }
    const kept = {
      accept: 'text/event-stream',
      'accept-encoding': 'gzip, br',
      'cache-control': 'no-cache',
      connection: 'keep-alive, upgrade',
      'content-length': '999',
      host: 'gateway.example',
      'if-none-match': '"x"',
      'last-event-id': '1.2.3',
      upgrade: 'websocket',
      'x-forwarded-for': '6.6.6.6',
      'x-http-method-override': 'GET',
      'x-pjax': 'true',
      'x-real-ip': '6.6.6.6',
    }
    await ask(authorizerWith(), ORDERS, credentials({ ...sent, ...kept }))
    const { connection, 'content-length': length, ...arrived } = laravel.requests[0]?.headers ?? {}
    expect([connection, length]).toEqual(['keep-alive', '46'])
    expect(arrived).toEqual({
      ...sent,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      host: laravel.host,
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'app.example',
      'x-forwarded-port': '443',
      'x-forwarded-proto': 'https',
      'x-requested-with': 'XMLHttpRequest',
      'x-xsrf-token': 'abc=',
    })
    const names = laravel.requests[0]?.rawHeaders.filter((_, index) => index % 2 === 0) ?? []
    expect(new Set(names).size).toBe(names.length)
  })

  it.each([
    ['https://app.example', '/broadcasting/auth', 'https://app.example/broadcasting/auth'],
    ['https://app.example/', 'api/broadcasting/auth', 'https://app.example/api/broadcasting/auth'],
    ['http://localhost:8000/shop/', '/broadcasting/auth', 'http://localhost:8000/shop/broadcasting/auth'],
    ['https://app.example', 'http://127.0.0.1:8080/custom?tenant=1', 'http://127.0.0.1:8080/custom?tenant=1'],
    ['https://user:pass@app.example', '/broadcasting/auth', 'https://app.example/broadcasting/auth'],
  ])('is sent, for %s and %s, to %s', (url, endpoint, address) => {
    expect(authAddress({ url, endpoint }).href).toBe(address)
  })

  it('is no question about a public channel', async () => {
    expect(await ask(authorizerWith(), NEWS)).toMatchObject({ allowed: false, code: 'internal' })
    expect(laravel.requests).toEqual([])
  })

  it('is one question per guarded channel, of which one may be refused and the others granted', async () => {
    laravel.answers(({ channel }) => {
      if (channel === ROOM.name) return presenceGrant(5, { name: 'Ada' })
      return channel === ORDERS.name ? REFUSAL : GRANT
    })
    const session = authorizerWith().open(credentials(), '8123.1')
    const other: Channel = { name: 'private-other', kind: 'private' }
    const decisions = await Promise.all([ORDERS, ROOM, other].map((channel) => session.authorize(channel)))
    expect(decisions.map(({ allowed }) => allowed)).toEqual([false, true, true])
    expect(laravel.requests.map(({ channel }) => channel).sort()).toEqual([ROOM.name, ORDERS.name, other.name])
  })

  it('is nothing from a caller without cookie and Authorization, who learns why', async () => {
    const decision = await ask(authorizerWith(), ORDERS, credentials({ 'user-agent': 'curl/8' }))
    expect(decision).toMatchObject({ allowed: false, status: 401, code: 'unauthenticated', retry: false })
    for (const cause of ['withCredentials', 'localhost', '127.0.0.1', 'SESSION_DOMAIN']) {
      expect(decision).toHaveProperty('message', expect.stringContaining(cause))
    }
    expect(laravel.requests).toEqual([])
  })

  it('is asked about an anonymous caller as well when told so', async () => {
    expect(await ask(authorizerWith({ anonymous: true }), ORDERS, credentials({}))).toEqual({ allowed: true })
  })
})

describe('an answer', () => {
  it('that redirects to the login page is a denial, and nobody goes there', async () => {
    laravel.answers({ status: 302, headers: { location: '/login' }, body: 'true' })
    expect(await ask(authorizerWith())).toMatchObject({ allowed: false, status: 401, retry: false })
    expect(laravel.requests.map(({ url }) => url)).toEqual(['/broadcasting/auth'])
  })

  it('longer than the limit is a denial, and the next question is asked as if nothing had been', async () => {
    const authorizer = authorizerWith({ maxBodyBytes: 1_000 })
    laravel.answers({ body: `true${' '.repeat(5_000_000)}` })
    expect(await ask(authorizer)).toMatchObject({ allowed: false, status: 403 })
    laravel.answers(GRANT)
    expect(await ask(authorizer)).toEqual({ allowed: true })
  })

  it('of exactly the limit still counts', async () => {
    laravel.answers({ body: `true${' '.repeat(996)}` })
    expect(await ask(authorizerWith({ maxBodyBytes: 1_000 }))).toEqual({ allowed: true })
  })

  it.each(['before-head', 'in-body'] as const)('that stops %s ends with the time of the whole call', async (stall) => {
    laravel.answers({ body: 'tr', stall })
    const authorizer = authorizerWith({ timeoutMs: 40, tries: 1 })
    expect(await ask(authorizer)).toMatchObject({ status: 503, code: 'authorizer_unavailable', retry: true })
    expect(authorizer.inFlight).toBe(0)
  })

  it.each(['before-head', 'in-body'] as const)('whose connection breaks %s is no grant', async (reset) => {
    laravel.answers({ body: 'true', reset })
    expect(await ask(authorizerWith())).toMatchObject({ status: 503, retry: true })
    expect(laravel.requests).toHaveLength(3)
  })

  it('never comes from a server whose certificate does not verify', async (context) => {
    if (!requirePart('openssl')) return context.skip()
    const dir = await mkdtemp(join(tmpdir(), 'auth-tls-'))
    const { certFile, keyFile } = await makeCertificates(dir)
    const options = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
    const secure = await FakeLaravel.start(GRANT, (listener) => createHttpsServer(options, listener), 'https')
    const events: DecisionEvent[] = []
    const authorizer = authorizerWith({ url: secure.url, tries: 1 }, { onDecision: (event) => events.push(event) })
    expect(await ask(authorizer)).toMatchObject({ allowed: false, status: 503 })
    expect(events).toMatchObject([{ reason: 'unreachable', detail: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }])
    expect(secure.requests).toEqual([])
    await secure.close()
    await rm(dir, { recursive: true })
  })
})

describe('when Laravel cannot answer for the moment', () => {
  it.each([429, 502, 503, 504])('with %i, the gateway asks again by itself', async (status) => {
    laravel.answers(() => (laravel.requests.length < 3 ? { status } : GRANT))
    expect(await ask(authorizerWith())).toEqual({ allowed: true })
    expect(laravel.requests).toHaveLength(3)
  })

  it.each([
    [503, 503, 'authorizer_unavailable'],
    [429, 429, 'too_many_requests'],
  ])('with %i three times, it gives up and says when to come back', async (status, denied, code) => {
    laravel.answers({ status })
    expect(await ask(authorizerWith())).toMatchObject({
      status: denied,
      code,
      retry: true,
      retryAfterMs: expect.any(Number),
    })
    expect(laravel.requests).toHaveLength(3)
  })

  it('with 500, it does not ask again', async () => {
    laravel.answers({ status: 500 })
    expect(await ask(authorizerWith())).toMatchObject({ status: 503, retry: true })
    expect(laravel.requests).toHaveLength(1)
  })

  it('because nobody listens, it asks again and then says so', async () => {
    const events: DecisionEvent[] = []
    const authorizer = authorizerWith({}, { onDecision: (event) => events.push(event) })
    await laravel.close()
    expect(await ask(authorizer)).toMatchObject({ status: 503, retry: true })
    expect(events).toMatchObject([{ reason: 'unreachable', detail: 'ECONNREFUSED', tries: 3 }])
    laravel = await FakeLaravel.start()
  })

  it('waits as long as Retry-After says, else a short and growing while', async () => {
    const waits: number[] = []
    const wait = async (ms: number) => void waits.push(ms)
    laravel.answers(() => ({ status: 503, headers: laravel.requests.length === 1 ? { 'retry-after': '60' } : {} }))
    await ask(authorizerWith({ tries: 4 }, { wait }))
    expect(waits[0]).toBe(60_000)
    expect(waits[1]).toSatisfy((ms: number) => ms >= 300 && ms <= 600)
    expect(waits[2]).toSatisfy((ms: number) => ms >= 600 && ms <= 1_200)
  })

  it('leaves a Retry-After of more than a minute to the page', async () => {
    laravel.answers({ status: 503, headers: { 'retry-after': '61' } })
    expect(await ask(authorizerWith())).toMatchObject({ retry: true, retryAfterMs: 61_000 })
    expect(laravel.requests).toHaveLength(1)
  })

  it('holds no slot while it waits', async () => {
    const waiting = withResolvers()
    const asked = withResolvers()
    const wait = () => {
      asked.resolve()
      return waiting.promise
    }
    laravel.answers(({ channel }) =>
      channel === ORDERS.name && laravel.requests.length === 1 ? { status: 503 } : GRANT,
    )
    const authorizer = authorizerWith({ concurrency: 1 }, { wait })
    const delayed = ask(authorizer)
    await asked.promise
    expect(await ask(authorizer, ROOM)).toMatchObject({ allowed: false, status: 403 })
    waiting.resolve()
    expect(await delayed).toEqual({ allowed: true })
  })

  it('does not ask again for a caller who has left meanwhile', async () => {
    const asked = withResolvers()
    // The real wait: closing the session must cut it short.
    const authorizer = new LaravelAuthorizer({ url: laravel.url }, { onCall: () => asked.resolve() })
    authorizers.push(authorizer)
    laravel.answers({ status: 503, headers: { 'retry-after': '60' } })
    const session = authorizer.open(credentials(), '1.1')
    const decision = session.authorize(ORDERS)
    await asked.promise
    session.close()
    expect(await decision).toMatchObject({ allowed: false, retry: true })
    expect(laravel.requests).toHaveLength(1)
  })
})

describe('the queue', () => {
  it('has 16 calls in flight over all and 4 for one request', async () => {
    const release = laravel.hold()
    const authorizer = authorizerWith()
    const first = authorizer.open(credentials(), '1.1')
    const decisions = numbered(10).map((channel) => first.authorize(channel))
    await laravel.untilRequests(4)
    expect(authorizer.inFlight).toBe(4)
    for (let n = 2; n <= 6; n++) {
      const session = authorizer.open(credentials(), `${n}.1`)
      decisions.push(...numbered(10).map((channel) => session.authorize(channel)))
    }
    await laravel.untilRequests(16)
    expect(authorizer.inFlight).toBe(16)
    release()
    await Promise.all(decisions)
    expect(laravel.requests).toHaveLength(60)
  })

  it('keeps the slot of a caller who left until Laravel answers, and drops what was not sent', async () => {
    const release = laravel.hold()
    const authorizer = authorizerWith({ concurrency: 2, perRequest: 2 })
    const leaving = authorizer.open(credentials(), '1.1')
    const dropped = numbered(5).map((channel) => leaving.authorize(channel))
    await laravel.untilRequests(2)
    leaving.close()
    expect((await Promise.all(dropped)).every((decision) => !decision.allowed && decision.retry)).toBe(true)

    const staying = ask(authorizer)
    expect(authorizer.inFlight).toBe(2)
    expect(laravel.requests).toHaveLength(2)
    release()
    expect(await staying).toEqual({ allowed: true })
    expect(laravel.requests.map(({ channel }) => channel)).toEqual([
      'private-orders.0',
      'private-orders.1',
      ORDERS.name,
    ])
  })

  it('gives the slot back when Laravel stays silent', async () => {
    laravel.answers(() => (laravel.requests.length === 1 ? { stall: 'before-head' } : GRANT))
    const authorizer = authorizerWith({ concurrency: 1, timeoutMs: 40, tries: 1 })
    const session = authorizer.open(credentials(), '1.1')
    session.authorize(ORDERS)
    await laravel.untilRequests(1)
    session.close()
    expect(await ask(authorizer)).toEqual({ allowed: true })
  })
})

it('makes no call once it has stopped', async () => {
  const calls: unknown[] = []
  const authorizer = authorizerWith({}, { onCall: (call) => calls.push(call) })
  await authorizer.stop()
  expect(await ask(authorizer)).toMatchObject({ allowed: false, retry: true })
  expect([calls, laravel.requests]).toEqual([[], []])
})

describe('an address with too many denials', () => {
  it('is answered here until the minute is over', async () => {
    let now = 1_000_000
    const authorizer = authorizerWith({ maxDenialsPerMinute: 3 }, { now: () => now })
    laravel.answers(REFUSAL)
    for (let n = 0; n < 3; n++) expect(await ask(authorizer)).toMatchObject({ status: 403 })
    laravel.answers(GRANT)
    expect(await ask(authorizer)).toMatchObject({
      status: 429,
      code: 'too_many_denials',
      retry: true,
      retryAfterMs: 60_000,
    })
    expect(laravel.requests).toHaveLength(3)
    expect(await ask(authorizer, ORDERS, credentials(undefined, { address: '203.0.113.8' }))).toEqual({ allowed: true })
    now += 60_000
    expect(await ask(authorizer)).toEqual({ allowed: true })
  })

  it('is spared what already waits in the queue', async () => {
    const authorizer = authorizerWith({ maxDenialsPerMinute: 2, concurrency: 1 })
    laravel.answers(REFUSAL)
    const session = authorizer.open(credentials(), '1.1')
    const decisions = await Promise.all(numbered(5).map((channel) => session.authorize(channel)))
    expect(decisions.map((decision) => !decision.allowed && decision.status)).toEqual([403, 403, 429, 429, 429])
    expect(laravel.requests).toHaveLength(2)
  })

  it('is not one whose questions failed because Laravel was down', async () => {
    const authorizer = authorizerWith({ maxDenialsPerMinute: 1, tries: 1 })
    laravel.answers({ status: 503 })
    await ask(authorizer)
    laravel.answers(GRANT)
    expect(await ask(authorizer)).toEqual({ allowed: true })
  })
})

describe('what the log and the metrics are told', () => {
  it('is one event per decision, with ids and no credentials', async () => {
    const events: DecisionEvent[] = []
    const authorizer = authorizerWith({}, { onDecision: (event) => events.push(event) })
    laravel.answers({ status: 403, body: '{"message":"Secret reason"}' })
    await ask(authorizer, ORDERS, credentials({ cookie: 'laravel_session=secret', authorization: 'Bearer secret' }))
    laravel.answers(presenceGrant(5, { name: 'Secret' }))
    await ask(authorizer, ROOM)
    await ask(authorizer, ORDERS, credentials({}))
    expect(events).toMatchObject([
      {
        channel: ORDERS.name,
        socketId: '8123.1',
        address: '203.0.113.7',
        allowed: false,
        status: 403,
        reason: 'refused',
        tries: 1,
      },
      { channel: ROOM.name, allowed: true, status: 200, reason: 'granted', tries: 1 },
      { channel: ORDERS.name, allowed: false, status: 401, reason: 'no_credentials', tries: 0 },
    ])
    expect(JSON.stringify(events)).not.toMatch(/secret/i)
  })

  it('is every call with its outcome, the repeated ones included', async () => {
    const calls: string[] = []
    laravel.answers(() => (laravel.requests.length < 3 ? { status: 502 } : GRANT))
    await ask(authorizerWith({}, { onCall: ({ reason }) => calls.push(reason) }))
    expect(calls).toEqual(['server_error', 'server_error', 'granted'])
  })

  it('cannot turn a fault of its own into a grant or a rejection', async () => {
    const onDecision = () => {
      throw new Error('the log is full')
    }
    expect(await ask(authorizerWith({}, { onDecision }))).toMatchObject({ allowed: false, code: 'internal' })
  })
})

function withResolvers() {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
