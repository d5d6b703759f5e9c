import { describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { signRequest } from '../../../src/http/pusher-api/signature.ts'
import { ask } from '../../support/ask.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { askApi, LOCAL_APP, type PublishChange } from '../../support/publisher.ts'
import { grantByToken, joinPage, openPage } from '../../support/talking-page.ts'

const ROOM = 'presence-room.1'

/** A gateway with three pages on it. */
async function crowded(): Promise<RunningGateway> {
  const gateway = await startGateway()
  gateway.authorizer.decides(grantByToken)
  await joinPage(gateway, `orders,${ROOM}`)
  await joinPage(gateway, `orders,${ROOM},private-orders.1`)
  await joinPage(gateway, `${ROOM},presence-hall`, { user: 'grace' })
  await expect.poll(() => gateway.gateway.services.occupancy.count(ROOM)).toBe(3)
  return gateway
}

async function told({ url }: RunningGateway, path: string, parameters: Record<string, string> = {}): Promise<unknown> {
  const { status, text, headers } = await askApi(url, path, { parameters })
  expect(headers['content-type']).toBe('application/json; charset=utf-8')
  return { status, ...JSON.parse(text) }
}

describe('the list of channels', () => {
  it('names those that somebody listens to', async () => {
    const channels = { orders: {}, [ROOM]: {}, 'private-orders.1': {}, 'presence-hall': {} }
    expect(await told(await crowded(), '/channels')).toEqual({ status: 200, channels })
  })

  it('is an object also when it is empty', async () => {
    const { url } = await startGateway()
    expect(await askApi(url, '/channels')).toMatchObject({ status: 200, text: '{"channels":{}}' })
  })

  it.each<[Record<string, string>, object]>([
    [{ filter_by_prefix: 'presence-r' }, { [ROOM]: {} }],
    [{ filter_by_prefix: 'nothing' }, {}],
    [
      { filter_by_prefix: 'presence-', info: 'user_count' },
      { [ROOM]: { user_count: 2 }, 'presence-hall': { user_count: 1 } },
    ],
    [
      { info: 'subscription_count', filter_by_prefix: 'p' },
      {
        [ROOM]: { subscription_count: 3 },
        'private-orders.1': { subscription_count: 1 },
        'presence-hall': { subscription_count: 1 },
      },
    ],
    [
      { info: 'subscription_count,user_count', filter_by_prefix: 'presence-room' },
      { [ROOM]: { user_count: 2, subscription_count: 3 } },
    ],
  ])('is as long and says as much as %j asks for', async (parameters, channels) => {
    expect(await told(await crowded(), '/channels', parameters)).toEqual({ status: 200, channels })
  })

  it.each<Record<string, string>>([
    { info: 'user_count' },
    { info: 'user_count', filter_by_prefix: '' },
    { info: 'user_count', filter_by_prefix: 'presence' },
    { info: 'user_count', filter_by_prefix: 'private-' },
    { info: 'cache' },
    { info: 'user_count,', filter_by_prefix: 'presence-' },
    { info: 'USER_COUNT', filter_by_prefix: 'presence-' },
  ])('is a 400 where there is no such thing: %j', async (parameters) => {
    const { url } = await startGateway()
    const answer = await askApi(url, '/channels', { parameters })
    expect(answer).toMatchObject({ status: 400, code: 'invalid_parameter', message: expect.stringMatching(/\.$/) })
  })

  it('takes lists as PHP writes them', async () => {
    const parameters = { 'info[0]': 'user_count', 'info[1]': 'subscription_count', filter_by_prefix: ROOM }
    expect(await told(await crowded(), '/channels', parameters)).toMatchObject({
      channels: { [ROOM]: { user_count: 2, subscription_count: 3 } },
    })
  })

  it('loses a channel some time after its last page', async () => {
    const gateway = await startGateway({ lingerMs: 0 })
    const page = await openPage(gateway, 'orders')
    await expect.poll(() => told(gateway, '/channels')).toEqual({ status: 200, channels: { orders: {} } })
    page.stream.close()
    await expect.poll(() => told(gateway, '/channels')).toEqual({ status: 200, channels: {} })
  })

  it('counts the users of more channels than are asked about at once', async () => {
    const gateway = await startGateway()
    const names = Array.from({ length: 250 }, (_, index) => `presence-${index}`)
    vi.spyOn(gateway.gateway.services.occupancy, 'channels').mockResolvedValue(new Map(names.map((name) => [name, 1])))
    const parameters = { info: 'user_count', filter_by_prefix: 'presence-' }
    const channels = Object.fromEntries(names.map((name) => [name, { user_count: 0 }]))
    expect(await told(gateway, '/channels', parameters)).toEqual({ status: 200, channels })
  })
})

describe('one channel', () => {
  it('says whether somebody is there, and what else is asked for', async () => {
    const gateway = await crowded()
    expect(await told(gateway, '/channels/orders')).toEqual({ status: 200, occupied: true })
    expect(await told(gateway, '/channels/nobody')).toEqual({ status: 200, occupied: false })
    expect(await told(gateway, '/channels/orders', { info: 'subscription_count' })).toEqual({
      status: 200,
      occupied: true,
      subscription_count: 2,
    })
    expect(await told(gateway, `/channels/${ROOM}`, { info: 'user_count,subscription_count' })).toEqual({
      status: 200,
      occupied: true,
      user_count: 2,
      subscription_count: 3,
    })
  })

  it('is found by the name that was encoded into the address, as long as names may be', async () => {
    const gateway = await startGateway()
    const names = ['a,b;c', 'ä@=%41', 'constructor', `long.${'ü'.repeat(97)}`]
    for (const name of names) {
      await openPage(gateway, '', { query: { channel: name } })
      const path = `/channels/${encodeURIComponent(name)}`
      await expect.poll(() => told(gateway, path)).toEqual({ status: 200, occupied: true })
    }
  })

  it('that is a cache channel shows its last event, and for how long', async () => {
    const gateway = await startGateway()
    await gateway.publish('cache-prices', 'Priced', { usd: 9007199254 })
    await expect
      .poll(() => told(gateway, '/channels/cache-prices', { info: 'cache,subscription_count' }))
      .toEqual({
        status: 200,
        occupied: false,
        subscription_count: 0,
        cache: { data: '{"usd":9007199254}', ttl: expect.any(Number) },
      })
    expect(await told(gateway, '/channels/cache-empty', { info: 'cache' })).toEqual({
      status: 200,
      occupied: false,
      cache: null,
    })
  })

  it.each<[string, string, string]>([
    ['/channels/orders', 'user_count', 'invalid_parameter'],
    ['/channels/private-a', 'user_count', 'invalid_parameter'],
    ['/channels/orders', 'cache', 'invalid_parameter'],
    ['/channels/presence-a', 'cache', 'invalid_parameter'],
    ['/channels/presence-a', 'users', 'invalid_parameter'],
    ['/channels/a%20b', '', 'invalid_channel'],
    ['/channels/sse:clock', '', 'invalid_channel'],
    ['/channels/%23private', '', 'invalid_channel'],
    ['/channels/a%2Fb', '', 'invalid_channel'],
    [`/channels/${'x'.repeat(201)}`, '', 'invalid_channel'],
  ])('is a 400 where there is no such thing: %s, %j', async (path, info, code) => {
    const { url } = await startGateway()
    const answer = await askApi(url, path, { parameters: info === '' ? {} : { info } })
    expect(answer).toMatchObject({ status: 400, code, message: expect.stringMatching(/\.$/) })
  })
})

describe('the users of a channel', () => {
  it('are listed once each', async () => {
    const { users } = (await told(await crowded(), `/channels/${ROOM}/users`)) as { users: { id: string }[] }
    expect(users.toSorted((one, other) => (one.id < other.id ? -1 : 1))).toEqual([{ id: 'ada' }, { id: 'grace' }])
  })

  it('are nobody on a channel where nobody is', async () => {
    const { url } = await startGateway()
    expect(await askApi(url, '/channels/presence-a/users')).toMatchObject({ status: 200, text: '{"users":[]}' })
  })

  it.each(['orders', 'private-a', 'Presence-a'])('are a 400 on %s', async (channel) => {
    const { url } = await startGateway()
    expect((await askApi(url, `/channels/${channel}/users`)).status).toBe(400)
  })
})

describe.each(['/channels', '/channels/orders', `/channels/${ROOM}/users`])('GET %s', (path) => {
  it.each<[string, PublishChange, number, string]>([
    ['no signature', { query: (query) => query.delete('auth_signature') }, 401, 'unauthorized'],
    ['nothing at all', { query: (query) => [...query.keys()].map((name) => query.delete(name)) }, 401, 'unauthorized'],
    ['a parameter that was added', { query: (query) => query.set('info', 'user_count') }, 401, 'unauthorized'],
    ['a parameter given twice', { query: (query) => query.append('auth_version', '1.0') }, 401, 'unauthorized'],
    ['the secret of another', { app: { ...LOCAL_APP, secret: 'x' } }, 401, 'unauthorized'],
    ['the id of another', { app: { ...LOCAL_APP, id: 'x' } }, 401, 'unauthorized'],
    ['an old signature', { now: Date.now() - 660_000 }, 401, 'unauthorized'],
    ['the origin of a page', { headers: { origin: 'http://127.0.0.1' } }, 403, 'origin_denied'],
    ['a proxy, and the default credentials', { headers: { via: '1.1 cache' } }, 403, 'local_only'],
  ])('with %s is refused', async (_, change, status, code) => {
    const { url } = await startGateway()
    expect(await askApi(url, path, change)).toMatchObject({ status, code })
  })

  it('is no POST, and a signature of one is none of the other', async () => {
    const { url } = await startGateway()
    expect((await askApi(url, path, { method: 'POST', body: '{}' })).status).toBe(405)
    const signed = { method: 'POST', path: `/apps/local${path}`, body: '', app: LOCAL_APP, now: Date.now() }
    const query = signRequest(signed)
    expect((await ask(`${url}/apps/local${path}?${query}`)).status).toBe(401)
  })

  it('is a 503 while the broker cannot be asked', async () => {
    const { url, gateway } = await startGateway()
    const away = new GatewayError('broker_unavailable')
    vi.spyOn(gateway.services.occupancy, 'count').mockRejectedValue(away)
    vi.spyOn(gateway.services.occupancy, 'channels').mockRejectedValue(away)
    vi.spyOn(gateway.services.presence, 'members').mockRejectedValue(away)
    const answer = await askApi(url, path)
    expect(answer).toMatchObject({ status: 503, code: 'broker_unavailable' })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})
