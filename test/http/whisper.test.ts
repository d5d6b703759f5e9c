import { describe, expect, it, vi } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import { Identities } from '../../src/auth/identity.ts'
import { ask } from '../support/ask.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream } from '../support/sse-client.ts'
import { StuckBroker } from '../support/stuck-broker.ts'
import { grantByToken, joinPage, leave, openPage, type TalkingPage, whisper } from '../support/talking-page.ts'

const ROOM = 'presence-room.1'
const PRIVATE = 'private-room.1'

async function gatewayWithUsers(...[overrides]: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway(overrides)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

/** From the beginning of a second on the time is what the test sets, ms later. */
function stopClock(): (ms: number) => void {
  const now = Math.ceil(Date.now() / 1000) * 1000
  vi.useFakeTimers({ toFake: ['Date'], now })
  atEndOfTest(() => vi.useRealTimers())
  return (ms) => vi.setSystemTime(now + ms)
}

/** The next message is this broadcast: nothing was heard before it. */
async function expectNothing(gateway: RunningGateway, { stream, channel }: TalkingPage): Promise<void> {
  await gateway.publish(channel, 'Fence')
  expect((await stream.next('message')).data.event).toBe('Fence')
}

describe('a whisper', () => {
  it('reaches everybody else on the presence channel, with who says it and without an id', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const elsewhere = await joinPage(gateway, 'presence-room.2', { user: 'eve' })
    expect(await whisper(ada, { data: { at: 3 }, userId: 'grace' })).toMatchObject({ status: 204, text: '' })
    const { id, text } = await grace.stream.next('message')
    expect(text).toBe(`{"channel":"${ROOM}","event":"client-typing","data":{"at":3},"userId":"ada"}`)
    expect(id).toBeUndefined()
    await expectNothing(gateway, ada)
    await expectNothing(gateway, elsewhere)
  })

  it('does not name anybody on a private channel', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `${PRIVATE},${ROOM}`)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    await whisper(ada)
    expect((await grace.stream.next('message')).data).toEqual({ channel: PRIVATE, event: 'client-typing', data: {} })
  })

  it('goes to no stream and no poll of the page that says it, and to its other tabs', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const second = await joinPage(gateway, ROOM, { as: ada })
    const tab = await joinPage(gateway, ROOM)
    expect(second.socketId).toBe(ada.socketId)
    const query = { mode: 'poll', lastEventId: second.stream.lastEventId ?? '' }
    const polling = openPage(gateway, ROOM, { as: ada, query })
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(4)
    await whisper(ada)
    await gateway.publish(ROOM, 'Fence')
    expect((await tab.stream.take(2, 'message')).map(({ data }) => data.event)).toEqual(['client-typing', 'Fence'])
    for (const page of [ada, second, await polling]) {
      expect((await page.stream.next('message')).data.event).toBe('Fence')
    }
  })

  it('ends the waiting of a poll', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const first = await joinPage(gateway, PRIVATE, { user: 'grace', query: { mode: 'poll' } })
    const query = { mode: 'poll', lastEventId: first.stream.lastEventId ?? '' }
    const polling = openPage(gateway, PRIVATE, { user: 'grace', as: first, query })
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(2)
    await whisper(ada)
    const { stream } = await polling
    expect((await stream.next('message')).data.event).toBe('client-typing')
    expect(await stream.ended).toBe(true)
  })

  it('has its place among the broadcasts and is never told later', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    const cursor = grace.stream.lastEventId ?? ''
    await gateway.publish(PRIVATE, 'First')
    await whisper(ada)
    await gateway.publish(PRIVATE, 'Second')
    const heard = await grace.stream.take(3, 'message')
    expect(heard.map(({ data }) => data.event)).toEqual(['First', 'client-typing', 'Second'])
    const back = await joinPage(gateway, PRIVATE, { user: 'grace', query: { lastEventId: cursor } })
    const replayed = back.stream.frames.filter(({ event }) => event === 'message')
    expect(replayed.map(({ data }) => data.event)).toEqual(['First', 'Second'])
    expect(gateway.gateway.services.history.length).toBe(2)
  })

  it.each([
    '{"id":9007199254740993}',
    '{ "spaced" : [ 1 , 2 ] }',
    '[]',
    '"a \\"text\\" \\ud800 é\\u2028"',
    '12.50',
    '-0',
    '1e999',
    'true',
    'null',
    '{"__proto__":{"isAdmin":true},"data":1,"channel":"other"}',
  ])('carries %s as it is', async (data) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    const { socketId, key } = ada
    const rest = JSON.stringify({ channel: PRIVATE, event: 'client-e', socketId, key })
    const body = `${rest.slice(0, -1)},"data":${data}}`
    expect((await whisper(ada, {}, { body })).status).toBe(204)
    expect((await grace.stream.next('message')).text).toBe(`{"channel":"${PRIVATE}","event":"client-e","data":${data}}`)
  })

  it('cannot forge a frame with line breaks', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    const event = 'client-\n\nevent: bye\ndata: {}\n\n'
    const { socketId, key } = ada
    const body = `{"data":{\r\r\n"a"\n\n:1},"event":${JSON.stringify(event)},"channel":"${PRIVATE}","socketId":"${socketId}","key":"${key}"}`
    expect((await whisper(ada, {}, { body })).status).toBe(204)
    expect((await grace.stream.next()).data).toEqual({ channel: PRIVATE, event, data: { a: 1 } })
  })

  it('without data carries null; of several the last counts, as for JSON', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    await whisper(ada, { data: undefined })
    expect((await grace.stream.next('message')).data.data).toBeNull()
    const { socketId, key } = ada
    const body = `{"data":1,"channel":"${PRIVATE}","event":"client-e","socketId":"${socketId}","key":"${key}","d\\u0061ta":2}`
    await whisper(ada, {}, { body })
    expect((await grace.stream.next('message')).data.data).toBe(2)
  })

  it('may be as long as allowed, in name and in data, and not longer', async () => {
    const gateway = await gatewayWithUsers({ maxWhisperBytes: 100 })
    const ada = await joinPage(gateway, PRIVATE)
    expect((await whisper(ada, { event: `client-${'x'.repeat(193)}`, data: 'x'.repeat(98) })).status).toBe(204)
    expect(await whisper(ada, { event: `client-${'x'.repeat(194)}` })).toMatchObject({ status: 400 })
    expect(await whisper(ada, { data: 'x'.repeat(99) })).toMatchObject({ status: 413, code: 'body_too_large' })
    // Bytes, not characters.
    expect(await whisper(ada, { data: 'é'.repeat(50) })).toMatchObject({ status: 413, code: 'body_too_large' })
  })

  it('may be as long as allowed on a channel whose name is as long as allowed', async () => {
    const gateway = await gatewayWithUsers({ maxChannelBytes: 4096, maxWhisperBytes: 100 })
    const channel = `private-${'x'.repeat(4088)}`
    const ada = await joinPage(gateway, channel)
    expect((await whisper(ada, { event: `client-${'x'.repeat(193)}`, data: 'x'.repeat(98) })).status).toBe(204)
  })

  it('is allowed while the page may be on its way back', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 600_000 })
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    ada.stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    expect((await whisper(ada)).status).toBe(204)
    expect((await grace.stream.next('message')).data.userId).toBe('ada')
  })
})

