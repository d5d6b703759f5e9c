import { EventEmitter } from 'node:events'
import type { FastifyReply } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import { Poll } from '../../src/http/poll.ts'
import { queryParameters, readStreamRequest } from '../../src/http/stream-request.ts'
import { Frame } from '../../src/sse/frame.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { rawConnection } from '../support/raw-connection.ts'
import { openStream, type SseClient, type StreamOptions } from '../support/sse-client.ts'
import { Stage } from '../support/stage.ts'

const LIMITS = { maxChannels: 100, heartbeatMs: 15_000 }
const COOKIE = { cookie: 'laravel_session=alice' }

/** Asks and does not wait for the answer. */
function poll({ url }: RunningGateway, query: string, options?: StreamOptions): Promise<SseClient> {
  return openStream(`${url}/stream?mode=poll&${query}`, options)
}

/** A whole answer: complete, and as long as it said. */
async function answered(pending: Promise<SseClient>): Promise<SseClient> {
  const answer = await pending
  expect(await answer.ended).toBe(true)
  expect(answer.status).toBe(200)
  expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)))
  return answer
}

function eventsOf({ frames }: SseClient): string[] {
  return frames.map(({ event }) => event)
}

function messagesOf({ frames }: SseClient): unknown[] {
  return frames.filter(({ event }) => event === 'message').map(({ data }) => data.data)
}

