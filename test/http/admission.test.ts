import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { defaultConfig } from '../../src/config/config.ts'
import { createGateway } from '../../src/gateway.ts'
import { Admission } from '../../src/http/admission.ts'
import { refusal } from '../support/ask.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { freePort } from '../support/child.ts'
import { startGateway } from '../support/gateway.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'
import { StuckBroker } from '../support/stuck-broker.ts'

const EVENT_SOURCE = { accept: 'text/event-stream' }

describe('Admission', () => {
  it('lets in as many as may be in all, and the next one when somebody has left', () => {
    const admission = new Admission({ maxConnections: 2, maxConnectionsPerAddress: 9 })
    const leave = admission.enter('192.0.2.1')
    admission.enter('192.0.2.2')
    expect(() => admission.enter('192.0.2.3')).toThrow(expect.objectContaining({ code: 'overloaded' }))
    leave()
    leave()
    admission.enter('192.0.2.3')
    expect(() => admission.enter('192.0.2.4')).toThrow(expect.objectContaining({ code: 'overloaded' }))
  })

  it('counts one IPv4 address, and all of one IPv6 /64, as one caller', () => {
    const admission = new Admission({ maxConnections: 99, maxConnectionsPerAddress: 1 })
    admission.enter('192.0.2.1')
    admission.enter('192.0.2.2')
    expect(() => admission.enter('::ffff:192.0.2.1')).toThrow(expect.objectContaining({ code: 'too_many_connections' }))
    const leave = admission.enter('2001:db8:0:1::1')
    expect(() => admission.enter('2001:db8:0:1:ffff::2')).toThrow(
      expect.objectContaining({ code: 'too_many_connections' }),
    )
    admission.enter('2001:db8:0:2::1')
    leave()
    admission.enter('2001:db8:0:1:ffff::2')
  })

  it('counts nobody it refused', () => {
    const admission = new Admission({ maxConnections: 2, maxConnectionsPerAddress: 1 })
    admission.enter('192.0.2.1')
    for (let attempt = 0; attempt < 5; attempt += 1) expect(() => admission.enter('192.0.2.1')).toThrow()
    admission.enter('192.0.2.2')
  })
})

/** What a native EventSource gets instead of an error that would end it for ever. */
async function expectSoftRefusal(pending: Promise<SseClient>, reason: string): Promise<void> {
  const answer = await pending
  expect(await answer.ended).toBe(true)
  expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } })
  expect(answer.headers['cache-control']).toBe('no-store, no-transform')
  expect(answer.frames).toEqual([expect.objectContaining({ event: 'bye', id: undefined })])
  expect(answer.frames[0]?.data).toEqual({ reason, retryAfterMs: answer.retryMs })
  expect(answer.retryMs).toBeGreaterThan(1000)
}

describe('a gateway that is full', () => {
  it('says so to others, and softly to an EventSource, and counts both', async () => {
    const { url, gateway } = await startGateway({ maxConnections: 1 })
    const first = await openStream(`${url}/stream?channels=a`)
    await first.next('subscribed')
    const answer = await refusal(`${url}/stream?channels=a`)
    expect(answer).toMatchObject({ status: 503, code: 'overloaded' })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    // A poll asks again by itself: it gets the plain answer, whatever it accepts.
    const poll = await refusal(`${url}/stream?channels=a&mode=poll`, { headers: EVENT_SOURCE })
    expect(poll).toMatchObject({ status: 503, code: 'overloaded' })
    await expectSoftRefusal(openStream(`${url}/stream?channels=a`, { headers: EVENT_SOURCE }), 'overload')
    const { values } = await gateway.services.metrics.refused.get()
    expect(values).toEqual([{ labels: { code: 'overloaded' }, value: 3 }])
    first.close()
    await expect.poll(() => gateway.services.hub.size).toBe(0)
    expect((await openStream(`${url}/stream?channels=a`)).status).toBe(200)
  })

  it('counts by the address behind a trusted proxy, IPv6 by /64', async () => {
    const { url } = await startGateway({ maxConnectionsPerAddress: 1 })
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    for (const address of ['192.0.2.1', '192.0.2.2', '2001:db8::1']) {
      expect((await openStream(`${url}/stream?channels=a`, from(address))).status).toBe(200)
    }
    for (const address of ['192.0.2.1', '2001:db8::2:1']) {
      const answer = await refusal(`${url}/stream?channels=a`, from(address))
      expect(answer).toMatchObject({ status: 429, code: 'too_many_connections' })
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
      const headers = { ...EVENT_SOURCE, ...from(address).headers }
      await expectSoftRefusal(openStream(`${url}/stream?channels=a`, { headers }), 'overload')
    }
  })
})

it('a gateway that is about to stop lets nobody in, and is not ready', async () => {
  const { url, gateway } = await startGateway()
  gateway.services.admission.drain()
  expect(await refusal(`${url}/stream?channels=a`)).toMatchObject({ status: 503, code: 'draining' })
  await expectSoftRefusal(openStream(`${url}/stream?channels=a`, { headers: EVENT_SOURCE }), 'drain')
  expect((await fetch(`${url}/ready`)).status).toBe(503)
  expect((await fetch(`${url}/health`)).status).toBe(200)
})

it('a gateway whose broker is not there yet says so, and is not ready', async () => {
  const port = await freePort()
  const broker = new StuckBroker()
  const gateway = await createGateway(defaultConfig({ port, drainMs: 0 }), pino({ level: 'silent' }), { broker })
  atEndOfTest(() => gateway.stop())
  const started = gateway.start()
  await broker.awaited
  const url = `http://127.0.0.1:${port}`
  expect(await refusal(`${url}/stream?channels=a`)).toMatchObject({ status: 503, code: 'broker_unavailable' })
  await expectSoftRefusal(openStream(`${url}/stream?channels=a`, { headers: EVENT_SOURCE }), 'overload')
  expect((await fetch(`${url}/ready`)).status).toBe(503)
  expect((await fetch(`${url}/health`)).status).toBe(200)
  broker.release()
  await started
  expect((await fetch(`${url}/ready`)).status).toBe(200)
  expect((await openStream(`${url}/stream?channels=a`)).status).toBe(200)
})
