import { describe, expect, it } from 'vitest'
import { signRequest } from '../../../src/http/pusher-api/signature.ts'
import { type Answer, ask } from '../../support/ask.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { openStream, type SseClient } from '../../support/sse-client.ts'

const CLIENT = { appId: 'c2b546dd6f724aa3', key: '799dbc41a43d0296ed261911f3627669', mayPublish: true }
const OWN = { appId: 'app-1', appKey: 'public-key', appSecret: 'a-real-secret' }

const start = () => startGateway({ ...OWN, echoServerClients: [CLIENT] })

function get({ url }: RunningGateway, path: string, more = ''): Promise<Answer> {
  return ask(`${url}/apps/${CLIENT.appId}${path}?auth_key=${CLIENT.key}${more}`)
}

async function listen({ url, authorizer }: RunningGateway, channels: string, user = ''): Promise<SseClient> {
  if (user !== '') authorizer.decides(() => ({ allowed: true, member: { id: user, info: { name: `U${user}` } } }))
  const page = await openStream(`${url}/stream?channels=${channels}`, { headers: { cookie: `user=${user}` } })
  for (const _ of channels.split(',')) await page.next('subscribed')
  return page
}

describe('GET /apps/{id}/channels', () => {
  it('counts the connections of every channel that has some', async () => {
    const gateway = await start()
    await listen(gateway, 'orders,prices')
    await listen(gateway, 'orders')
    const { status, text, headers } = await get(gateway, '/channels')
    expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    expect(JSON.parse(text)).toEqual({
      channels: {
        orders: { subscription_count: 2, occupied: true },
        prices: { subscription_count: 1, occupied: true },
      },
    })
  })

  it('leaves out what does not begin as asked', async () => {
    const gateway = await start()
    await listen(gateway, 'orders,prices')
    const { text } = await get(gateway, '/channels', '&filter_by_prefix=pri')
    expect(text).toBe('{"channels":{"prices":{"subscription_count":1,"occupied":true}}}')
  })

  it('is empty where nobody listens', async () => {
    expect((await get(await start(), '/channels')).text).toBe('{"channels":{}}')
  })
})

describe('GET /apps/{id}/channels/{channel}', () => {
  it('tells of one channel', async () => {
    const gateway = await start()
    await listen(gateway, 'orders')
    expect((await get(gateway, '/channels/orders')).text).toBe('{"subscription_count":1,"occupied":true}')
  })

  it('counts the users of a presence channel once', async () => {
    const gateway = await start()
    await listen(gateway, 'presence-room.1', '5')
    await listen(gateway, 'presence-room.1', '5')
    await listen(gateway, 'presence-room.1', '6')
    const { text } = await get(gateway, '/channels/presence-room.1')
    expect(text).toBe('{"subscription_count":3,"occupied":true,"user_count":2}')
  })

  it.each<[string, string]>([
    ['nobody', '{"subscription_count":0,"occupied":false}'],
    ['presence-nobody', '{"subscription_count":0,"occupied":false,"user_count":0}'],
    ['sse:clock', '{"subscription_count":0,"occupied":false}'],
    ['presence-', '{"subscription_count":0,"occupied":false,"user_count":0}'],
    ['__proto__', '{"subscription_count":0,"occupied":false}'],
    ['x'.repeat(500), '{"subscription_count":0,"occupied":false}'],
  ])('knows of nobody on %s', async (name, told) => {
    const { status, text } = await get(await start(), `/channels/${encodeURIComponent(name)}`)
    expect([status, text]).toEqual([200, told])
  })
})

describe('GET /apps/{id}/channels/{channel}/users', () => {
  it('names each user once, with what Laravel says of him', async () => {
    const gateway = await start()
    await listen(gateway, 'presence-room.1', '5')
    await listen(gateway, 'presence-room.1', '5')
    const { text } = await get(gateway, '/channels/presence-room.1/users')
    expect(text).toBe('{"users":[{"id":"5","user_info":{"name":"U5"}}]}')
  })

  it('is empty where nobody is', async () => {
    expect((await get(await start(), '/channels/presence-nobody/users')).text).toBe('{"users":[]}')
  })

  it.each(['orders', 'private-orders.1', 'a-presence-room'])("is laravel-echo-server's 400 for %s", async (name) => {
    const { status, text } = await get(await start(), `/channels/${name}/users`)
    expect([status, text]).toEqual([400, '{"error":"User list is only possible for Presence Channels"}'])
  })
})

describe('GET /apps/{id}/status', () => {
  it('tells how many streams there are, for how long, and what of memory', async () => {
    const gateway = await start()
    await listen(gateway, 'orders,prices')
    const { status, text } = await get(gateway, '/status')
    expect(status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      subscription_count: 1,
      uptime: expect.any(Number),
      memory_usage: expect.objectContaining({ rss: expect.any(Number), heapUsed: expect.any(Number) }),
    })
  })

  it('is told to an application that signs as well', async () => {
    const { url } = await start()
    const path = '/apps/app-1/status'
    const app = { id: OWN.appId, key: OWN.appKey, secret: OWN.appSecret }
    const query = signRequest({ method: 'GET', path, body: '', app, now: Date.now() })
    expect(JSON.parse((await ask(`${url}${path}?${query}`)).text)).toMatchObject({ subscription_count: 0 })
    expect(await ask(`${url}${path}?auth_key=public-key`)).toMatchObject({ status: 401, code: 'unauthorized' })
  })
})

describe('whoever has no key', () => {
  it.each(['/status', '/channels', '/channels/orders', '/channels/orders/users'])(
    'is told nothing of %s',
    async (path) => {
      const { url } = await start()
      const client = await ask(`${url}/apps/${CLIENT.appId}${path}?auth_key=wrong`)
      expect([client.status, client.text]).toEqual([403, '{"error":"Unauthorized"}'])
      expect(await ask(`${url}/apps/app-1${path}?auth_key=${CLIENT.key}`)).toMatchObject({ status: 401 })
      const headers = { origin: 'https://evil.example' }
      const page = await ask(`${url}/apps/${CLIENT.appId}${path}?auth_key=${CLIENT.key}`, { headers })
      expect([page.status, page.headers['access-control-allow-origin']]).toEqual([403, undefined])
    },
  )

  it.each(['/batch_events', '/other'])('and clients have nothing at %s', async (path) => {
    const { url } = await start()
    const headers = { 'content-type': 'application/json' }
    const answer = await ask(`${url}/apps/${CLIENT.appId}${path}?auth_key=${CLIENT.key}`, {
      method: 'POST',
      headers,
      body: '{}',
    })
    expect([401, 404]).toContain(answer.status)
  })
})
