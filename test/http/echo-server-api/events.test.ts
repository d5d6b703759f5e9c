import { describe, expect, it } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { type Answer, ask } from '../../support/ask.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { publishByHttp } from '../../support/publisher.ts'
import { openStream, type SseClient } from '../../support/sse-client.ts'
import { StuckBroker } from '../../support/stuck-broker.ts'

const CLIENT = { appId: 'c2b546dd6f724aa3', key: '799dbc41a43d0296ed261911f3627669', mayPublish: true }
const OWN = { appId: 'app-1', appKey: 'public-key', appSecret: 'a-real-secret' }
const EVENT = { channel: 'orders', name: 'App\\Events\\E', data: { id: 1 } }

const start = (overrides: Partial<Config> = {}) => startGateway({ ...OWN, echoServerClients: [CLIENT], ...overrides })

type Change = { id?: string; query?: string; headers?: Record<string, string>; body?: string }

function post({ url }: RunningGateway, event: unknown, change: Change = {}): Promise<Answer> {
  const { id = CLIENT.appId, query = `?auth_key=${CLIENT.key}`, headers = {} } = change
  return ask(`${url}/apps/${id}/events${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: change.body ?? JSON.stringify(event),
  })
}

async function listen({ url }: RunningGateway, channels = 'orders'): Promise<SseClient> {
  const page = await openStream(`${url}/stream?channels=${channels}`)
  for (const _ of channels.split(',')) await page.next('subscribed')
  return page
}

describe('an unsigned publish of a client', () => {
  it.each<[string, Change]>([
    ['in the query', {}],
    ['as a bearer', { query: '', headers: { authorization: `Bearer ${CLIENT.key}` } }],
    ['in the header without a word', { query: '', headers: { authorization: CLIENT.key } }],
    [
      'in the header, which counts before the query',
      { query: '?auth_key=wrong', headers: { authorization: CLIENT.key } },
    ],
  ])('reaches the page with its key %s', async (_, change) => {
    const gateway = await start()
    const page = await listen(gateway)
    const answer = await post(gateway, EVENT, change)
    expect(answer).toMatchObject({ status: 200, text: '{"message":"ok"}' })
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect((await page.next('message')).data).toEqual({ channel: 'orders', event: EVENT.name, data: { id: 1 } })
  })

  it('goes to every channel it names, and channels counts before channel', async () => {
    const gateway = await start()
    const page = await listen(gateway, 'a,b,c')
    await post(gateway, { name: 'E', data: '{}', channels: ['a', 'b'], channel: 'c' })
    await post(gateway, { name: 'Last', data: '{}', channel: 'c' })
    const told = await page.take(3, 'message')
    expect(told.map(({ data }) => [data.channel, data.event])).toEqual([
      ['a', 'E'],
      ['b', 'E'],
      ['c', 'Last'],
    ])
  })

  it.each<[string, string]>([
    ['{"id":9007199254740993,"f":1.50}', '{"id":9007199254740993,"f":1.50}'],
    ['"{\\"id\\":9007199254740993}"', '{"id":9007199254740993}'],
    ['"no JSON"', '"no JSON"'],
    ['[1, 2]', '[1, 2]'],
    ['7', '7'],
    ['true', 'true'],
  ])('carries the data %s digit for digit as %s', async (written, told) => {
    const gateway = await start()
    const page = await listen(gateway)
    await post(gateway, null, { body: `{"name":"E","channel":"orders","data":${written}}` })
    expect((await page.next('message')).text).toBe(`{"channel":"orders","event":"E","data":${told}}`)
  })

  it('leaves out the page it names, and nobody for an id of socket.io', async () => {
    const gateway = await start()
    const page = await openStream(`${gateway.url}/stream?channels=orders`)
    const { socketId } = (await page.next('connected')).data
    await page.next('subscribed')
    await post(gateway, { ...EVENT, name: 'Hidden', socket_id: socketId })
    await post(gateway, { ...EVENT, name: 'Told', socket_id: 'Rk2p_5F-AAAC' })
    await post(gateway, { ...EVENT, name: 'Told', socket_id: 7 })
    expect((await page.take(2, 'message')).map(({ data }) => data.event)).toEqual(['Told', 'Told'])
  })

  it('is counted', async () => {
    const gateway = await start()
    await post(gateway, EVENT)
    await post(gateway, {})
    await post(gateway, EVENT, { query: '' })
    const { values } = await gateway.gateway.services.metrics.published.get()
    expect(values.map(({ labels, value }) => [labels.outcome, value])).toEqual([
      ['ok', 1],
      ['invalid_body', 1],
      ['unauthorized', 1],
    ])
  })
})

const MISSING = { error: 'Event must include channel, event name and data' }

describe('a wrong publish of a client', () => {
  it.each<[string, unknown]>([
    ['no channel', { name: 'E', data: '1' }],
    ['no name', { channel: 'a', data: '1' }],
    ['no data', { channel: 'a', name: 'E' }],
    ['empty data', { channel: 'a', name: 'E', data: '' }],
    ['null data', { channel: 'a', name: 'E', data: null }],
    ['nothing', {}],
  ])("gets laravel-echo-server's 400: %s", async (_, event) => {
    const answer = await post(await start(), event)
    expect([answer.status, JSON.parse(answer.text)]).toEqual([400, MISSING])
  })

  it.each<[string, Change & { event?: unknown }, number, RegExp]>([
    ['what is no JSON', { body: '{"name":' }, 400, /must be JSON/],
    ['what is no object', { body: '[]' }, 400, /JSON object/],
    ['nothing at all', { body: '' }, 400, /./],
    [
      '101 channels',
      {
        event: {
          ...EVENT,
          channels: Array(101)
            .fill(0)
            .map((_, at) => `c${at}`),
        },
      },
      400,
      /100 channels/,
    ],
    ['channels as a text', { event: { ...EVENT, channels: 'orders' } }, 400, /channel/],
    ['an empty list of channels', { event: { ...EVENT, channels: [] } }, 400, /channel/],
    ['a channel that is no text', { event: { ...EVENT, channel: 7 } }, 400, /texts/],
    ['a name that nobody can have', { event: { ...EVENT, channel: 'sse:clock' } }, 400, /gateway's own/],
    ['one such name among others', { event: { ...EVENT, channels: ['orders', 'a b'] } }, 400, /no spaces/],
    ['a name of the event that is no text', { event: { ...EVENT, name: { a: 1 } } }, 400, /name/],
    ['10 KiB and a byte', { event: { ...EVENT, data: 'x'.repeat(10 * 1024 + 1) } }, 413, /at most 10240 bytes/],
    ['10 KiB and a byte as an object', { event: { ...EVENT, data: { x: 'x'.repeat(10 * 1024 - 7) } } }, 413, /bytes/],
    ['a body over 1 MiB', { body: `{"x":"${'x'.repeat(1024 * 1024)}"}` }, 413, /./],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, /JSON/],
    ['plain text, as curl and sendBeacon may', { headers: { 'content-type': 'text/plain' } }, 415, /JSON/],
  ])('is refused in one sentence, and nothing of it is published: %s', async (_, change, status, sentence) => {
    const gateway = await start()
    const page = await listen(gateway)
    const answer = await post(gateway, change.event ?? EVENT, change)
    expect(answer.status).toBe(status)
    expect(Object.keys(JSON.parse(answer.text))).toEqual(['error'])
    expect(JSON.parse(answer.text).error).toMatch(sentence)
    await post(gateway, { ...EVENT, name: 'Next' })
    expect((await page.next('message')).data.event).toBe('Next')
  })

  it('is a 503 with Retry-After where the broker does not answer', async () => {
    const broker = new StuckBroker()
    broker.release()
    const gateway = await startGateway({ ...OWN, echoServerClients: [CLIENT] }, { broker })
    broker.isRefusing = true
    const answer = await post(gateway, EVENT)
    expect([answer.status, JSON.parse(answer.text)]).toEqual([503, { error: expect.stringContaining('try again') }])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('whoever is no client', () => {
  const DENIED = [403, '{"error":"Unauthorized"}']

  it.each<[string, Change]>([
    ['no key', { query: '' }],
    ['an empty key', { query: '?auth_key=' }],
    ['a wrong key', { query: '?auth_key=wrong' }],
    ['a key given twice', { query: `?auth_key=${CLIENT.key}&auth_key=${CLIENT.key}` }],
    ['a wrong header before a right query', { headers: { authorization: 'Bearer wrong' } }],
    ['another application', { id: 'other' }],
    ['a name every object has', { id: '__proto__' }],
  ])('is refused as laravel-echo-server does: %s', async (_, change) => {
    const { status, text } = await post(await start(), EVENT, change)
    expect([status, text]).toEqual(DENIED)
  })

  it('is refused before its body is read', async () => {
    const { status, text } = await post(await start(), null, { query: '', body: '{' })
    expect([status, text]).toEqual(DENIED)
  })

  it.each(['origin', 'sec-fetch-site'])('is a page, whatever key it has: %s', async (header) => {
    const headers = { [header]: header === 'origin' ? 'https://app.example' : 'same-origin' }
    const answer = await post(await start({ allowOrigins: ['https://app.example'] }), EVENT, { headers })
    expect([answer.status, Object.keys(JSON.parse(answer.text))]).toEqual([403, ['error']])
  })
})

describe('an application that has a secret', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['its public key', '?auth_key=public-key'],
    ["a client's key", `?auth_key=${CLIENT.key}`],
  ])("refuses unsigned requests with Pusher's answer: %s", async (_, query) => {
    const answer = await post(await start(), EVENT, { id: 'app-1', query })
    expect(answer).toMatchObject({ status: 401, code: 'unauthorized' })
  })

  it('refuses them also from a client of the same id', async () => {
    const gateway = await start({ echoServerClients: [{ ...CLIENT, appId: 'app-1' }] })
    expect(await post(gateway, EVENT, { id: 'app-1' })).toMatchObject({ status: 401, code: 'unauthorized' })
    expect((await post(gateway, EVENT, { id: 'app%2D1' })).status).toBe(401)
  })

  it("gets Pusher's answers when it signs", async () => {
    const app = { id: OWN.appId, key: OWN.appKey, secret: OWN.appSecret }
    const gateway = await start()
    const answer = await publishByHttp(gateway.url, { ...EVENT, data: '1' }, { app })
    expect(answer).toMatchObject({ status: 200, text: '{}' })
  })

  it('has nothing unsigned where no configuration of laravel-echo-server names clients', async () => {
    const gateway = await start({ echoServerClients: [] })
    for (const id of ['app-1', CLIENT.appId]) {
      expect(await post(gateway, EVENT, { id })).toMatchObject({ status: 401, code: 'unauthorized' })
    }
  })

  it('is not asked for by a signature that somebody else has invented', async () => {
    const answer = await post(await start(), EVENT, { query: `?auth_key=${CLIENT.key}&auth_signature=x` })
    expect(answer).toMatchObject({ status: 401, code: 'unauthorized' })
    const loud = await post(await start(), EVENT, { query: `?auth_key=${CLIENT.key}&AUTH_SIGNATURE=x` })
    expect(loud.status).toBe(401)
  })
})

it('publishes nothing where the configuration has switched HTTP off, and still tells of channels', async () => {
  const gateway = await start({ echoServerClients: [{ ...CLIENT, mayPublish: false }] })
  const answer = await post(gateway, EVENT)
  expect([answer.status, JSON.parse(answer.text).error]).toEqual([404, expect.stringContaining('subscribers.http')])
  const asked = await ask(`${gateway.url}/apps/${CLIENT.appId}/channels?auth_key=${CLIENT.key}`)
  expect(asked.status).toBe(200)
})
