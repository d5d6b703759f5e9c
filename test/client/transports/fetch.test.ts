import { describe, expect, it } from 'vitest'
import { fetchStream } from '../../../client/src/transports/fetch.ts'
import type { StreamEnd, StreamRequest } from '../../../client/src/transports/transport.ts'
import { FakeGateway, type Script } from '../../support/fake-gateway.ts'

const REQUEST: StreamRequest = {
  url: 'https://gateway.test/sse',
  parameters: [['channels', 'a,ü b']],
  headers: {},
  withCredentials: false,
}

const SEVEN_SECONDS = { headers: { 'retry-after': '7' } }

/** Asks, and resolves with the frames and the end. */
function ask(script: Script, change: Partial<StreamRequest> = {}) {
  const gateway = new FakeGateway(script)
  const frames: string[][] = []
  const end = new Promise<StreamEnd>((resolve) => {
    fetchStream(
      { ...REQUEST, ...change },
      { onAnswer: () => {}, onFrame: (...frame) => frames.push(frame), onEnd: resolve },
    )
  })
  return { gateway, frames, end }
}

describe('a stream by fetch', () => {
  it('asks for an event stream, past every cache, with cookies only at home', async () => {
    const { gateway, end } = ask((request) => request.end())
    await end
    const request = gateway.last()
    expect(request).toMatchObject({
      method: 'GET',
      path: '/sse/stream',
      channels: ['a', 'ü b'],
      withCredentials: false,
    })
    expect(request.headers.get('accept')).toBe('text/event-stream')
    expect(request.cache).toBe('no-store')
  })

  it('sends cookies elsewhere where that is wanted, and headers, and nothing of them in the address', async () => {
    const { gateway, end } = ask((request) => request.end(), {
      withCredentials: true,
      headers: { Authorization: 'Bearer secret' },
    })
    await end
    expect(gateway.last().withCredentials).toBe(true)
    expect(gateway.last().headers.get('authorization')).toBe('Bearer secret')
    expect(gateway.last().parameters.toString()).not.toContain('secret')
  })

  it('tells frames as they come, and the end', async () => {
    const { frames, end } = ask((request) =>
      request.frame('ping', { time: 1 }, '1.0.0').frame('', { channel: 'a' }).end(),
    )
    expect(await end).toEqual({ isWhole: true })
    expect(frames).toEqual([
      ['ping', '{"time":1}', '1.0.0'],
      ['message', '{"channel":"a"}', ''],
    ])
  })

  it('tells a line that broke from an answer that is complete', async () => {
    expect(await ask((request) => request.write(':\n').cut()).end).toEqual({})
    expect(await ask((request) => request.cut()).end).toEqual({})
  })

  it.each([
    ['text/event-stream', true],
    ['text/event-stream; charset=utf-8', true],
    ['TEXT/EVENT-STREAM', true],
    ['text/html', false],
    ['application/json', false],
    ['text/event-streams', false],
    ['', false],
  ])('takes a 200 of type "%s" for the gateway’s: %s', async (type, isOurs) => {
    const { frames, end } = ask((request) => request.answer(200, { 'content-type': type }, 'data: a\n\n'))
    expect((await end).status).toBe(isOurs ? undefined : 200)
    expect(frames).toHaveLength(isOurs ? 1 : 0)
  })

  it('tells why it was refused', async () => {
    const refused = ask((request) => request.refuse(503, { headers: { 'retry-after': '7' }, message: 'Full.' }))
    expect(await refused.end).toEqual({ status: 503, retryAfterMs: expect.any(Number), message: 'Full.' })
  })

  it.each([429, 503])('comes back no sooner than a %i wants it, and not with all the others', async (status) => {
    const ends = Array.from({ length: 50 }, () => ask((request) => request.refuse(status, SEVEN_SECONDS)).end)
    const waits = (await Promise.all(ends)).map(({ retryAfterMs = 0 }) => retryAfterMs)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(7000)
    expect(Math.max(...waits)).toBeLessThanOrEqual(7000 * 1.25)
    expect(new Set(waits.map(Math.round)).size).toBeGreaterThan(25)
  })

  it.each([
    ['a page', 'text/html', '<p>'],
    ['broken JSON', 'application/json', '{'],
    ['JSON of somebody else', 'application/json', '{"error":"no"}'],
    ['null', 'application/json', 'null'],
  ])('is content without a reason when the refusal is %s', async (_what, type, body) => {
    expect(await ask((request) => request.answer(403, { 'content-type': type }, body)).end).toEqual({ status: 403 })
  })

  it('takes an answer without a body for an empty one', async () => {
    const { end } = ask((request) => request.answer(200, { 'content-type': 'text/event-stream' }, null))
    expect(await end).toEqual({ isWhole: true })
  })

  it('does not read on what is none of the gateway’s', async () => {
    const { gateway, end } = ask((request) => request.html())
    await end
    expect(gateway.last().isAborted).toBe(true)
  })

  it('tells nothing after it was closed', async () => {
    const gateway = new FakeGateway((request) => request.write(':\n'))
    const told: unknown[] = []
    const close = fetchStream(REQUEST, {
      onAnswer: () => {},
      onFrame: (name) => told.push(name),
      onEnd: (end) => told.push(end),
    })
    await Promise.resolve()
    gateway.last().frame('ping', {})
    close()
    gateway.last().frame('ping', {}).end()
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([])
    expect(gateway.last().isAborted).toBe(true)
  })
})

describe('an address that some proxies would refuse', () => {
  const long = (bytes: number): Partial<StreamRequest> => ({ parameters: [['channels', 'x'.repeat(bytes)]] })
  const rest = 'https://gateway.test/sse/stream?channels='.length

  it('is one of more than 6,000 bytes: what it says goes into a form', async () => {
    const fits = ask((request) => request.end(), long(6000 - rest))
    await fits.end
    expect(fits.gateway.last()).toMatchObject({ method: 'GET' })
    const tooLong = ask((request) => request.end(), long(6001 - rest))
    await tooLong.end
    expect(tooLong.gateway.last()).toMatchObject({ method: 'POST', address: 'https://gateway.test/sse/stream' })
    expect(tooLong.gateway.last().channels[0]).toHaveLength(6001 - rest)
  })

  it('counts bytes as they are sent', async () => {
    const { gateway, end } = ask((request) => request.end(), { parameters: [['channels', 'ü'.repeat(1001)]] })
    await end
    expect(gateway.last().method).toBe('POST')
  })
})