describe('a long-poll', () => {
  it('is answered at once when it brings no cursor, so that it has one', async () => {
    const gateway = await startGateway()
    const first = await answered(poll(gateway, 'channels=orders'))
    expect(eventsOf(first)).toEqual(['connected', 'subscribed', 'ping'])
    expect(first.frames[0]?.data).toMatchObject({ mode: 'poll', resume: 'fresh' })
    expect(first.lastEventId).toMatch(/^\d+\.0\.0$/)
    expect(first.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
  })

  it('that found nothing is followed by one that gets exactly what came in between', async () => {
    const gateway = await startGateway()
    await gateway.publish('orders', 'Before')
    const first = await answered(poll(gateway, 'channels=orders'))
    await gateway.publish('orders', 'E', 1)
    const second = await answered(poll(gateway, `channels=orders&lastEventId=${first.lastEventId}`))
    expect(messagesOf(second)).toEqual([1])
    const third = await answered(poll(gateway, `channels=orders&wait=0&lastEventId=${second.lastEventId}`))
    expect(messagesOf(third)).toEqual([])
    expect(third.frames[0]?.data.resume).toBe('ok')
  })

  it('waits for news, and what comes in one turn comes in one answer', async () => {
    const gateway = await startGateway()
    const { lastEventId } = await answered(poll(gateway, 'channels=orders,other'))
    const waiting = poll(gateway, `channels=orders,other&lastEventId=${lastEventId}`)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    await Promise.all([gateway.publish('orders', 'E', 1), gateway.publish('other', 'E', 2)])
    const answer = await answered(waiting)
    expect(messagesOf(answer)).toEqual([1, 2])
  })

  it('is answered without news when its time is up', async () => {
    const gateway = await startGateway()
    const { lastEventId } = await answered(poll(gateway, 'channels=orders'))
    const answer = await answered(poll(gateway, `channels=orders&wait=0.05&lastEventId=${lastEventId}`))
    expect(eventsOf(answer)).toEqual(['connected', 'subscribed', 'ping'])
    expect(answer.lastEventId).toBe(lastEventId)
  })

  it('waits for Laravel before it answers, also when there is news already', async () => {
    const gateway = await startGateway()
    const release = gateway.authorizer.hold()
    const { lastEventId } = await answered(poll(gateway, 'channels=orders'))
    const waiting = poll(gateway, `channels=orders,private-a&lastEventId=${lastEventId}`, { headers: COOKIE })
    await gateway.authorizer.untilQuestions(1)
    await gateway.publish('orders', 'E', 1)
    await gateway.publish('private-a', 'E', 2)
    release()
    const answer = await answered(waiting)
    expect(messagesOf(answer)).toEqual([1, 2])
    // The last id is plain, so nothing of this is told again.
    expect(answer.lastEventId).toMatch(/^\d+\.0\.2$/)
  })

  it('is answered as soon as Laravel has answered, also when that is no news', async () => {
    const gateway = await startGateway()
    const release = gateway.authorizer.hold()
    const first = poll(gateway, 'channels=private-a', { headers: COOKIE })
    await gateway.authorizer.untilQuestions(1)
    // Another request comes and goes, so the poll has come to rest.
    await fetch(`${gateway.url}/health`)
    release()
    expect(eventsOf(await answered(first))).toEqual(['connected', 'subscribed', 'ping'])
    expect((await first).lastEventId).toMatch(/^\d+\.0\.0$/)
  })

  it('is answered at once with a denial', async () => {
    const gateway = await startGateway()
    gateway.authorizer.decides(() => deny('forbidden'))
    const { lastEventId } = await answered(poll(gateway, 'channels=orders'))
    const answer = await answered(poll(gateway, `channels=private-a&lastEventId=${lastEventId}`, { headers: COOKIE }))
    expect(answer.frames.find(({ event }) => event === 'denied')?.data).toMatchObject({ channel: 'private-a' })
  })

  it('tells a gap and lets the next one go on from there', async () => {
    const gateway = await startGateway()
    const answer = await answered(poll(gateway, 'channels=orders&lastEventId=1.2.3'))
    expect(answer.frames.find(({ event }) => event === 'gap')?.data).toEqual({ channels: null, reason: 'restart' })
    const next = await answered(poll(gateway, `channels=orders&wait=0&lastEventId=${answer.lastEventId}`))
    expect(eventsOf(next)).not.toContain('gap')
  })

  it('is closed at about 256 KiB; the next ones go on without loss', async () => {
    const gateway = await startGateway()
    let { lastEventId } = await answered(poll(gateway, 'channels=orders'))
    const text = 'x'.repeat(10_000)
    for (let number = 0; number < 100; number += 1) await gateway.publish('orders', 'E', { number, text })
    const numbers: number[] = []
    const sizes: number[] = []
    while (numbers.length < 100) {
      const answer = await answered(poll(gateway, `channels=orders&wait=0&lastEventId=${lastEventId}`))
      const told = messagesOf(answer) as { number: number }[]
      expect(told.length).toBeGreaterThan(0)
      numbers.push(...told.map(({ number }) => number))
      sizes.push(answer.text.length)
      lastEventId = answer.lastEventId
    }
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, index) => index))
    // Up to the bound and one slice of the log.
    expect(Math.max(...sizes)).toBeLessThan((256 + 64 + 16) * 1024)
    expect(sizes.length).toBeGreaterThan(1)
  })

  it('keeps its connection for the next one', async () => {
    const { port } = await startGateway()
    const connection = await rawConnection(port)
    for (const path of ['/stream?mode=poll&channels=a', '/stream?mode=poll&channels=b']) {
      connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await connection.until(`{"channel":"${path.at(-1)}"}`)
    }
  })
})

describe('a client that leaves its long-poll', () => {
  it('is forgotten, with its question to Laravel', async () => {
    const gateway = await startGateway()
    const { hub } = gateway.gateway.services
    const release = gateway.authorizer.hold()
    const { lastEventId } = await answered(poll(gateway, 'channels=orders'))
    const connection = await rawConnection(gateway.port)
    const query = `mode=poll&channels=private-a&lastEventId=${lastEventId}`
    connection.write(`GET /stream?${query} HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n`)
    await gateway.authorizer.untilQuestions(1)
    expect(hub.size).toBe(1)
    connection.socket.destroy()
    await expect.poll(() => hub.size).toBe(0)
    expect(gateway.authorizer.openSessions).toBe(0)
    release()
  })

  it('leaves no timer that would keep its answer in memory', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    atEndOfTest(() => vi.useRealTimers())
    const raw = new EventEmitter()
    const page = new Stage().open(['orders'])
    const wanted = readStreamRequest(queryParameters('?channels=orders&lastEventId=1.1.0'), undefined, LIMITS)
    const poll = new Poll({ raw } as unknown as FastifyReply, wanted)
    poll.open(new Frame('data: 1\n\n'))
    poll.follow(page.subscriber)
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    raw.emit('close')
    expect(vi.getTimerCount()).toBe(0)
  })
})
