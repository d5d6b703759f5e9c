import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import Pusher from 'pusher'
import { describe, expect, it } from 'vitest'
import type { WebhookEvent } from '../../src/webhooks/event.ts'
import { WEBHOOK_NAMES } from '../../src/webhooks/event.ts'
import { Webhooks, type WebhooksOptions } from '../../src/webhooks/webhooks.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { makeCertificates } from '../support/certificates.ts'
import { FakeLaravel, type FakeRequest } from '../support/fake-laravel.ts'
import { folderWith } from '../support/folder.ts'
import { Log } from '../support/log.ts'
import { requirePart } from '../support/parts.ts'
import { TAKEN, WebhookReceiver } from '../support/webhook-receiver.ts'

const KEY = '278d425bdf160c739803'
const SECRET = '7ad3773142a6692b25b8'
const QUICK = { companyMs: 1, retryMs: 10, maxRetryMs: 10, giveUpMs: 60_000 }

/** One of each kind, members in the order of Pusher's documentation. */
const EVENTS: WebhookEvent[] = [
  { name: 'channel_occupied', channel: 'orders' },
  { name: 'channel_vacated', channel: 'orders' },
  { name: 'member_added', channel: 'presence-room.1', user_id: '7' },
  { name: 'member_removed', channel: 'presence-room.1', user_id: 'Zoë \ud800 😀' },
  {
    name: 'client_event',
    channel: 'presence-room.1',
    event: 'client-typing',
    data: '{"at":"é\\n"}',
    socket_id: '1234.5678',
    user_id: '7',
  },
  { name: 'cache_miss', channel: 'cache-prices' },
  { name: 'subscription_count', channel: 'orders', subscription_count: 3 },
]

function webhooksTo(urls: string[], options: Partial<WebhooksOptions> = {}): { webhooks: Webhooks; log: Log } {
  const log = new Log()
  const webhooks = new Webhooks({
    ...{ urls, names: WEBHOOK_NAMES, key: KEY, secret: SECRET, logger: log.logger, timing: QUICK },
    ...options,
  })
  atEndOfTest(() => webhooks.stop())
  return { webhooks, log }
}

/** What a Node application does with a webhook. */
function readByPusher({ headers, body }: Pick<FakeRequest, 'headers' | 'body'>) {
  const pusher = new Pusher({ appId: '3', key: KEY, secret: SECRET, host: '127.0.0.1' })
  return pusher.webhook({ headers, rawBody: body } as unknown as Parameters<Pusher['webhook']>[0])
}

