import { describe, expect, it } from 'vitest'
import { deny } from '../../../src/auth/denial.ts'
import { MemoryBroker } from '../../../src/broker/memory.ts'
import { ask } from '../../support/ask.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { LOCAL_APP, type PublishChange, publishByHttp } from '../../support/publisher.ts'
import { StuckBroker } from '../../support/stuck-broker.ts'
import {
  grantByToken,
  joinPage,
  openPage,
  subscribedTo,
  type TalkingPage,
  whisper,
} from '../../support/talking-page.ts'

const ROOM = 'presence-room.1'
const ORDERS = 'private-orders'
const CREDENTIALS = { id: 'app-1', key: 'public-key', secret: 'a-real-secret' }
const OWN = { appId: CREDENTIALS.id, appKey: CREDENTIALS.key, appSecret: CREDENTIALS.secret }

function revoke({ url }: { url: string }, revocation: unknown, change: PublishChange = {}) {
  const { app = LOCAL_APP } = change
  return publishByHttp(url, revocation, { path: `/apps/${app.id}/revoke`, ...change })
}

async function gatewayWithUsers(...arguments_: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway(...arguments_)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

let fences = 0

/** The channels that were taken from the page until a broadcast that is published now on `fence`, which it listens to. */
async function revoked(gateway: RunningGateway, { stream }: TalkingPage): Promise<string[]> {
  fences += 1
  const fence = `Fence.${fences}`
  await gateway.publish('fence', fence)
  const channels: string[] = []
  for (;;) {
    const { event, data } = await stream.next()
    if (data.event === fence) return channels.sort()
    if (event === 'revoked') channels.push(data.channel)
  }
}

describe('a signed revocation', () => {
  it('takes the channel from everybody and nothing else; the streams live on', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `fence,${ORDERS},private-b`)
    const grace = await joinPage(gateway, `${ORDERS},fence`, { user: 'grace' })
    expect(await revoke(gateway, { channel: ORDERS })).toMatchObject({ status: 200, text: '{}' })
    expect((await ada.stream.next()).data).toEqual({
      channel: ORDERS,
      status: 403,
      code: 'revoked',
      message: 'The permission for this channel was withdrawn.',
    })
    expect(await revoked(gateway, ada)).toEqual([])
    expect(await revoked(gateway, grace)).toEqual([ORDERS])
    await gateway.publish(ORDERS, 'Secret')
    await gateway.publish('private-b', 'Open')
    const heard = await ada.stream.take(2, 'message')
    expect(heard.map(({ data }) => data.event)).toEqual([expect.stringMatching(/^Fence/), 'Open'])
    expect(await revoked(gateway, grace)).toEqual([])
    expect(grace.stream.text).not.toContain('Secret')
    const { values } = await gateway.gateway.services.metrics.revoked.get()
    expect(values).toEqual([{ labels: { code: 'revoked' }, value: 2 }])
  })

  const all = [ROOM, ORDERS]

  it.each<[object, { ada: string[]; tab: string[]; grace: string[] }]>([
    [{ user: 'ada' }, { ada: all, tab: all, grace: [] }],
    [
      { user: 'ada', channel: ORDERS },
      { ada: [ORDERS], tab: [ORDERS], grace: [] },
    ],
    [{ channel: ROOM }, { ada: [ROOM], tab: [ROOM], grace: [ROOM] }],
    [{ socket: 'ada' }, { ada: all, tab: [], grace: [] }],
    [
      { socket: 'ada', channel: ROOM },
      { ada: [ROOM], tab: [], grace: [] },
    ],
    [
      { socket: 'ada', user: 'ada' },
      { ada: all, tab: [], grace: [] },
    ],
    [
      { socket: 'ada', user: 'grace' },
      { ada: [], tab: [], grace: [] },
    ],
    [{ user: 'nobody' }, { ada: [], tab: [], grace: [] }],
    [{ channel: 'fence' }, { ada: [], tab: [], grace: [] }],
    [
      { user: 'grace', channel: null, socket: null },
      { ada: [], tab: [], grace: all },
    ],
  ])('%j takes what fits all that is named', async (wanted, expected) => {
    const gateway = await gatewayWithUsers()
    const channels = `fence,${all}`
    const ada = await joinPage(gateway, channels)
    const tab = await joinPage(gateway, channels)
    const grace = await joinPage(gateway, channels, { user: 'grace' })
    const { broker } = gateway.gateway.services
    const revocation = 'socket' in wanted && wanted.socket !== null ? { ...wanted, socket: ada.socketId } : wanted
    await broker.publish(['sse:revoke'], JSON.stringify(revocation))
    expect({
      ada: await revoked(gateway, ada),
      tab: await revoked(gateway, tab),
      grace: await revoked(gateway, grace),
    }).toEqual(expected)
  })

  it('finds a user whom Laravel named by a number, digit for digit', async () => {
    const gateway = await startGateway()
    gateway.authorizer.decides(({ credentials }) => {
      const id = credentials.headers.authorization?.replace('Bearer ', '') ?? ''
      return { allowed: true, member: { id, info: null } }
    })
    const [five, large, neighbour] = [
      await joinPage(gateway, `fence,${ROOM}`, { user: '5' }),
      await joinPage(gateway, `fence,${ROOM}`, { user: '9007199254740993' }),
      await joinPage(gateway, `fence,${ROOM}`, { user: '9007199254740992' }),
    ]
    expect((await revoke(gateway, null, { body: '{"user":5}' })).status).toBe(200)
    await revoke(gateway, null, { body: '{"user":9007199254740993}' })
    expect(await revoked(gateway, five)).toEqual([ROOM])
    expect(await revoked(gateway, large)).toEqual([ROOM])
    expect(await revoked(gateway, neighbour)).toEqual([])
  })

  it('takes the page off the list, and its whispers are refused', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 600_000 })
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    await revoke(gateway, { user: 'ada' })
    expect((await grace.stream.next('leaving')).data.member.id).toBe('ada')
    expect(await whisper(ada)).toMatchObject({ status: 403, code: 'not_subscribed' })
    const late = await joinPage(gateway, ROOM, { user: 'late' })
    expect(subscribedTo(late, ROOM).members.map(({ id }: { id: string }) => id)).toEqual(['grace', 'late'])
  })

  it('tells the page nothing of its own leaving', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `fence,${ROOM}`)
    await revoke(gateway, { user: 'ada' })
    expect(await revoked(gateway, ada)).toEqual([ROOM])
    expect(ada.stream.frames.map(({ event }) => event)).not.toContain('leaving')
  })

  it('reaches all streams of the page, and a poll that waits', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ORDERS)
    const second = await joinPage(gateway, ORDERS, { as: ada })
    const query = { mode: 'poll', lastEventId: second.stream.lastEventId ?? '' }
    const polling = openPage(gateway, ORDERS, { as: ada, query })
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(3)
    await revoke(gateway, { channel: ORDERS })
    for (const { stream } of [ada, second, await polling]) {
      expect((await stream.next('revoked')).data.channel).toBe(ORDERS)
    }
    expect(await (await polling).stream.ended).toBe(true)
  })

  it('ends what is remembered: a page that comes back is put to Laravel, and is told what it missed only if Laravel grants', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ORDERS)
    const cursor = { lastEventId: ada.stream.lastEventId ?? '' }
    await revoke(gateway, { socket: ada.socketId })
    await ada.stream.next('revoked')
    await gateway.publish(ORDERS, 'Missed')
    gateway.authorizer.decides(() => deny('forbidden'))
    const refused = await joinPage(gateway, ORDERS, { as: ada, query: cursor })
    expect(gateway.authorizer.questions).toHaveLength(2)
    expect(refused.stream.frames.map(({ event }) => event)).toEqual(['connected', 'denied', 'ping'])
    gateway.authorizer.decides(grantByToken)
    const granted = await openPage(gateway, ORDERS, { as: ada, query: cursor })
    expect((await granted.stream.next('message')).data.event).toBe('Missed')
  })

  it('is remembered also of a page that is away', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 0 })
    const ada = await joinPage(gateway, ORDERS)
    ada.stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(0)
    await revoke(gateway, { channel: ORDERS })
    await joinPage(gateway, ORDERS, { as: ada })
    expect(gateway.authorizer.questions).toHaveLength(2)
  })
})

