import Pusher from 'pusher'
import nacl from 'tweetnacl'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Decision } from '../../src/auth/authorizer.ts'
import type { FakeReply } from '../support/fake-laravel.ts'
import { type Fleet, startFleet, startNodes, userOf } from '../support/fleet.ts'
import { startFront } from '../support/front.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { StuckBroker } from '../support/stuck-broker.ts'
import { joinPage, openPage, subscribedTo, type TalkingPage } from '../support/talking-page.ts'

const APP = { appId: 'shop', key: 'shop-key', secret: 'shop-secret' }
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')

/** What an application has: the SDK, and its own answer about a channel, which the SDK signs. */
class Application {
  readonly sdk: Pusher

  /** `host` with port and sub-path: the SDK takes it as the beginning of its addresses. */
  constructor(host: string, change: Partial<Pusher.Options> = {}) {
    this.sdk = new Pusher({ ...APP, host, encryptionMasterKeyBase64: MASTER_KEY, ...change })
  }

  authorize(channel: string, socketId: string, user: string): Pusher.ChannelAuthResponse {
    const data = channel.startsWith('presence-') ? { user_id: user, user_info: { name: user } } : undefined
    return this.sdk.authorizeChannel(socketId, channel, data)
  }
}

type Service = {
  readonly application: Application
  /** Where pages listen: each of these reaches the whole service. */
  readonly urls: readonly [string, string]
}

async function startAlone(): Promise<Service> {
  const { url, authorizer } = await startGateway({ appId: APP.appId, appKey: APP.key, appSecret: APP.secret })
  const application = new Application(new URL(url).host)
  authorizer.decides(({ channel, socketId, credentials }): Decision => {
    const user = userOf({ authorization: credentials.headers.authorization }) ?? 'nobody'
    const { shared_secret: sharedSecret } = application.authorize(channel.name, socketId, user)
    return {
      allowed: true,
      ...(channel.kind === 'presence' ? { member: { id: user, info: { name: user } } } : {}),
      ...(sharedSecret === undefined ? {} : { sharedSecret }),
    }
  })
  return { application, urls: [url, url] }
}

async function startTwo(fleet: Fleet): Promise<Service> {
  const [one, other] = await startNodes(fleet, 2)
  const front = await startFront({ gateways: [one.url, other.url], config: withPublishing })
  fleetEnds.push(() => front.stop())
  const application = new Application(`${new URL(front.url).host}/sse`)
  fleet.laravel.answers(({ channel, socketId, headers }): FakeReply => {
    const body = JSON.stringify(application.authorize(channel, socketId, userOf(headers) ?? 'nobody'))
    return { headers: { 'content-type': 'application/json' }, body }
  })
  return { application, urls: [one.url, other.url] }
}

const fleetEnds: (() => Promise<void>)[] = []

/** The shipped configuration with its part for publishing taken in, and this machine for Laravel. */
function withPublishing(shipped: string): string {
  const open = shipped.replace(
    /^( *)# (location \/sse\/apps\/ \{\n(?: *#.*\n)*? *# \}\n)/m,
    (_, indent, block: string) => {
      return `${indent}${block.replace(/^ *# /gm, indent).replace('192.0.2.10', '127.0.0.1')}`
    },
  )
  if (open === shipped) throw new Error('gateway.conf no longer has a part for /apps/ that can be taken in.')
  return open
}

let scenes = 0
/** Names that no other test has. */
function scene() {
  scenes += 1
  return { orders: `orders.${scenes}`, guarded: `private-orders.${scenes}`, room: `presence-room.${scenes}` }
}

const answerOf = async (answer: Promise<{ json(): Promise<unknown> }>) => (await answer).json()
const heard = async ({ stream }: TalkingPage, count: number) =>
  (await stream.take(count, 'message')).map(({ data: { channel, event, data } }) => [channel, event, data])

