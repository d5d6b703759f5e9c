import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { backlogBytes } from '../../src/hub/backlog.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { laravel as broadcast } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openStream, SseClient } from '../support/sse-client.ts'
import { Traveller } from '../support/traveller.ts'

describe.runIf(requirePart('redis'))('several gateways on one Redis', () => {
  let server: RedisServer
  let redis: Redis
  let prefix: string
  let tests = 0

  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })

  function start(overrides: Partial<Config> = {}): Promise<RunningGateway> {
    const timing = { markerIntervalMs: 200, readyTimeoutMs: 1000 }
    return startGateway({ redis: server.url, redisPrefix: prefix, ...timing, ...overrides })
  }

  async function startTwo(overrides: Partial<Config> = {}): Promise<[RunningGateway, RunningGateway]> {
    prefix = `nodes${++tests}_`
    return Promise.all([start(overrides), start(overrides)])
  }

  /** As Laravel's Redis driver does. */
  const publish = (channel: string, data: unknown, socket: string | null = null) =>
    redis.publish(prefix + channel, broadcast(data, socket))

  it('give the same id to a message, and different ids to identical messages', async () => {
    const nodes = await startTwo()
    const streams = await Promise.all(nodes.map(({ url }) => openStream(`${url}/stream?channels=a,b`)))
    await Promise.all(streams.map((stream) => stream.take(3)))
    for (let count = 0; count < 10; count += 1) await publish(count % 2 === 0 ? 'a' : 'b', 'same')
    const [here, there] = await Promise.all(streams.map((stream) => stream.take(10, 'message')))
    const ids = here?.map(({ id }) => id)
    expect(new Set(ids).size).toBe(10)
    expect(there?.map(({ id }) => id)).toEqual(ids)
  })

  // While Laravel has not answered for a channel, what was missed there is told after newer messages of the others.
  it.each([
    ['public channels, in order', ['a', 'b', 'c'], false],
    ['public and private channels, in order on each', ['a', 'b', 'private-c'], true],
  ])('lose and repeat nothing for pages that drop and return anywhere: %s', async (_case, channels, isByChannel) => {
    const stay = fc.record({ node: fc.nat(1), read: fc.integer({ min: 0, max: 40 }), poll: fc.boolean() })
    const journeys = fc.array(fc.array(stay, { minLength: 12, maxLength: 30 }), { minLength: 4, maxLength: 4 })
    const MESSAGES = 300
    // Stable: on a channel numbers stay as they were seen.
    const byChannel = (a: unknown, b: unknown) => (Number(a) % 3) - (Number(b) % 3)
    await fc.assert(
      fc.asyncProperty(journeys, async (plans) => {
        const nodes = await startTwo()
        const pages = plans.map(() => new Traveller(channels))
        await Promise.all(pages.map((page) => page.moveTo(nodes[0])))
        const published = (async () => {
          for (let number = 0; number < MESSAGES; number += 1) {
            await publish(channels[number % 3] as string, number)
          }
        })()
        const travelling = pages.map(async (page, index) => {
          for (const { node, read, poll } of plans[index] ?? []) {
            // A poll that has nothing to tell would wait for its time.
            if (page.seen.length === MESSAGES) break
            const stream = await page.moveTo(nodes[node] as RunningGateway, poll ? { mode: 'poll' } : {})
            for (let count = 0; count < read && page.seen.length < MESSAGES; count += 1) {
              const frame = await page.read()
              if (poll && frame.event === 'ping' && stream.untaken.length === 0) break
            }
          }
          await page.moveTo(nodes[1])
          await page.untilSeen(MESSAGES)
        })
        await Promise.all([published, ...travelling])
        for (const page of pages) {
          const seen = isByChannel ? page.seen.toSorted(byChannel) : page.seen
          const all = Array.from({ length: MESSAGES }, (_, number) => number)
          expect(seen).toEqual(isByChannel ? all.toSorted(byChannel) : all)
          expect(page.gaps).toEqual([])
          expect(page.resumes.slice(1)).not.toContain('gap')
          page.leave()
        }
        await Promise.all(nodes.map((node) => node.stop()))
      }),
      { numRuns: 3, endOnFailure: true },
    )
  })

  it('tell a page that the one it comes to was started later, and only once', async () => {
    const [early] = await startTwo()
    const page = new Traveller(['orders'])
    await page.moveTo(early)
    await publish('orders', 1)
    await page.untilSeen(1)
    page.leave()
    await publish('orders', 'missed')
    const late = await start()
    await page.moveTo(late)
    await page.read('gap')
    await publish('orders', 2)
    await page.untilSeen(2)
    await page.moveTo(late)
    await publish('orders', 3)
    await page.untilSeen(3)
    expect(page.resumes).toEqual(['fresh', 'gap', 'ok'])
    expect(page.gaps).toEqual([{ channels: null, reason: 'restart' }])
    expect(page.seen).toEqual([1, 2, 3])
  })

  it('say nothing of a later start to a page that was told everything up to there', async () => {
    const [early] = await startTwo()
    const late = await start()
    const page = new Traveller(['orders'])
    await page.moveTo(early)
    await publish('orders', 1)
    await page.untilSeen(1)
    page.leave()
    await publish('orders', 2)
    await page.moveTo(late)
    await page.untilSeen(2)
    expect(page.resumes).toEqual(['fresh', 'ok'])
    expect(page.gaps).toEqual([])
    expect(page.seen).toEqual([1, 2])
  })

  it('give a page whose first poll was empty what came after it, on the other one', async () => {
    const [here, there] = await startTwo()
    const page = new Traveller(['orders'])
    const poll = await page.moveTo(here, { mode: 'poll' })
    await poll.ended
    while (poll.untaken.length > 0) await page.read()
    expect(page.cursor).toMatch(/^\d+\.\d+\.\d+$/)
    expect(page.seen).toEqual([])
    await publish('orders', 1)
    await page.moveTo(there, { mode: 'poll' })
    await page.untilSeen(1)
    expect(page.resumes).toEqual(['fresh', 'ok'])
  })

  describe('while Laravel has not answered for one channel', () => {
    const CHANNELS = ['orders', 'private-slow']
    const WITH_COOKIE = { headers: { cookie: 'laravel_session=a' } }

    it('lose nothing on it over a drop, and repeat nothing a page has not asked for', async () => {
      const nodes = await startTwo()
      const answers = nodes.map(({ authorizer }) => authorizer.hold())
      const page = new Traveller(CHANNELS)
      await page.moveTo(nodes[0], WITH_COOKIE)
      const start = page.cursor?.split('~')[0]
      await publish('orders', 'o1')
      await publish('private-slow', 's1')
      await publish('orders', 'o2')
      await page.untilSeen(2)
      const early = page.stream?.frames.filter(({ event }) => event === 'message') ?? []
      expect(early.map(({ id }) => id?.split('~')[0])).toEqual([start, start])
      expect(page.seen).toEqual(['o1', 'o2'])

      page.leave()
      await publish('private-slow', 's2')
      await publish('orders', 'o3')
      await page.moveTo(nodes[1], WITH_COOKIE)
      await page.untilSeen(3)
      expect(page.seen).toEqual(['o1', 'o2', 'o3'])
      answers[1]?.()
      await page.untilSeen(5)
      expect(page.seen).toEqual(['o1', 'o2', 'o3', 's1', 's2'])
      // What it had before came again with ids that say so.
      expect(page.repeated).toBe(2)

      const plain = await page.read('ping')
      expect(plain.id).toMatch(/^\d+\.\d+\.\d+$/)
      await publish('private-slow', 's3')
      await page.untilSeen(6)
      expect(page.cursor).toMatch(/^\d+\.\d+\.\d+$/)
      await publish('orders', 'o4')
      answers[0]?.()
      await page.moveTo(nodes[0], WITH_COOKIE)
      await page.untilSeen(7)
      expect(page.seen).toEqual(['o1', 'o2', 'o3', 's1', 's2', 's3', 'o4'])
      expect(page.gaps).toEqual([])
      expect(page.resumes).toEqual(['fresh', 'ok', 'ok'])
    })

    it('end the waiting also with a refusal', async () => {
      const [node] = await startTwo()
      node.authorizer.decides(() => ({
        allowed: false,
        status: 403,
        code: 'forbidden',
        message: 'No.',
        retry: false,
      }))
      const answer = node.authorizer.hold()
      const page = new Traveller(CHANNELS)
      await page.moveTo(node, WITH_COOKIE)
      await publish('orders', 1)
      await page.untilSeen(1)
      expect(page.cursor).toContain('~')
      answer()
      await page.read('denied')
      expect((await page.read('ping')).id).toMatch(/^\d+\.\d+\.\d+$/)
      await publish('private-slow', 'secret')
      await publish('orders', 2)
      await page.untilSeen(2)
      expect(page.seen).toEqual([1, 2])
    })
  })

  it('leave out what a page sent itself, live and in replay, also on another one', async () => {
    const [here, there] = await startTwo()
    const first = await openStream(`${here.url}/stream?channels=orders`)
    const { socketId, key } = (await first.next('connected')).data
    await first.next('subscribed')
    await publish('orders', 'own', socketId)
    await publish('orders', 'of another', '1.2')
    const heard = await first.next('message')
    expect(heard.data.data).toBe('of another')
    first.close()
    await publish('orders', 'own while away', socketId)
    await publish('orders', 'missed')
    const query = new URLSearchParams({ channels: 'orders', socketId, key, lastEventId: heard.id ?? '' })
    const second = await openStream(`${there.url}/stream?${query}`)
    expect((await second.next('connected')).data.socketId).toBe(socketId)
    expect((await second.next('message')).data.data).toBe('missed')
    await publish('orders', 'own again', socketId)
    await publish('orders', 'live')
    expect((await second.next('message')).data.data).toBe('live')
  })

  it('count what is not Laravel’s and pass it over, and stay alive', async () => {
    const [node] = await startTwo()
    const { url } = node
    const stream = await openStream(`${url}/stream?channels=orders`)
    await stream.take(2)
    const foreign = ['', 'null', 'true', '5', '"x"', '[]', '{}', 'a:1:{s:5:"event";s:1:"x";}', 'O:8:"stdClass":0:{}']
    for (const payload of foreign) await redis.publish(`${prefix}orders`, payload)
    await redis.publish(`${prefix}orders`, Buffer.from([0xff, 0xfe, 0x00, 0x80]))
    await redis.publish(`${prefix}orders`, Buffer.from('{"event":"\xff","data":{},"socket":null}', 'latin1'))
    await redis.publish(`${prefix}orders`, '{"event":')
    await redis.publish(`${prefix}orders`, '{"event":5,"data":{}}')
    await redis.publish(`other_${prefix}orders`, broadcast('of another application'))
    await publish('admin_private-orders', 'of an overlapping prefix')
    await publish('orders', 'real')
    expect((await stream.next('message')).data.data).toBe('real')
    const metrics = await (await fetch(`${url}/metrics`)).text()
    const counted = (reason: string) =>
      Number(new RegExp(`messages_ignored_total{reason="${reason}"} (\\d+)`).exec(metrics)?.[1])
    expect(counted('not_laravel')).toBeGreaterThanOrEqual(foreign.length + 1)
    expect(counted('invalid_channel')).toBe(1)
    const refused = await openStream(`${url}/stream?channels=admin_private-orders`)
    expect((await refused.next('denied')).data.code).toBe('invalid_channel')
  })

  it('tell a long absence whole to a page that reads slowly: a replay is no backlog', async () => {
    const MIB = 1024 * 1024
    const [here, there] = await startTwo({ backlogBytes: MIB / 4, historyChannelBytes: 32 * MIB })
    const { lastEventId = '' } = await moment(here)
    const filler = 'x'.repeat(MIB / 8)
    for (let number = 0; number < 96; number += 1) await publish('orders', { number, filler })

    const outgoing = request(`${there.url}/stream?channels=orders&lastEventId=${lastEventId}`, { agent: false })
    const [response] = (await once(outgoing.end(), 'response')) as [IncomingMessage]
    // Nobody reads: what fits into the sockets is on its way, the rest waits in the log.
    const { hub } = there.gateway.services
    const waiting = () => backlogBytes(hub)
    await expect.poll(waiting, { interval: 10, timeout: PATIENCE_MS }).toBeGreaterThan(0)
    await publish('orders', { number: 96 })
    await publish('orders', { number: 97 })
    const page = new SseClient(outgoing, response)
    const told = await page.take(98, 'message')
    expect(told.map(({ data }) => data.data.number)).toEqual(Array.from({ length: 98 }, (_, number) => number))
    expect(page.frames.map(({ event }) => event)).not.toContain('bye')
    expect(page.frames.map(({ event }) => event)).not.toContain('gap')
  })

  /** A page that comes and leaves. */
  async function moment({ url }: RunningGateway): Promise<SseClient> {
    const page = await openStream(`${url}/stream?channels=orders`)
    await page.take(2)
    page.close()
    return page
  }
})
