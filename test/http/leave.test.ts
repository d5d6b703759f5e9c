import { describe, expect, it, vi } from 'vitest'
import { atEndOfTest } from '../support/at-end.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { StuckBroker } from '../support/stuck-broker.ts'
import {
  grantByToken,
  joinPage,
  leave,
  openPage,
  subscribedTo,
  type TalkingPage,
  whisper,
} from '../support/talking-page.ts'

const ROOM = 'presence-room.1'
const OTHER = 'presence-room.2'
/** Nobody is gone in these tests because time has passed. */
const FOREVER = { lingerMs: 600_000, grantS: 600 }

async function gatewayWithUsers(...[overrides]: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway({ ...FOREVER, ...overrides })
  gateway.authorizer.decides(grantByToken)
  return gateway
}

let fences = 0

/** What the page was told of others until a broadcast that is published now. */
async function told(gateway: RunningGateway, { stream, channel }: TalkingPage): Promise<string[]> {
  fences += 1
  const fence = `Fence.${fences}`
  await gateway.publish(channel, fence)
  const names: string[] = []
  for (;;) {
    const { event, data } = await stream.next()
    if (data.event === fence) return names
    if (event === 'joining' || event === 'leaving') names.push(`${event} ${data.member.id}`)
  }
}

describe('POST /leave', () => {
  it('takes the page off its presence channels at once, for everybody who is left', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `${ROOM},${OTHER}`)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const eve = await joinPage(gateway, OTHER, { user: 'eve' })
    expect(await leave(ada)).toMatchObject({ status: 204, text: '' })
    expect(await told(gateway, grace)).toEqual(['leaving ada'])
    expect(await told(gateway, eve)).toEqual(['leaving ada'])
    const late = await joinPage(gateway, ROOM, { user: 'late' })
    expect(subscribedTo(late, ROOM).members.map(({ id }: { id: string }) => id)).toEqual(['grace', 'late'])
  })

  it('ends every stream and every poll of the socket, with a goodbye', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const second = await joinPage(gateway, 'private-a', { as: ada })
    const query = { mode: 'poll', lastEventId: second.stream.lastEventId ?? '' }
    const polling = openPage(gateway, 'private-a', { as: ada, query })
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(3)
    await leave(ada)
    for (const { stream } of [ada, second, await polling]) {
      expect((await stream.next('bye')).data).toEqual({ reason: 'left', retryAfterMs: 1000 })
      expect(await stream.ended).toBe(true)
    }
    expect(gateway.gateway.services.hub.size).toBe(0)
    expect(gateway.gateway.services.grants.size).toBe(0)
    const { values } = await gateway.gateway.services.metrics.ended.get()
    expect(values).toEqual([{ labels: { reason: 'left' }, value: 3 }])
  })

  it('leaves other tabs of the same user alone, who is then still there', async () => {
    const gateway = await gatewayWithUsers()
    const [ada, tab] = [await joinPage(gateway, ROOM), await joinPage(gateway, ROOM)]
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    await leave(ada)
    expect(await told(gateway, grace)).toEqual([])
    expect(await told(gateway, tab)).toEqual(['joining grace'])
    await leave(tab)
    expect(await told(gateway, grace)).toEqual(['leaving ada'])
  })

  it('may come after the stream has gone, and then nobody waits for the page to come back', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    ada.stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    expect(await told(gateway, grace)).toEqual([])
    await leave(ada)
    expect(await told(gateway, grace)).toEqual(['leaving ada'])
  })

  it('ends what Laravel has granted: a page that comes back is put to it, and joins anew', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    expect(gateway.authorizer.questions).toHaveLength(2)
    await leave(ada)
    const back = await joinPage(gateway, ROOM, { as: ada })
    expect(back.socketId).toBe(ada.socketId)
    expect(gateway.authorizer.questions).toHaveLength(3)
    expect(await told(gateway, grace)).toEqual(['leaving ada', 'joining ada'])
    expect((await whisper(back)).status).toBe(204)
  })

  it('of a page that Laravel has not answered yet drops the question', async () => {
    const gateway = await gatewayWithUsers()
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const release = gateway.authorizer.hold()
    const ada = await openPage(gateway, ROOM)
    await gateway.authorizer.untilQuestions(2)
    await leave(ada)
    await ada.stream.next('bye')
    release()
    expect(gateway.authorizer.openSessions).toBe(1)
    expect(await told(gateway, grace)).toEqual([])
  })

  it('of a page that is not there is no fault', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await openPage(gateway, 'orders')
    for (let time = 0; time < 2; time += 1) expect((await leave(ada)).status).toBe(204)
  })

  it.each(['text/plain', 'text/plain;charset=UTF-8', 'application/json', 'application/json; charset=utf-8'])(
    'takes %s',
    async (type) => {
      const gateway = await gatewayWithUsers()
      const ada = await joinPage(gateway, ROOM)
      expect((await leave(ada, {}, { headers: { 'content-type': type } })).status).toBe(204)
      await ada.stream.next('bye')
    },
  )

  it('takes what sendBeacon sends, from a page with the cookie and without a token', async () => {
    const gateway = await gatewayWithUsers()
    const sameOrigin = { 'sec-fetch-site': 'same-origin' }
    const page = await joinPage(gateway, 'private-a', { user: null, headers: sameOrigin })
    const cookie = page.stream.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    const beacon = { ...sameOrigin, cookie, 'content-type': 'text/plain;charset=UTF-8', 'transfer-encoding': 'chunked' }
    expect((await leave(page, {}, { headers: beacon })).status).toBe(204)
    await page.stream.next('bye')
  })
})

