import { describe, expect, it } from 'vitest'
import { DECISION_REASONS } from '../../src/auth/laravel-answer.ts'
import { ERRORS } from '../../src/errors.ts'
import { WEBHOOK_OUTCOMES } from '../../src/webhooks/outbox.ts'
import { ask, refusal } from '../support/ask.ts'
import { freePort } from '../support/child.ts'
import { startGateway } from '../support/gateway.ts'
import { EVENT, publishByHttp } from '../support/publisher.ts'
import { sendRaw } from '../support/raw-connection.ts'
import { openStream } from '../support/sse-client.ts'
import { joinPage, leave, whisper } from '../support/talking-page.ts'

type Sample = { name: string; labels: Record<string, string>; value: number }

const CODES = Object.keys(ERRORS)

/** What every label may say. Anything else could grow without end. */
const CLOSED_LISTS: Readonly<Record<string, readonly string[]>> = {
  mode: ['stream', 'poll'],
  resume: ['fresh', 'ok', 'gap'],
  code: CODES,
  outcome: ['ok', ...CODES, ...WEBHOOK_OUTCOMES],
  reason: [
    ...['drain', 'slow', 'left', 'replaced', 'expired', 'shutdown', 'overload', 'client', 'poll'],
    ...['expired', 'restart', 'relay-lost', 'overflow', 'denied'],
    ...['not_laravel', 'malformed', 'invalid_channel', 'other_prefix', 'not_ours'],
    ...DECISION_REASONS,
  ],
}

/** Our own samples of an exposition in Prometheus's text format. */
function readSamples(exposition: string): Sample[] {
  return [...exposition.matchAll(/^(echo_sse_\w+?)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]),
      ),
      value: Number(value),
    }),
  )
}

describe('/metrics', () => {
  it('has labels from closed lists only, whatever is asked', async () => {
    const { url, port, gateway, authorizer, publish } = await startGateway({ maxConnections: 3 })
    authorizer.decides(({ channel }) => {
      if (channel.name === 'private-evil') throw new Error(channel.name)
      return { allowed: true, member: { id: 'evil', info: 'evil' } }
    })
    const headers = { cookie: 'session=secret', 'user-agent': 'evil', 'x-forwarded-for': '203.0.113.9' }
    const page = await openStream(`${url}/stream?channels=evil,private-evil,%23evil&lastEventId=evil`, { headers })
    await page.next('denied')
    await publish('evil', 'Evil', { evil: true })
    await page.next('message')
    await (await openStream(`${url}/stream?channels=evil&mode=poll`)).ended
    for (const path of [
      '/evil',
      '/stream?mode=evil&channels=a',
      '/stream',
      `/stream?channels=${'evil'.repeat(3000)}`,
    ]) {
      await refusal(url + path)
    }
    await refusal(`${url}/stream?channels=a`, { headers: { origin: 'https://evil.example' } })
    await refusal(`${url}/stream`, { method: 'PATCH' })
    await sendRaw(port, 'evil\r\n\r\n')
    await publishByHttp(url, { ...EVENT, channels: ['evil'] })
    await publishByHttp(url, { ...EVENT, name: 5 })
    await gateway.services.broker.publish(['evil'], 'evil')
    await gateway.services.broker.publish(['sse:evil'], 'evil')
    const talking = await joinPage({ url }, 'presence-evil,private-good', { user: 'evil' })
    for (const change of [{}, { key: 'evil' }, { event: 'evil' }, { channel: 'evil' }, { channel: 'private-other' }]) {
      await whisper(talking, change)
    }
    await gateway.services.broker.publish(['sse:revoke'], '{"channel":"private-good"}')
    await leave(talking)
    await talking.stream.ended
    page.close()
    await expect.poll(() => gateway.services.hub.size).toBe(0)

    const exposition = (await ask(`${url}/metrics`)).text
    expect(exposition).not.toMatch(/evil|secret|203\.0|session/i)
    const samples = readSamples(exposition)
    for (const { name, labels } of samples) {
      for (const [label, value] of Object.entries(labels)) {
        if (label === 'le') continue
        expect(CLOSED_LISTS[label], `${name}{${label}="${value}"}`).toContain(value)
      }
    }
    const counted = new Set(samples.filter(({ value }) => value > 0).map(({ name }) => name))
    for (const name of [
      ...['streams_opened_total', 'streams_ended_total', 'requests_refused_total', 'channels_denied_total'],
      ...['broadcasts_received_total', 'messages_ignored_total', 'gaps_total', 'published_total', 'ready'],
      ...['deliveries_total', 'history_messages', 'history_bytes', 'whispers_total', 'channels_revoked_total'],
    ]) {
      expect(counted, name).toContain(`echo_sse_${name}`)
    }
  })

  it('counts what is open now', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=a,b`)
    await page.next('subscribed')
    await page.next('subscribed')
    const samples = readSamples((await ask(`${url}/metrics`)).text)
    const sampleOf = (name: string) => samples.find((sample) => sample.name === `echo_sse_${name}`)?.value
    expect(sampleOf('streams')).toBe(1)
    expect(sampleOf('channels')).toBe(2)
  })

  it.each<Record<string, string>>([
    { 'x-forwarded-for': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1' },
    { via: '1.1 nginx' },
    { host: 'gateway.example' },
  ])('is not for callers that come through a proxy or under another name: %j', async (headers) => {
    const { url } = await startGateway()
    expect(await refusal(`${url}/metrics`, { headers })).toMatchObject({ status: 403, code: 'local_only' })
  })

  it('is on the admin port and there alone, when there is one', async () => {
    const adminPort = await freePort()
    const { url } = await startGateway({ adminPort })
    expect(await refusal(`${url}/metrics`)).toMatchObject({ status: 403, code: 'local_only' })
    const admin = `http://127.0.0.1:${adminPort}`
    const answer = await ask(`${admin}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.7' } })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    expect((await ask(`${admin}/health`)).status).toBe(200)
    expect((await ask(`${admin}/ready`)).status).toBe(200)
    expect((await refusal(`${admin}/stream?channels=a`)).status).toBe(404)
  })
})

describe('/health and /ready', () => {
  it('are never cached', async () => {
    const { url } = await startGateway()
    for (const [path, body] of [
      ['/health', { status: 'ok' }],
      ['/ready', { status: 'ready' }],
    ] as const) {
      const answer = await ask(url + path)
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.text)).toEqual(body)
      expect(answer.headers['cache-control']).toBe('no-store, no-transform')
    }
  })

  it('say different things while the gateway stops', async () => {
    const { url, gateway } = await startGateway()
    gateway.services.admission.drain()
    expect((await ask(`${url}/health`)).status).toBe(200)
    const { status, text } = await ask(`${url}/ready`)
    expect(status).toBe(503)
    expect(JSON.parse(text)).toEqual({ status: 'not ready', why: 'draining' })
    expect(readSamples((await ask(`${url}/metrics`)).text).find(({ name }) => name === 'echo_sse_ready')?.value).toBe(0)
  })
})