function sdkSuite(name: string, start: () => Promise<Service>): void {
  describe(name, () => {
    let service: Service
    let sdk: Pusher
    beforeEach(async () => {
      service = await start()
      sdk = service.application.sdk
    })

    const join = (channels: string, user = 'ada', at = 0) =>
      joinPage({ url: service.urls[at] ?? '' }, channels, { user })
    const sdkSays = (path: string, params?: Pusher.Params) =>
      answerOf(sdk.get({ path, ...(params === undefined ? {} : { params }) }))

    it('triggers on one channel and on many, to all pages and to others', async () => {
      const { orders, guarded } = scene()
      const pages = [await join(`${orders},${guarded}`), await join(`${guarded},${orders}`, 'grace', 1)] as const
      expect(await answerOf(sdk.trigger(orders, 'One', { n: 1 }))).toEqual({})
      expect(await answerOf(sdk.trigger([orders, guarded], 'Many', 'text'))).toEqual({})
      await sdk.trigger(guarded, 'Others', [], { socket_id: pages[0].socketId })
      await sdk.trigger(orders, 'Last', null)
      const all = [
        [orders, 'One', { n: 1 }],
        [orders, 'Many', 'text'],
        [guarded, 'Many', 'text'],
      ]
      const last = [orders, 'Last', null]
      expect(await heard(pages[0], 4)).toEqual([...all, last])
      expect(await heard(pages[1], 5)).toEqual([...all, [guarded, 'Others', []], last])
    })

    it('triggers a batch, in its order', async () => {
      const { orders, guarded } = scene()
      const page = await join(`${orders},${guarded}`, 'ada', 1)
      const batch = Array.from({ length: 10 }, (_, n) => ({
        channel: n % 2 ? guarded : orders,
        name: 'E',
        data: { n },
      }))
      expect(await answerOf(sdk.triggerBatch(batch))).toEqual({})
      expect((await heard(page, 10)).map(([, , data]) => data)).toEqual(batch.map((_, n) => ({ n })))
    })

    it('is told of channels while it triggers', async () => {
      const { orders, room } = scene()
      await join(`${orders},${room}`)
      await join(`${orders},${room}`, 'ada', 1)
      const info = 'user_count,subscription_count'
      const channels = { [orders]: { subscription_count: 2 }, [room]: { user_count: 1, subscription_count: 2 } }
      await expect.poll(() => answerOf(sdk.trigger([orders, room], 'E', {}, { info }))).toEqual({ channels })
      const batch = () => [
        { channel: orders, name: 'E', data: {}, info },
        { channel: orders, name: 'E', data: {} },
      ]
      // Each gateway hears a little later what another one counts.
      const told = { batch: [{ subscription_count: 2 }, {}] }
      await expect.poll(() => answerOf(sdk.triggerBatch(batch()))).toEqual(told)
    })

    it('asks for channels, for one, and for its users', async () => {
      const { orders, room } = scene()
      await join(`${orders},${room}`)
      await join(room, 'grace', 1)
      await expect
        .poll(() => sdkSays('/channels', { filter_by_prefix: orders }))
        .toEqual({ channels: { [orders]: {} } })
      const params = { filter_by_prefix: room, info: 'user_count' }
      await expect.poll(() => sdkSays('/channels', params)).toEqual({ channels: { [room]: { user_count: 2 } } })
      const one = { occupied: true, user_count: 2, subscription_count: 2 }
      const both = { info: 'user_count,subscription_count' }
      await expect.poll(() => sdkSays(`/channels/${room}`, both)).toEqual(one)
      const { users } = (await sdkSays(`/channels/${room}/users`)) as { users: { id: string }[] }
      expect(users.map(({ id }) => id).sort()).toEqual(['ada', 'grace'])
      expect(await sdkSays(`/channels/nobody.${orders}`)).toEqual({ occupied: false })
    })

    it('ends the streams of a user wherever they are', async () => {
      const { orders, room } = scene()
      const user = `ada ${room}@shop`
      const pages = [await join(`${room},${orders}`, encoded(user)), await join(room, encoded(user), 1)]
      const grace = await join(`${room},${orders}`, 'grace', 1)
      expect(await answerOf(sdk.terminateUserConnections(encoded(user)))).toEqual({})
      for (const { stream } of pages) {
        expect((await stream.next('bye')).data.reason).toBe('terminated')
        await stream.ended
      }
      expect((await grace.stream.next('leaving')).data.member.id).toBe(encoded(user))
      await sdk.trigger(orders, 'Still', {})
      expect(await heard(grace, 1)).toEqual([[orders, 'Still', {}]])
    })

    it('seals what only pages with the secret can open', async () => {
      const channel = `private-encrypted-${scene().orders}`
      const page = await join(channel, 'ada', 1)
      const secret = Buffer.from(subscribedTo(page, channel).sharedSecret, 'base64')
      const opened = async () => {
        const { data } = (await page.stream.next('message')).data
        const [nonce, sealed] = [data.nonce, data.ciphertext].map((text) => Buffer.from(text, 'base64'))
        return Buffer.from(nacl.secretbox.open(sealed as Buffer, nonce as Buffer, secret) ?? []).toString()
      }
      await sdk.trigger(channel, 'Secret', { text: 'é🎉' })
      await sdk.triggerBatch([{ channel, name: 'Secret', data: [1, 2] }])
      expect([await opened(), await opened()]).toEqual(['{"text":"é🎉"}', '[1,2]'])
    })

    it('publishes once what it sends again under the same key', async () => {
      const { orders } = scene()
      const page = await openPage({ url: service.urls[1] }, orders)
      await page.stream.next('subscribed')
      const event = { name: 'E', data: '1', channel: orders, idempotency_key: orders }
      // What the SDK's types call a text it turns into one itself.
      const post = (path: string, body: object) => answerOf(sdk.post({ path, body: body as unknown as string }))
      for (let times = 0; times < 4; times += 1) expect(await post('/events', event)).toEqual({})
      expect(await post('/batch_events', { batch: [event, { ...event, idempotency_key: `${orders}.2` }] })).toEqual({})
      await sdk.trigger(orders, 'Last', {})
      expect((await heard(page, 3)).map(([, name]) => name)).toEqual(['E', 'E', 'Last'])
    })

    it('throws what it is refused, with the status and the sentence', async () => {
      const { orders } = scene()
      const refused = (attempt: Promise<unknown>) =>
        attempt.then(
          () => null,
          (error: { status: number; body: string }) => [error.status, JSON.parse(error.body).error.code],
        )
      const stranger = new Application(hostOf(service), { secret: 'wrong' })
      expect(await refused(stranger.sdk.trigger(orders, 'E', {}))).toEqual([401, 'unauthorized'])
      expect(await refused(sdk.trigger(orders, 'E', 'x'.repeat(10_241)))).toEqual([413, 'body_too_large'])
      const batch = Array.from({ length: 11 }, () => ({ channel: orders, name: 'E', data: {} }))
      expect(await refused(sdk.triggerBatch(batch))).toEqual([400, 'invalid_body'])
      expect(await refused(sdk.get({ path: '/channels', params: { info: 'user_count' } }))).toEqual([
        400,
        'invalid_parameter',
      ])
      expect(await refused(sdk.sendToUser('ada', 'E', {}))).toEqual([400, 'invalid_channel'])
    })
  })
}