describe('a goodbye that is refused changes nothing', () => {
  const type = 'text/plain'

  it.each<[string, object, Parameters<typeof leave>[2], object]>([
    ['a wrong key', { key: 'wrong' }, {}, { status: 401, code: 'invalid_key' }],
    ['the socket id of another', { socketId: '1.1' }, {}, { status: 401, code: 'invalid_key' }],
    ['another token', {}, { headers: { authorization: 'Bearer eve' } }, { status: 401, code: 'invalid_key' }],
    ['no key', { key: undefined }, {}, { status: 400, code: 'invalid_body' }],
    ['a number', { socketId: 1.1 }, {}, { status: 400, code: 'invalid_body' }],
    ['no JSON', {}, { body: 'bye', headers: { 'content-type': type } }, { status: 400, code: 'invalid_body' }],
    ['nothing', {}, { body: '', headers: { 'content-type': type } }, { status: 400, code: 'invalid_body' }],
    ['a list', {}, { body: '[]' }, { status: 400, code: 'invalid_body' }],
    [
      'a forged prototype',
      {},
      { body: '{"__proto__":{"socketId":"1.1","key":"x"}}' },
      { status: 400, code: 'invalid_body' },
    ],
    ['too much', { more: 'x'.repeat(70_000) }, {}, { status: 413, code: 'body_too_large' }],
    [
      'a form',
      {},
      { headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      { status: 415, code: 'unsupported_media_type' },
    ],
    ['no type', {}, { headers: { 'content-type': '' } }, { status: 415, code: 'unsupported_media_type' }],
    [
      'a page elsewhere',
      {},
      { headers: { origin: 'https://evil.example', 'content-type': type } },
      { status: 403, code: 'origin_denied' },
    ],
  ])('with %s', async (_, change, saying, refusal) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    expect(await leave(ada, change, saying)).toMatchObject(refusal)
    expect(await told(gateway, ada)).toEqual(['joining grace'])
    expect(await told(gateway, grace)).toEqual([])
  })

  it('by the token of another page, also when both know each other', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    expect((await leave(grace, { socketId: ada.socketId, key: ada.key })).status).toBe(401)
    expect(await told(gateway, grace)).toEqual([])
  })

  it('when the others cannot be told: it may be said again', async () => {
    const broker = new StuckBroker()
    broker.release()
    const gateway = await startGateway(FOREVER, { broker })
    gateway.authorizer.decides(grantByToken)
    const ada = await joinPage(gateway, ROOM)
    const forget = vi.spyOn(gateway.gateway.services.grants, 'forget')
    broker.isRefusing = true
    expect(await leave(ada)).toMatchObject({ status: 503, code: 'broker_unavailable' })
    // Other gateways would take no whisper of the page any more, which goes on.
    expect(forget).not.toHaveBeenCalled()
    broker.isRefusing = false
    expect((await leave(ada)).status).toBe(204)
    await ada.stream.next('bye')
    expect(forget).toHaveBeenCalledOnce()
  })

  it('when there were too many in one second', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Math.ceil(Date.now() / 1000) * 1000 })
    atEndOfTest(() => vi.useRealTimers())
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    for (let count = 0; count < 10; count += 1) expect((await leave(ada)).status).toBe(204)
    const answer = await leave(ada)
    expect(answer).toMatchObject({ status: 429, code: 'too_many_requests', headers: { 'retry-after': '1' } })
    expect((await leave(await joinPage(gateway, ROOM))).status).toBe(204)
  })
})

describe('a page that goes on without a channel has left it', () => {
  it('when its old stream ends, where the new one does not name the channel', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `${ROOM},${OTHER}`)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const eve = await joinPage(gateway, OTHER, { user: 'eve' })
    const next = await joinPage(gateway, OTHER, { as: ada })
    expect(await told(gateway, grace)).toEqual([])
    ada.stream.close()
    expect((await grace.stream.next()).event).toBe('leaving')
    expect(await told(gateway, eve)).toEqual([])
    expect((await whisper(next, { channel: OTHER })).status).toBe(204)
    expect((await whisper(next, { channel: ROOM })).status).toBe(403)
  })

  it.each(['orders', ''])('at once, where the old stream has ended before: now with %j', async (channels) => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    ada.stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    await openPage(gateway, channels, { as: ada })
    expect(await told(gateway, grace)).toEqual(['leaving ada'])
  })

  it('and from one poll to the next', async () => {
    const gateway = await gatewayWithUsers()
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const ada = await joinPage(gateway, ROOM, { query: { mode: 'poll' } })
    expect(await told(gateway, grace)).toEqual(['joining ada'])
    const query = { mode: 'poll', wait: '0', lastEventId: ada.stream.lastEventId ?? '' }
    await joinPage(gateway, ROOM, { as: ada, query })
    expect(await told(gateway, grace)).toEqual([])
    await joinPage(gateway, 'orders', { as: ada, query })
    expect(await told(gateway, grace)).toEqual(['leaving ada'])
  })
})
