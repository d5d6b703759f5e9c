import { createHash } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryBroker } from '../../src/broker/memory.ts'
import type { Config } from '../../src/config/config.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream } from '../support/sse-client.ts'

type Answer = { status: number; headers: IncomingHttpHeaders; body: string }

const AS_BROWSER = { accept: 'text/html,*/*;q=0.8' }
const JSON_TYPE = { 'content-type': 'application/json' }
const MESSAGE = JSON.stringify({ channel: 'orders', event: 'OrderShipped', data: '{"id":1}' })

let broker: MemoryBroker
let running: RunningGateway

async function start(overrides: Partial<Config> = {}, kind: 'memory' | 'redis' = 'memory'): Promise<void> {
  broker = Object.assign(new MemoryBroker(), { kind })
  vi.spyOn(broker, 'publish')
  running = await startGateway(overrides, { broker })
}

beforeEach(() => start())
afterEach(() => running.stop())

/** Raw, because fetch does not let a test forge Host, Origin and Sec-Fetch-Site. */
function ask(method: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: running.port, method, path: '/', headers: { ...AS_BROWSER, ...headers } }
    const asked = request(options, async (response) =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }),
    )
    asked.once('error', reject).end(body)
  })
}

const post = (headers: Record<string, string>, body = MESSAGE) => ask('POST', { ...JSON_TYPE, ...headers }, body)

const errorOf = ({ body }: Answer): { code: string; message: string } => JSON.parse(body).error

describe('the page', () => {
  it('comes whole, with a policy that allows its own style and script and nothing else', async () => {
    const { status, headers, body } = await ask('GET')
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['cache-control']).toContain('no-store')
    const policy = headers['content-security-policy']
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    for (const tag of ['style', 'script']) {
      const inline = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(body)?.[1] ?? ''
      const hash = createHash('sha256').update(inline).digest('base64')
      expect(policy).toContain(`${tag}-src 'sha256-${hash}'`)
    }
    expect(body).not.toMatch(/(src|href)="(?!data:)/)
  })

  it('has a form and the publish line for a visitor of this machine', async () => {
    const { body } = await ask('GET')
    expect(body).toContain('<form id="publish">')
    expect(body).toContain('data-flags="--http URL"')
  })

  it.each([
    ['came through a proxy', { 'x-forwarded-for': '192.0.2.1' }],
    ['named another host', { host: 'gateway.example' }],
  ])('says why there is no form when the visitor %s', async (_case, headers) => {
    const { status, body } = await ask('GET', headers)
    expect(status).toBe(200)
    expect(body).not.toContain('<form id="publish">')
    expect(body).toContain('publishes only on the machine the gateway runs on')
  })

  it('is not there when it is switched off', async () => {
    await running.stop()
    await start({ tryPage: false })
    expect((await ask('GET')).body).toBe('OK')
    expect((await post({})).status).toBe(405)
  })
})

describe('the form', () => {
  it.each([
    ['a page of this origin', { 'sec-fetch-site': 'same-origin' }],
    ['a browser that names only the origin', {}],
    ['a program', {}],
  ])('publishes for %s', async (who, headers) => {
    const origin = who === 'a program' ? {} : { origin: `http://127.0.0.1:${running.port}` }
    expect(await post({ ...headers, ...origin })).toMatchObject({ status: 200, body: '{}' })
    expect(broker.publish).toHaveBeenCalledExactlyOnceWith(
      ['orders'],
      '{"event":"OrderShipped","data":{"id":1},"socket":null}',
    )
  })

  it.each([
    ['as text', '"{\\"id\\":9007199254740993}"'],
    ['as a value', '{"id":9007199254740993}'],
  ])('passes data given %s on digit for digit', async (_case, data) => {
    await post({}, `{"channel":"orders","event":"OrderShipped","data":${data}}`)
    expect(broker.publish).toHaveBeenCalledExactlyOnceWith(
      ['orders'],
      '{"event":"OrderShipped","data":{"id":9007199254740993},"socket":null}',
    )
  })

  it('reaches the streams that listen', async () => {
    const stream = await openStream(`${running.url}/stream?channels=orders`)
    await post({})
    const { text } = await stream.next('message')
    expect(text).toBe('{"channel":"orders","event":"OrderShipped","data":{"id":1}}')
  })
})

