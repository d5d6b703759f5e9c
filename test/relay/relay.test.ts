import fc from 'fast-check'
import type { Logger } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Hub } from '../../src/hub/hub.ts'
import { Relay } from '../../src/relay/relay.ts'
import { at, historyOf, laravel } from '../support/history.ts'
import { broadcastsOf, framesNamed, Stage } from '../support/stage.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

function recordingLogger() {
  const lines: [object, string][] = []
  return { lines, logger: { warn: (fields: object, text: string) => lines.push([fields, text]) } as unknown as Logger }
}

function start() {
  const stage = new Stage()
  const ignored: [string, string][] = []
  const holes: string[] = []
  const { logger, lines } = recordingLogger()
  const cacheable: string[] = []
  let received = 0
  const relay = new Relay({
    history: stage.history,
    hub: stage.hub,
    rules: { maxNameBytes: 50, prefix: 'shop_' },
    logger,
    onReceived: () => {
      received += 1
    },
    onCacheable: (channel, payload, { count }) => cacheable.push(`${channel} ${count} ${payload}`),
    onIgnored: (reason, channel) => ignored.push([reason, channel]),
    onHole: (reason) => holes.push(reason),
  })
  let count = 0
  const hear = (channel: string, payload: Buffer | string) => {
    count += 1
    relay.onMessage({ channel, payload: Buffer.from(payload), position: { epoch: 1, marker: 2, count }, hasId: true })
  }
  return { stage, relay, ignored, holes, lines, hear, cacheable, received: () => received }
}

describe('a message', () => {
  it('is kept in the log and delivered', async () => {
    const { stage, hear, received } = start()
    const { outlet } = stage.open(['orders'])
    hear('orders', laravel('x'))
    await stage.flush()
    expect(broadcastsOf(outlet.frames)).toEqual([['1.2.1', 'x']])
    expect([stage.history.length, received()]).toEqual([1, 1])
  })

  it('is handed on for who comes later, on cache channels and when it is Laravel’s', () => {
    const { hear, cacheable } = start()
    for (const channel of ['cache-a', 'orders', 'private-cache-a', 'sse:whisper', 'cache-\u0000'])
      hear(channel, laravel('x'))
    hear('cache-a', '{"event":"E","data":')
    hear('cache-a', 'i:5;')
    expect(cacheable).toEqual([`cache-a 1 ${laravel('x')}`, `private-cache-a 3 ${laravel('x')}`])
  })

  it('is kept though nobody listens yet', () => {
    const { stage, hear } = start()
    hear('orders', laravel('x'))
    const { outlet } = stage.open(['orders'], { lastEventId: '1.2.0' })
    expect(broadcastsOf(outlet.frames)).toEqual([['1.2.1', 'x']])
  })

  it.each([
    ['nothing', ''],
    ['null', 'null'],
    ['true', 'true'],
    ['a number', '5'],
    ['a text', '"x"'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['PHP’s own format', 'a:1:{s:5:"event";s:1:"E";}'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00])],
  ])('that is not Laravel’s is counted and ignored: %s', async (_what, payload) => {
    const { stage, hear, ignored, received } = start()
    const { outlet } = stage.open(['orders'])
    hear('orders', payload)
    hear('orders', laravel('next'))
    await stage.flush()
    expect(broadcastsOf(outlet.frames)).toEqual([['1.2.2', 'next']])
    expect([ignored, received()]).toEqual([[['not_laravel', 'orders']], 1])
  })

  it.each(['admin_private-x', 'shop_orders', 'a b', 'x'.repeat(51), ''])(
    'on a channel that nobody can listen to is counted and ignored: %j',
    (channel) => {
      const { stage, hear, ignored } = start()
      hear(channel, laravel('x'))
      expect([ignored, stage.history.length]).toEqual([[['invalid_channel', channel]], 0])
    },
  )

  it('of the gateways among themselves is passed over without a word, but counts as a place', () => {
    const { stage, hear, ignored } = start()
    hear('sse:presence', 'x')
    expect([ignored, stage.history.length, stage.history.head?.position]).toEqual([[], 0, at('1.2.1')])
  })

  it('that is ignored counts as a place: another gateway may know better', () => {
    const { stage, hear } = start()
    hear('orders', 'null')
    expect(stage.history.head?.position).toEqual(at('1.2.1'))
  })

  it('lets a page that was ahead go on, also when it is ignored', async () => {
    const { stage, hear } = start()
    const { subscriber } = stage.open(['orders'], { lastEventId: '1.2.2' })
    hear('orders', 'null')
    expect(subscriber.isAhead).toBe(true)
    hear('orders', 'null')
    expect([subscriber.isAhead, subscriber.isLive]).toEqual([false, true])
  })
})