describe('who is not on the channel may not whisper there', () => {
  const refusal = { status: 403, code: 'not_subscribed' }

  it('when its stream has other channels', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    for (const channel of [ROOM, 'private-room.2', 'presence-room.1.', 'private-room.1.2']) {
      expect(await whisper(ada, { channel })).toMatchObject(refusal)
    }
    await expectNothing(gateway, grace)
  })

  it('when Laravel has said no, or nothing yet', async () => {
    const gateway = await startGateway()
    const release = gateway.authorizer.hold()
    gateway.authorizer.decides(() => deny('forbidden'))
    const ada = await openPage(gateway, PRIVATE)
    await gateway.authorizer.untilQuestions(1)
    expect(await whisper(ada)).toMatchObject(refusal)
    release()
    await ada.stream.next('denied')
    expect(await whisper(ada)).toMatchObject(refusal)
  })

  it('when the channel was revoked', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    const { broker } = gateway.gateway.services
    await broker.publish(['sse:revoke'], JSON.stringify({ socket: ada.socketId }))
    await ada.stream.next('revoked')
    expect(await whisper(ada)).toMatchObject(refusal)
    await expectNothing(gateway, grace)
  })

  it('when its stream has ended and the linger time has passed, although the grant is kept', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 0 })
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    ada.stream.close()
    await grace.stream.next('leaving')
    expect(await whisper(ada)).toMatchObject(refusal)
    await joinPage(gateway, ROOM, { as: ada })
    expect(gateway.authorizer.questions).toHaveLength(2)
    expect((await whisper(ada)).status).toBe(204)
  })

  it('when it has said that it is gone', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    await leave(ada)
    expect(await whisper(ada)).toMatchObject(refusal)
  })
})