describe('a revocation that comes while Laravel is asked', () => {
  it('is older than no answer: Laravel is asked once more', async () => {
    const gateway = await gatewayWithUsers()
    const release = gateway.authorizer.hold()
    const ada = await openPage(gateway, ORDERS)
    await gateway.authorizer.untilQuestions(1)
    await revoke(gateway, { channel: ORDERS })
    let asked = 0
    gateway.authorizer.decides(() => {
      asked += 1
      return asked === 1 ? { allowed: true } : deny('forbidden')
    })
    release()
    expect((await ada.stream.next('denied')).data.code).toBe('forbidden')
    expect(ada.stream.frames.map(({ event }) => event)).not.toContain('subscribed')
    expect(gateway.authorizer.questions).toHaveLength(2)
  })

  it('or while the members are told of the page, does not let it in either', async () => {
    const broker = new HeldBroker('sse:presence')
    const gateway = await gatewayWithUsers({}, { broker })
    const ada = await openPage(gateway, ROOM)
    await broker.held
    gateway.authorizer.decides(() => deny('forbidden'))
    await revoke(gateway, { user: 'ada' })
    broker.release()
    expect((await ada.stream.next('denied')).data.code).toBe('forbidden')
    expect(ada.stream.frames.map(({ event }) => event)).not.toContain('subscribed')
    expect(await whisper(ada)).toMatchObject({ status: 403, code: 'not_subscribed' })
  })
})