/** As it may stand in an `Authorization` header and, unencoded, in an address. */
const encoded = (user: string) => user.replaceAll(' ', '+')

const hostOf = ({ application }: Service) =>
  (application.sdk as unknown as { readonly config: { readonly host: string } }).config.host

describe('the pusher SDK', () => {
  sdkSuite('at a gateway with the memory broker', startAlone)

  it('throws while the broker takes nothing, so that a queue tries again', async () => {
    const broker = new StuckBroker()
    broker.release()
    const { url } = await startGateway({ appId: APP.appId, appKey: APP.key, appSecret: APP.secret }, { broker })
    const { sdk } = new Application(new URL(url).host)
    broker.isRefusing = true
    await expect(sdk.trigger('orders', 'E', {})).rejects.toMatchObject({ status: 503 })
    broker.isRefusing = false
    expect((await sdk.trigger('orders', 'E', {})).status).toBe(200)
  })
})

describe.runIf(requirePart('redis', 'nginx'))('the pusher SDK', () => {
  let service: Service
  beforeAll(async () => {
    const app = ['--app-id', APP.appId, '--app-key', APP.key, '--app-secret', APP.secret]
    const fleet = await startFleet({ args: app })
    fleetEnds.push(() => fleet.close())
    service = await startTwo(fleet)
  })
  afterAll(async () => {
    for (const end of fleetEnds.reverse()) await end()
  })

  sdkSuite('at two gateways on Redis, behind nginx below a path', async () => service)
})