describe('a channel that carries no whispers', () => {
  it.each([
    ['orders', 'whisper_denied', 403],
    ['private-encrypted-orders', 'whisper_denied', 403],
    ['shop_private-orders', 'invalid_channel', 400],
    ['private-', 'invalid_channel', 400],
    ['sse:whisper', 'invalid_channel', 400],
    [`private-${'a'.repeat(200)}`, 'invalid_channel', 400],
    ['', 'invalid_channel', 400],
    [5, 'invalid_body', 400],
    [null, 'invalid_body', 400],
    [['private-room.1'], 'invalid_body', 400],
    [undefined, 'invalid_body', 400],
  ])('is %j: %s', async (channel, code, status) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, 'private-room.1,private-encrypted-orders,orders')
    expect(await whisper(ada, { channel })).toMatchObject({ status, code, message: expect.stringMatching(/[.?]$/) })
  })
})

describe('the name of an event', () => {
  it.each(['typing', 'client-', 'Client-typing', ' client-typing', 'App\\Events\\E', '', 5, null, undefined, {}])(
    'that is %j is a 400',
    async (event) => {
      const gateway = await gatewayWithUsers()
      const ada = await joinPage(gateway, PRIVATE)
      const answer = await whisper(ada, { event })
      expect(answer).toMatchObject({ status: 400, code: 'invalid_body', message: expect.stringContaining('client-') })
    },
  )
})

describe('a key', () => {
  const refusal = { status: 401, code: 'invalid_key' }

  /** A key as the gateway would have made it, with this secret at that time. */
  function keyFrom(secret: string, { socketId, headers, key }: TalkingPage, madeAtMs = Date.now()): string {
    const identities = new Identities({ secret: Buffer.from(secret), now: () => madeAtMs })
    const known = { socketId, key, headers, mayStoreCookie: false }
    return identities.resolve(known).key
  }

  it('that was changed, belongs to another page or was never ours proves nothing', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const claims = [
      { key: '' },
      { key: 'wrong' },
      { key: ada.key.slice(0, -1) },
      { key: ada.key.replace(/^\d+/, (expiry) => String(Number(expiry) + 1)) },
      { key: grace.key },
      { socketId: grace.socketId },
      { socketId: grace.socketId, key: grace.key },
      { socketId: `${ada.socketId}0` },
      { socketId: '../1.1' },
      { key: keyFrom('another secret', ada) },
    ]
    for (const claim of claims) expect(await whisper(ada, claim), JSON.stringify(claim)).toMatchObject(refusal)
    await expectNothing(gateway, grace)
  })

  it('is good for its time and not longer', async () => {
    const setTime = stopClock()
    const gateway = await gatewayWithUsers({ keyTtlS: 60 })
    const ada = await joinPage(gateway, ROOM)
    setTime(59_000)
    expect((await whisper(ada)).status).toBe(204)
    setTime(60_000)
    expect(await whisper(ada)).toMatchObject(refusal)
  })

  it.each<[string, Record<string, string>]>([
    ['another token', { authorization: 'Bearer eve' }],
    ['no token', { authorization: '' }],
    ['a cookie instead', { authorization: '', cookie: 'laravel_echo_sse=abc' }],
  ])('is worth nothing with %s', async (_, headers) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    expect(await whisper(ada, {}, { headers })).toMatchObject(refusal)
  })

  it("that is bound to the gateway's cookie needs it", async () => {
    const gateway = await gatewayWithUsers()
    const headers = { 'sec-fetch-site': 'same-origin' }
    const page = await joinPage(gateway, PRIVATE, { user: null, headers })
    const cookie = page.stream.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    expect(await whisper(page)).toMatchObject(refusal)
    expect((await whisper(page, {}, { headers: { cookie } })).status).toBe(204)
  })

  it('of a page without token and cookie is proof enough', async () => {
    const gateway = await gatewayWithUsers()
    expect((await whisper(await joinPage(gateway, PRIVATE, { user: null }))).status).toBe(204)
  })

  it.each([
    { socketId: undefined },
    { key: undefined },
    { socketId: 5 },
    { key: null },
    { key: ['a'] },
    { socketId: {} },
  ])('and a socket id are needed, as texts: %j', async (change) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    expect(await whisper(ada, change)).toMatchObject({ status: 400, code: 'invalid_body' })
  })
})