describe('a webhook', () => {
  it('is taken by Pusher’s own library, with every kind of event', async () => {
    const receiver = await WebhookReceiver.start()
    const { webhooks } = webhooksTo([receiver.url])
    const before = Date.now()
    for (const event of EVENTS) webhooks.tell(event)
    await receiver.until((events) => events.length === EVENTS.length)
    const [request] = receiver.server.requests as [FakeRequest]
    const webhook = readByPusher(request)
    expect(webhook.isValid()).toBe(true)
    expect(webhook.getEvents()).toEqual(EVENTS)
    const toldAt = webhook.getTime().getTime()
    expect(toldAt).toBeGreaterThanOrEqual(before)
    expect(toldAt).toBeLessThanOrEqual(Date.now())
  })

  it('is refused by Pusher’s own library when anything of it is another', async () => {
    const receiver = await WebhookReceiver.start()
    const { webhooks } = webhooksTo([receiver.url])
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await receiver.until((events) => events.length === 1)
    const [{ headers, body }] = receiver.server.requests as [FakeRequest]
    expect(readByPusher({ headers, body: body.replace('orders', 'others') }).isValid()).toBe(false)
    expect(readByPusher({ headers: { ...headers, 'x-pusher-key': 'other' }, body }).isValid()).toBe(false)
    expect(readByPusher({ headers: { ...headers, 'x-pusher-signature': '00' }, body }).isValid()).toBe(false)
    expect(readByPusher({ headers, body }).isValid()).toBe(true)
  })

  it('has exactly these headers, spelled like this', async () => {
    const receiver = await WebhookReceiver.start()
    const { webhooks } = webhooksTo([`${receiver.url}?app=1`])
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await receiver.until((events) => events.length === 1)
    const [{ method, url, rawHeaders, body }] = receiver.server.requests as [FakeRequest]
    expect(`${method} ${url}`).toBe('POST /webhooks?app=1')
    expect(body).toMatch(/^\{"time_ms":\d{13},"events":\[\{"name":"channel_occupied","channel":"orders"\}\]\}$/)
    const pairs = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]]] : []))
    expect(Object.fromEntries(pairs)).toEqual({
      host: receiver.server.host,
      connection: 'keep-alive',
      'Content-Type': 'application/json',
      'User-Agent': 'laravel-echo-sse-server',
      'X-Pusher-Key': KEY,
      'X-Pusher-Signature': createHmac('sha256', SECRET).update(body).digest('hex'),
      'content-length': String(Buffer.byteLength(body)),
    })
  })

  it('carries the login that the address names, and the log does not', async () => {
    const receiver = await WebhookReceiver.start({ status: 500 })
    const url = receiver.url.replace('://', '://app:p%40ss@')
    const { webhooks, log } = webhooksTo([`${url}?token=t0ken`])
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await receiver.until((events) => events.length === 1)
    const login = Buffer.from('app:p@ss').toString('base64')
    expect(receiver.server.requests[0]?.headers.authorization).toBe(`Basic ${login}`)
    expect(await log.until(/do not arrive/)).toMatchObject({ address: receiver.url })
    expect(JSON.stringify(log.lines)).not.toMatch(/p%40ss|p@ss|t0ken/)
  })

  it('goes to every address, and one that is down keeps no other one waiting', async () => {
    const [one, other] = [await WebhookReceiver.start({ stall: 'before-head' }), await WebhookReceiver.start()]
    const { webhooks } = webhooksTo([one.url, other.url, other.url], { stopMs: 1 })
    webhooks.tell({ name: 'channel_occupied', channel: 'a' })
    await Promise.all([one, other].map((receiver) => receiver.until((events) => events.length === 1)))
    webhooks.tell({ name: 'channel_vacated', channel: 'a' })
    await other.until((events) => events.length === 2)
    expect(one.events()).toHaveLength(1)
    expect(other.events().map(({ name }) => name)).toEqual(['channel_occupied', 'channel_vacated'])
  })
})

describe('what is wanted', () => {
  it('is what was asked for, and nothing where nobody is to be told', async () => {
    const receiver = await WebhookReceiver.start()
    const { webhooks } = webhooksTo([receiver.url], { names: ['member_added', 'cache_miss'] })
    expect(WEBHOOK_NAMES.filter((name) => webhooks.wants(name))).toEqual(['member_added', 'cache_miss'])
    for (const event of EVENTS) webhooks.tell(event)
    await webhooks.stop()
    expect(receiver.events().map(({ name }) => name)).toEqual(['member_added', 'cache_miss'])
    expect(WEBHOOK_NAMES.filter((name) => webhooksTo([]).webhooks.wants(name))).toEqual([])
  })
})