describe('nothing is published', () => {
  afterEach(() => expect(broker.publish).not.toHaveBeenCalled())

  it.each([
    ['a foreign page', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a page on another port', { origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-site' }],
    ['a foreign page in an old browser', { origin: 'https://evil.example' }],
    ['a page without an origin', { origin: 'null' }],
    ['a foreign page that hides its origin', { 'sec-fetch-site': 'cross-site' }],
    ['a page the gateway otherwise serves', { origin: 'http://localhost:8000', 'sec-fetch-site': 'cross-site' }],
  ])('for %s', async (_case, headers) => {
    const answer = await post(headers)
    expect(answer.status).toBe(403)
    expect(errorOf(answer)).toMatchObject({ code: 'origin_denied' })
  })

  it('for a page whose own name was rebound to this machine', async () => {
    const rebound = { host: `evil.example:${running.port}`, origin: `http://evil.example:${running.port}` }
    const answer = await post({ ...rebound, 'sec-fetch-site': 'same-origin' })
    expect(answer.status).toBe(403)
    expect(errorOf(answer).code).toBe('local_only')
  })

  it.each(['x-forwarded-for', 'x-forwarded-host', 'forwarded', 'via'])('for a caller with %s', async (header) => {
    const answer = await post({ [header]: '127.0.0.1' })
    expect(answer.status).toBe(403)
    expect(errorOf(answer).code).toBe('local_only')
  })

  it('while the gateway listens on an address others reach', async () => {
    running.gateway.services.config.host = '0.0.0.0'
    expect(errorOf(await post({})).code).toBe('local_only')
  })

  it('with Redis, and the page says what to do instead', async () => {
    await running.stop()
    await start({ tryPage: true, redisPrefix: 'shop_' }, 'redis')
    expect(errorOf(await post({})).code).toBe('local_only')
    const { body } = await ask('GET')
    expect(body).not.toContain('<form id="publish">')
    expect(body).toContain('publish from Laravel or with the publish command')
    expect(body).toContain('data-flags="--redis REDIS_URL --redis-prefix PREFIX"')
  })

  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/plain; application/json',
    'text/plain, application/json',
    'application/json, text/plain',
    '',
  ])('for the content type "%s"', async (type) => {
    const headers: Record<string, string> = type === '' ? {} : { 'content-type': type }
    const { status } = await ask('POST', headers, MESSAGE)
    expect([400, 415]).toContain(status)
  })

  it.each([
    ['no JSON', '{"channel":"orders"', 'The body must be a JSON object with channel, event and data.'],
    ['no object', '["orders"]', 'The body must be a JSON object with channel, event and data.'],
    ['no channel', '{"event":"a","data":"{}"}', 'Name the channel.'],
    [
      'an impossible channel',
      '{"channel":"a b","event":"a","data":"{}"}',
      'A channel name has no spaces and no control characters.',
    ],
    ['no event', '{"channel":"a","event":"","data":"{}"}', 'Name the event, in at most 200 characters.'],
    ['no data', '{"channel":"a","event":"b"}', 'Give the data as JSON; {} is an event without any.'],
    [
      'data that is no JSON',
      '{"channel":"a","event":"b","data":"{oops"}',
      'The data must be JSON: {"id":1}, or a text in double quotes.',
    ],
    [
      'an empty field',
      '{"channel":"a","event":"b","data":""}',
      'The data must be JSON: {"id":1}, or a text in double quotes.',
    ],
  ])('for a body with %s', async (_case, body, message) => {
    const answer = await post({}, body)
    expect(answer.status).toBe(400)
    expect(errorOf(answer).message).toBe(message)
  })

  it('for a body that is too large', async () => {
    const answer = await post({}, JSON.stringify({ channel: 'a', event: 'b', data: `"${'x'.repeat(70_000)}"` }))
    expect(answer.status).toBe(413)
  })

  it('by another method', async () => {
    expect(await ask('PUT', JSON_TYPE, MESSAGE)).toMatchObject({ status: 405, headers: { allow: 'GET, POST' } })
  })
})