describe('a body', () => {
  it.each([
    '',
    '{',
    '[]',
    'null',
    '"text"',
    '5',
    'socketId=1.1&key=x',
    '\ufffd',
    '{"__proto__":{"socketId":"1.1","key":"x"}}',
  ])('that is %j is a 400', async (body) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    expect(await whisper(ada, {}, { body })).toMatchObject({ status: 400, code: 'invalid_body' })
    expect(({} as Record<string, unknown>).socketId).toBeUndefined()
  })

  it('may be nested as deeply as it is long', async () => {
    const gateway = await gatewayWithUsers({ maxWhisperBytes: 1_000_000 })
    const ada = await joinPage(gateway, PRIVATE)
    const grace = await joinPage(gateway, PRIVATE, { user: 'grace' })
    const { socketId, key } = ada
    const data = '['.repeat(100_000) + ']'.repeat(100_000)
    const body = `{"channel":"${PRIVATE}","event":"client-e","socketId":"${socketId}","key":"${key}","data":${data}}`
    expect((await whisper(ada, {}, { body })).status).toBe(204)
    expect((await grace.stream.next('message')).text).toContain(data)
  })

  it.each<Record<string, string>>([{}, { 'transfer-encoding': 'chunked' }])(
    'that is too long is a 413, also when it does not say how long it is: %j',
    async (headers) => {
      const gateway = await gatewayWithUsers()
      const ada = await joinPage(gateway, PRIVATE)
      const answer = await whisper(ada, { data: 'x'.repeat(20_000) }, { headers })
      expect(answer).toMatchObject({ status: 413, code: 'body_too_large' })
    },
  )

  it('may come in chunks', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    expect((await whisper(ada, {}, { headers: { 'transfer-encoding': 'chunked' } })).status).toBe(204)
  })

  it.each([
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    '',
    'x',
  ])('of the type %j is a 415', async (type) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, PRIVATE)
    const answer = await whisper(ada, {}, { headers: { 'content-type': type } })
    expect(answer).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })
})

describe.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])('%s', (method) => {
  it.each(['/whisper', '/leave'])('is a 405 on %s', async (path) => {
    const { url } = await startGateway()
    const { status, headers } = await ask(url + path, { method })
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'POST' })
  })
})