describe('the log line about ignored messages', () => {
  it('is written once in a while, with their number, never with their content', () => {
    const { hear, lines } = start()
    for (let count = 0; count < 5; count += 1) hear('orders', 'secret')
    expect(lines).toEqual([[{ reason: 'not_laravel', ignored: 1 }, expect.any(String)]])
    vi.setSystemTime(1_000_000 + 60_000)
    hear('orders', 'secret')
    expect(lines[1]?.[0]).toEqual({ reason: 'not_laravel', ignored: 6 })
    expect(JSON.stringify(lines)).not.toContain('secret')
  })
})

describe('a hole', () => {
  it('is told to everybody, counted and logged', () => {
    const { stage, relay, holes, lines } = start()
    const page = stage.open(['a'])
    relay.onHole(at('1.9.0'), 'relay-lost')
    expect(framesNamed(page.outlet.frames, 'gap')).toEqual([
      { id: '1.9.0', data: { channels: null, reason: 'relay-lost' } },
    ])
    expect([holes, lines.length]).toEqual([['relay-lost'], 1])
  })

  it('at the very start is nothing to speak of', () => {
    const history = historyOf()
    const { logger, lines } = recordingLogger()
    const holes: string[] = []
    const rules = { maxNameBytes: 50, prefix: '' }
    const relay = new Relay({ history, hub: new Hub(history), rules, logger, onHole: (reason) => holes.push(reason) })
    relay.onHole(at('1.1.0'), 'restart')
    expect([holes, lines, history.head?.position]).toEqual([[], [], at('1.1.0')])
  })

  it('after which the order counts from further back ends all streams: their ids would go back too', async () => {
    const { stage, relay, hear } = start()
    const page = stage.open(['a'])
    hear('a', laravel('x'))
    await stage.flush()
    const lastEventId = page.outlet.frames.at(-1)?.id ?? null
    relay.onHole({ epoch: 0, marker: 1, count: 0 }, 'restart')
    expect([page.ended, framesNamed(page.outlet.frames, 'bye')[0]?.data]).toMatchObject([
      ['expired'],
      { reason: 'expired' },
    ])
    const again = stage.open(['a'], { lastEventId })
    expect(framesNamed(again.outlet.frames, 'gap')).toEqual([
      { id: '0.1.0', data: { channels: null, reason: 'restart' } },
    ])
  })
})

describe('whatever comes through Redis', () => {
  const channel = fc.oneof(fc.constantFrom('orders', 'private-x', '__proto__', 'sse:x'), fc.string({ unit: 'binary' }))
  const message = laravel({ a: [1, { b: 'c' }] }, '1.2')
  const mutated = fc.array(fc.tuple(fc.nat(message.length - 1), fc.nat(255)), { maxLength: 4 }).map((edits) => {
    const bytes = Buffer.from(message)
    for (const [index, byte] of edits) bytes[index] = byte
    return bytes
  })
  const random = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))

  it('never throws, and every frame that leaves is JSON', async () => {
    const { stage, hear } = start()
    const { outlet } = stage.open(['orders', '__proto__'])
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(channel, fc.oneof(random, mutated)), { minLength: 20, maxLength: 20, size: 'max' }),
        async (batch) => {
          for (const [name, payload] of batch) hear(name, payload)
          await stage.flush()
          for (const { data } of outlet.news()) JSON.parse(data)
        },
      ),
      { numRuns: 5000 },
    )
    const before = outlet.frames.length
    hear('orders', laravel('still alive'))
    await stage.flush()
    expect(broadcastsOf(outlet.frames).slice(before)[0]?.[1]).toBe('still alive')
  }, 30_000)
})
