import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ask } from '../../support/ask.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { grantByToken, joinPage, type TalkingPage } from '../../support/talking-page.ts'

/**
 * What pusher-php-server 7.2 sends, the library of Laravel 12's pusher and reverb drivers, written down from its
 * documentation and signed with PHP's own hash_hmac. Key, secret and time are those of Pusher's worked example.
 */
const APP = { appId: '3', appKey: '278d425bdf160c739803', appSecret: '7ad3773142a6692b25b8' }
const SIGNED_AT_MS = 1353088179 * 1000
const AUTH = 'auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0'
const HEADERS = { 'x-pusher-library': 'pusher-http-php 7.2.7', 'user-agent': 'GuzzleHttp/7' }

type Recorded = { readonly target: string; readonly body?: string }

const TRIGGER_ONE: Recorded = {
  target: `/apps/3/events?${AUTH}&body_md5=923d7eb1be0bef5c13816768fa5325a3&auth_signature=6887cd81d83d879af3f2a8b61ed83682a7f219b90328269378b2077918baae47`,
  body: String.raw`{"name":"App\\Events\\OrderShipped","data":"{\"order\":{\"id\":5,\"url\":\"https:\\\/\\\/shop.test\\\/\\u00e9\"}}","channel":"orders"}`,
}
const TRIGGER_SEVERAL: Recorded = {
  target: `/apps/3/events?${AUTH}&body_md5=9c160faa15dc492273c38ce1d731abd6&auth_signature=5e98a4662cbefd0534bb01272e08b5dd2e7c69da6f7f7fe36b7878590d88f45b`,
  body: String.raw`{"name":"order.paid","data":"{\"id\":5}","channels":["private-orders.1","orders","presence-room.1"],"info":"user_count,subscription_count","socket_id":"1234.5678"}`,
}
const TRIGGER_BATCH: Recorded = {
  target: `/apps/3/batch_events?${AUTH}&body_md5=df3fd9fd50705727b9fb6821217ac2d5&auth_signature=8cb51a5f7f8f98f943082f1532ba5ba2f4dda3cc32f38f796f23f2cfeb50e07e`,
  body: String.raw`{"batch":[{"channel":"orders","name":"E","data":"{\"id\":1}"},{"channel":"private-orders.1","name":"E","data":"{\"id\":2}","info":"subscription_count"}]}`,
}
const TERMINATE: Recorded = {
  target: `/apps/3/users/7/terminate_connections?${AUTH}&body_md5=99914b932bd37a50b983c5e7c90ae93b&auth_signature=39e910ac7ace5fe3bb9d1893af3d1bf93fb02782c6910e5f944dda2cc3c84b90`,
  body: '{}',
}
const GET_CHANNELS: Recorded = {
  target: `/apps/3/channels?${AUTH}&filter_by_prefix=presence-&info=user_count&auth_signature=16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291`,
}
const GET_CHANNELS_BY_LIST: Recorded = {
  target: `/apps/3/channels?${AUTH}&filter_by_prefix=presence-&info%5B0%5D=user_count&info%5B1%5D=subscription_count&auth_signature=ff97d40ab3fbbd15394386a29c12998c33635305357b2e2abd18dc67efe3f87d`,
}
const GET_CHANNEL_INFO: Recorded = {
  target: `/apps/3/channels/presence-room.1?${AUTH}&info=user_count&auth_signature=a8e1c894759382920980f693605fff678a0ff3b2fcc2e779c0fdc0c266a94b0a`,
}
const GET_USERS: Recorded = {
  target: `/apps/3/channels/presence-room.1/users?${AUTH}&auth_signature=dc6e1bc5140f1b11336613094feee8b658beb99565150374465dd8244e49b7b9`,
}

let gateway: RunningGateway
let page: TalkingPage

beforeEach(async () => {
  gateway = await startGateway(APP)
  gateway.authorizer.decides(grantByToken)
  page = await joinPage(gateway, 'orders,private-orders.1,presence-room.1', { user: '7' })
  await expect.poll(() => gateway.gateway.services.occupancy.count('presence-room.1')).toBe(1)
  vi.useFakeTimers({ toFake: ['Date'], now: SIGNED_AT_MS + 5000 })
  onTestFinished(() => void vi.useRealTimers())
})

/** The status, and the answer as the library reads it. */
async function replay({ target, body }: Recorded): Promise<unknown> {
  const sent = body === undefined ? {} : { method: 'POST', body }
  const headers = { ...HEADERS, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  const { status, text } = await ask(gateway.url + target, { ...sent, headers })
  return { status, answer: JSON.parse(text) }
}

const heard = async (count: number) => (await page.stream.take(count, 'message')).map(({ text }) => text)

describe('pusher-php-server 7', () => {
  it('triggers on one channel', async () => {
    expect(await replay(TRIGGER_ONE)).toEqual({ status: 200, answer: {} })
    expect(await heard(1)).toEqual([
      String.raw`{"channel":"orders","event":"App\\Events\\OrderShipped","data":{"order":{"id":5,"url":"https:\/\/shop.test\/\u00e9"}}}`,
    ])
  })

  it('triggers on several channels to others, and is told of them', async () => {
    expect(await replay(TRIGGER_SEVERAL)).toEqual({
      status: 200,
      answer: {
        channels: {
          'private-orders.1': { subscription_count: 1 },
          orders: { subscription_count: 1 },
          'presence-room.1': { user_count: 1, subscription_count: 1 },
        },
      },
    })
    const channels = (await heard(3)).map((text) => JSON.parse(text).channel)
    expect(channels).toEqual(['private-orders.1', 'orders', 'presence-room.1'])
  })

  it('triggers a batch', async () => {
    expect(await replay(TRIGGER_BATCH)).toEqual({ status: 200, answer: { batch: [{}, { subscription_count: 1 }] } })
    expect(await heard(2)).toEqual([
      '{"channel":"orders","event":"E","data":{"id":1}}',
      '{"channel":"private-orders.1","event":"E","data":{"id":2}}',
    ])
  })

  it.each<[string, Recorded, unknown]>([
    ['getChannels', GET_CHANNELS, { channels: { 'presence-room.1': { user_count: 1 } } }],
    [
      'getChannels with a list',
      GET_CHANNELS_BY_LIST,
      { channels: { 'presence-room.1': { user_count: 1, subscription_count: 1 } } },
    ],
    ['getChannelInfo', GET_CHANNEL_INFO, { occupied: true, user_count: 1 }],
    ['getPresenceUsers', GET_USERS, { users: [{ id: '7' }] }],
  ])('asks: %s', async (_, recorded, answer) => {
    expect(await replay(recorded)).toEqual({ status: 200, answer })
  })

  it('terminates the connections of a user', async () => {
    expect(await replay(TERMINATE)).toEqual({ status: 200, answer: {} })
    expect((await page.stream.next('bye')).data.reason).toBe('terminated')
  })

  it('is refused what was recorded too long ago, or is changed', async () => {
    const { body = '' } = TRIGGER_ONE
    expect(await replay({ ...TRIGGER_ONE, body: body.replace('5', '6') })).toMatchObject({ status: 401 })
    vi.setSystemTime(SIGNED_AT_MS + 601_000)
    for (const recorded of [TRIGGER_ONE, GET_USERS]) expect(await replay(recorded)).toMatchObject({ status: 401 })
  })
})