/** A memory broker that keeps back what goes over one channel. */
class HeldBroker extends MemoryBroker {
  readonly held: Promise<void>
  release = () => {}
  readonly #channel: string
  readonly #released: Promise<void>
  #tellHeld = () => {}

  constructor(channel: string) {
    super()
    this.#channel = channel
    this.held = new Promise((resolve) => {
      this.#tellHeld = resolve
    })
    this.#released = new Promise((resolve) => {
      this.release = resolve
    })
  }

  override async publish(channels: readonly string[], payload: string): Promise<void> {
    if (channels.includes(this.#channel)) {
      this.#tellHeld()
      await this.#released
    }
    await super.publish(channels, payload)
  }
}

describe('a revocation that is refused takes nothing', () => {
  async function expectRefused(revocation: unknown, change: PublishChange, refusal: object): Promise<void> {
    const gateway = await gatewayWithUsers(OWN)
    const ada = await joinPage(gateway, `fence,${ORDERS}`)
    expect(await revoke(gateway, revocation, { app: CREDENTIALS, ...change })).toMatchObject(refusal)
    expect(await revoked(gateway, ada)).toEqual([])
  }

  it.each<[string, PublishChange]>([
    ['no signature', { query: (query) => query.delete('auth_signature') }],
    ['a wrong signature', { query: (query) => query.set('auth_signature', 'a'.repeat(64)) }],
    ['a body that was changed', { signed: '{"channel":"private-other"}' }],
    ['another secret', { app: { ...CREDENTIALS, secret: 'wrong' } }],
    ['the default credentials', { app: LOCAL_APP }],
    ['the signature of a publish', { path: '/apps/app-1/revoke', query: (query) => query.set('auth_timestamp', '1') }],
    ['an old timestamp', { now: Date.now() - 660_000 }],
  ])('for %s: 401', async (_, change) => {
    await expectRefused({ channel: ORDERS }, change, { status: 401, code: 'unauthorized' })
  })

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['only nulls', { user: null, channel: null, socket: null }],
    ['an empty name', { channel: '' }],
    ['an empty name beside another', { channel: ORDERS, user: '' }],
    ['a list', [{ channel: ORDERS }]],
    ['a list of channels', { channel: [ORDERS] }],
    ['an object', { channel: { name: ORDERS } }],
    ['true', { user: true }],
    ['a socket id that is a number', { socket: 1.1 }],
    ['a word for the member', { channels: ORDERS }],
    ['a misspelt member beside another', { channel: ORDERS, usr: '7' }],
    ['part of a number', { user: 1.5 }],
    ['null', null],
    ['a text', ORDERS],
  ])('naming %s: 400', async (_, revocation) => {
    await expectRefused(revocation, {}, { status: 400, code: 'invalid_body', message: expect.stringMatching(/\.$/) })
  })

  it.each(['', '{', `{"__proto__":{"channel":"${ORDERS}"}}`, '\ufffd'])('with the body %j: 400', async (body) => {
    await expectRefused(null, { body }, { status: 400, code: 'invalid_body' })
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded'])('as %s: 415', async (type) => {
    const headers = { 'content-type': type }
    await expectRefused({ channel: ORDERS }, { headers }, { status: 415, code: 'unsupported_media_type' })
  })

  it('too long: 413', async () => {
    await expectRefused({ channel: 'x'.repeat(70_000) }, {}, { status: 413, code: 'body_too_large' })
  })

  it.each<Record<string, string>>([{ origin: 'https://app.example' }, { 'sec-fetch-site': 'same-origin' }])(
    'from a page: 403, %j',
    async (headers) => {
      await expectRefused({ channel: ORDERS }, { headers }, { status: 403, code: 'origin_denied' })
    },
  )

  it('through a proxy, with the default credentials: 403', async () => {
    const gateway = await startGateway()
    const headers = { 'x-forwarded-for': '127.0.0.1' }
    expect(await revoke(gateway, { user: '1' }, { headers })).toMatchObject({ status: 403, code: 'local_only' })
  })

  it('by another method: 405', async () => {
    const { url } = await startGateway()
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { status, headers } = await ask(`${url}/apps/local/revoke`, { method })
      expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'POST' })
    }
  })

  it('where the broker takes nothing: 503', async () => {
    const broker = new StuckBroker()
    broker.release()
    const gateway = await startGateway({}, { broker })
    broker.isRefusing = true
    const answer = await revoke(gateway, { channel: ORDERS })
    expect(answer).toMatchObject({ status: 503, code: 'broker_unavailable' })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})
