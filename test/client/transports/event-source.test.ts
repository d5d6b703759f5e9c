import { beforeEach, describe, expect, it, vi } from 'vitest'
import { eventSource } from '../../../client/src/transports/event-source.ts'
import type { StreamEnd, StreamRequest } from '../../../client/src/transports/transport.ts'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

const REQUEST: StreamRequest = {
  url: 'https://gateway.test/sse',
  parameters: [
    ['channels', 'a,ü b'],
    ['channel', 'c,d'],
  ],
  headers: {},
  withCredentials: false,
}

function open(change: Partial<StreamRequest> = {}) {
  const gateway = new FakeGateway()
  const frames: string[][] = []
  const ends: StreamEnd[] = []
  const close = eventSource(
    { ...REQUEST, ...change },
    { onAnswer: () => {}, onFrame: (...frame) => frames.push(frame), onEnd: (end) => ends.push(end) },
  )
  return { gateway, frames, ends, close }
}

describe('a stream by EventSource', () => {
  it('has everything in its address, and cookies for elsewhere only where that is wanted', () => {
    expect(open().gateway.last()).toMatchObject({
      via: 'eventsource',
      path: '/sse/stream',
      channels: ['a', 'ü b', 'c,d'],
      withCredentials: false,
    })
    expect(open({ withCredentials: true }).gateway.last().withCredentials).toBe(true)
  })

  it('tells every frame of the protocol, with its own id', () => {
    const { gateway, frames } = open()
    const names = ['connected', 'subscribed', 'denied', 'joining', 'leaving', 'revoked', 'ping', 'gap', 'bye']
    gateway.last().frame('', { n: 0 }, '1.0.0')
    for (const name of names) gateway.last().frame(name, {})
    gateway.last().frame('', { n: 1 }, '1.0.1')
    expect(frames).toEqual([
      ['message', '{"n":0}', '1.0.0'],
      ...names.map((name) => [name, '{}', '']),
      ['message', '{"n":1}', '1.0.1'],
    ])
  })

  it('does not come back by itself', () => {
    const { gateway, ends } = open()
    gateway.last().connect().cut()
    expect(ends).toEqual([{}])
    expect(gateway.last().isAborted).toBe(true)
    expect(gateway.open).toEqual([])
    expect(gateway.requests).toHaveLength(1)
  })

  it('tells nothing after it was closed', () => {
    const { gateway, frames, ends, close } = open()
    close()
    gateway.last().frame('ping', {})
    expect([frames, ends]).toEqual([[], []])
  })
})

describe('EventSource', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    return () => vi.useRealTimers()
  })

  async function via(options: ConstructorParameters<typeof EnginePage>[0], channel = 'a') {
    const gateway = new FakeGateway((request) => request.welcome())
    const page = new EnginePage(options)
    page.engine.join(channel)
    await pass()
    page.engine.disconnect()
    return gateway.last().via
  }

  it('is what the page gets, also with headers it may do without', async () => {
    expect(await via({})).toBe('eventsource')
    const headers = () => ({ 'x-csrf-token': 'a', 'x-requested-with': 'XMLHttpRequest', accept: 'text/plain' })
    expect(await via({ headers })).toBe('eventsource')
  })

  it('cannot send a header, nor a long list', async () => {
    expect(await via({ headers: () => ({ Authorization: 'Bearer a' }) })).toBe('fetch')
    expect(await via({}, 'x'.repeat(6000))).toBe('fetch')
    expect(await via({ transport: 'eventsource', headers: () => ({ 'X-Tenant': '1' }) })).toBe('fetch')
  })

  it('is not used where fetch was asked for', async () => {
    expect(await via({ transport: 'fetch' })).toBe('fetch')
  })

  it('is asked again without a header that is gone', async () => {
    const gateway = new FakeGateway((request) => request.welcome())
    let headers: Record<string, string> = { Authorization: 'Bearer a' }
    const page = new EnginePage({ headers: () => headers })
    page.engine.join('a')
    await pass()
    headers = {}
    page.engine.join('b')
    await pass(50)
    expect(gateway.requests.map(({ via }) => via)).toEqual(['fetch', 'eventsource'])
    expect(page.told.filter((line) => line.startsWith('transport'))).toEqual([
      'transport fetch: EventSource cannot serve here',
      'transport eventsource: default',
    ])
  })
})