describe('a webhook that does not arrive', () => {
  it.each([
    ['a refusal', { status: 403 }, 'it answered 403'],
    ['an error', { status: 500 }, 'it answered 500'],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, 'it answered 302'],
    ['a broken connection', { reset: 'before-head' }, 'ECONNRESET|UND_ERR_SOCKET'],
    ['silence', { stall: 'before-head' }, 'no answer within 200 ms'],
  ] as const)('because of %s is sent again, byte by byte', async (_name, answer, why) => {
    const receiver = await WebhookReceiver.start((_request) =>
      receiver.server.requests.length < 3 ? (answer as object) : TAKEN,
    )
    const outcomes: string[] = []
    const { webhooks, log } = webhooksTo([receiver.url], {
      timeoutMs: 200,
      onOutcome: (outcome, events) => outcomes.push(`${outcome} ${events}`),
    })
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await log.until(/arrive again/)
    const told = receiver.server.requests.map(({ url, body, headers }) => [url, body, headers['x-pusher-signature']])
    expect(told).toHaveLength(3)
    expect(new Set(told.map(String)).size).toBe(1)
    expect(told[0]?.[0]).toBe('/webhooks')
    expect(log.at('warn')).toEqual([expect.stringMatching(`^webhooks do not arrive: (${why}); trying again$`)])
    expect(outcomes).toEqual(['delivered 1'])
  })

  it('is sent again where nobody listens', async () => {
    const gone = await FakeLaravel.start()
    const { url } = gone
    await gone.close()
    const { webhooks, log } = webhooksTo([url])
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await log.until(/do not arrive: ECONNREFUSED/)
    await webhooks.stop()
    expect(log.at('warn').at(-1)).toBe('the gateway stops, and these webhooks have not arrived')
  })

  it.runIf(requirePart('openssl'))('is any that goes to a server whose certificate nobody vouches for', async () => {
    const { keyFile, certFile } = await makeCertificates(folderWith({}))
    const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)]
    const server = await FakeLaravel.start(TAKEN, (listener) => createHttpsServer({ key, cert }, listener), 'https')
    atEndOfTest(() => server.close())
    const { webhooks, log } = webhooksTo([server.url])
    webhooks.tell({ name: 'channel_occupied', channel: 'orders' })
    await log.until(/do not arrive: UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
    expect(server.requests).toEqual([])
  })
})

describe('an answer', () => {
  it('counts by its status, even if its body never ends', async () => {
    const receiver = await WebhookReceiver.start({ stall: 'in-body', body: 'x' })
    const { webhooks, log } = webhooksTo([receiver.url], { timeoutMs: 60_000 })
    webhooks.tell({ name: 'channel_occupied', channel: 'a' })
    await receiver.until((events) => events.length === 1)
    webhooks.tell({ name: 'channel_vacated', channel: 'a' })
    await receiver.until((events) => events.length === 2)
    expect(log.lines).toEqual([])
  })

  it('may be as long as it likes: nobody reads it', async () => {
    const receiver = await WebhookReceiver.start({ body: new Uint8Array(8 * 1024 * 1024) })
    const { webhooks, log } = webhooksTo([receiver.url])
    for (let count = 1; count <= 3; count += 1) {
      webhooks.tell({ name: 'channel_occupied', channel: 'a' })
      await receiver.until((events) => events.length === count)
    }
    expect(log.lines).toEqual([])
  })
})

describe('at the end', () => {
  it('what waits is sent', async () => {
    const receiver = await WebhookReceiver.start()
    const { webhooks, log } = webhooksTo([receiver.url], { timing: { ...QUICK, companyMs: 60_000 } })
    for (const event of EVENTS) webhooks.tell(event)
    await webhooks.stop()
    expect(receiver.events()).toHaveLength(EVENTS.length)
    expect(log.lines).toEqual([])
  })

  it('what does not arrive in time is lost, and said', async () => {
    const receiver = await WebhookReceiver.start({ stall: 'before-head' })
    const outcomes: string[] = []
    const { webhooks, log } = webhooksTo([receiver.url], {
      stopMs: 50,
      timeoutMs: 60_000,
      onOutcome: (outcome, events) => outcomes.push(`${outcome} ${events}`),
    })
    webhooks.tell({ name: 'channel_occupied', channel: 'a' })
    await receiver.until((events) => events.length === 1)
    webhooks.tell({ name: 'channel_vacated', channel: 'a' })
    await webhooks.stop()
    expect(outcomes).toEqual(['stopped 2'])
    expect(log.lines.at(-1)).toMatchObject({ level: 'warn', events: 2 })
    await receiver.server.untilNobodyIsConnected()
  })
})