describe('a page of another origin', () => {
  const LISTED = 'https://app.example'
  const STRANGE = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }

  it('may not whisper, whatever it knows', async () => {
    const gateway = await gatewayWithUsers({ allowOrigins: [LISTED] })
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    for (const headers of [STRANGE, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }] as Record<
      string,
      string
    >[]) {
      expect(await whisper(ada, {}, { headers })).toMatchObject({ status: 403, code: 'origin_denied' })
    }
    await expectNothing(gateway, grace)
  })

  it('may when it is listed, and may ask beforehand', async () => {
    const gateway = await gatewayWithUsers({ allowOrigins: [LISTED] })
    const ada = await joinPage(gateway, ROOM)
    const headers = { origin: LISTED, 'sec-fetch-site': 'cross-site' }
    const answer = await whisper(ada, {}, { headers })
    expect(answer).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': LISTED, 'access-control-allow-credentials': 'true' },
    })
    const asking = {
      ...headers,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    }
    for (const path of ['/whisper', '/leave']) {
      const { status, headers: told } = await ask(gateway.url + path, { method: 'OPTIONS', headers: asking })
      expect(status).toBe(204)
      expect(told['access-control-allow-methods']).toContain('POST')
      expect(String(told['access-control-allow-headers']).toLowerCase()).toContain('content-type')
      const { headers: toStranger } = await ask(gateway.url + path, {
        method: 'OPTIONS',
        headers: { ...asking, ...STRANGE },
      })
      expect(toStranger['access-control-allow-origin']).toBeUndefined()
    }
  })

  it('let in by * proves nothing with what it brings along', async () => {
    const gateway = await gatewayWithUsers({ allowOrigins: ['*'] })
    const ada = await joinPage(gateway, ROOM)
    expect(await whisper(ada, {}, { headers: STRANGE })).toMatchObject({ status: 401, code: 'invalid_key' })
  })
})

describe('too many whispers', () => {
  it('of one page in one second are a 429 that says when to go on; others are not held up', async () => {
    const gateway = await gatewayWithUsers({ maxWhispersPerSecond: 3 })
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const setTime = stopClock()
    for (let count = 0; count < 3; count += 1) expect((await whisper(ada)).status).toBe(204)
    const answer = await whisper(ada, { data: 'lost' })
    expect(answer).toMatchObject({ status: 429, code: 'too_many_whispers', headers: { 'retry-after': '1' } })
    expect((await whisper(grace)).status).toBe(204)
    setTime(1000)
    expect((await whisper(ada, { data: 'again' })).status).toBe(204)
    const heard = await grace.stream.take(4, 'message')
    expect(heard.map(({ data }) => data.data)).toEqual([{}, {}, {}, 'again'])
    const { values } = await gateway.gateway.services.metrics.whispers.get()
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels.outcome, value]))).toEqual({
      ok: 5,
      too_many_whispers: 1,
    })
  })

  it('are forbidden, and no page is told to try again, where the limit is 0', async () => {
    const gateway = await gatewayWithUsers({ maxWhispersPerSecond: 0 })
    const ada = await joinPage(gateway, ROOM)
    const answer = await whisper(ada)
    expect(answer).toMatchObject({ status: 403, code: 'whisper_denied' })
    expect(answer.headers).not.toHaveProperty('retry-after')
  })

  it('are counted also when they are refused, and not at all without a key', async () => {
    const gateway = await gatewayWithUsers({ maxWhispersPerSecond: 1 })
    const ada = await joinPage(gateway, PRIVATE)
    stopClock()
    expect((await whisper(ada, { key: 'wrong' })).status).toBe(401)
    expect((await whisper(ada, { channel: ROOM })).status).toBe(403)
    expect((await whisper(ada)).status).toBe(429)
  })
})

it('a broker that takes nothing makes it a 503 that says when to try again', async () => {
  const broker = new StuckBroker()
  broker.release()
  const gateway = await startGateway({}, { broker })
  const ada = await joinPage(gateway, PRIVATE)
  broker.isRefusing = true
  const answer = await whisper(ada)
  expect(answer).toMatchObject({ status: 503, code: 'broker_unavailable' })
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  broker.isRefusing = false
  expect((await whisper(ada)).status).toBe(204)
})

it('before there is a broker a whisper and a goodbye are a 503', async () => {
  const gateway = await startGateway()
  gateway.gateway.services.identities = null
  const body = JSON.stringify({ socketId: '1.1', key: 'x' })
  for (const path of ['/whisper', '/leave']) {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    expect(await ask(gateway.url + path, options)).toMatchObject({ status: 503, code: 'broker_unavailable' })
  }
})

it('who claims the socket id without the token is somebody else, and hears the whisper', async () => {
  const gateway = await gatewayWithUsers()
  const ada = await joinPage(gateway, PRIVATE)
  const thief = await openStream(`${gateway.url}/stream?channels=${PRIVATE}&socketId=${ada.socketId}&key=${ada.key}`)
  await thief.next('ping')
  await whisper(ada)
  expect((await thief.next('message')).data.event).toBe('client-typing')
})
