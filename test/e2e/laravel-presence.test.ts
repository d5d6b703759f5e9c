import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { CurlOptions } from '../support/curl.ts'
import { type CurlPage, openPage } from '../support/curl-page.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, type LaravelOptions, startLaravel } from '../support/laravel.ts'
import { type Part, requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

type Application = Pick<LaravelOptions, 'app' | 'redisClient'> & { parts: Part[] }

const applications: Application[] = [
  { app: 'laravel-12', redisClient: 'predis', parts: ['laravel-12'] },
  { app: 'laravel-12', redisClient: 'phpredis', parts: ['laravel-12', 'phpredis'] },
  { app: 'laravel-8', redisClient: 'predis', parts: ['laravel-8'] },
  { app: 'laravel-8', redisClient: 'phpredis', parts: ['laravel-8', 'phpredis'] },
]

const LINGER = ['--linger-ms', '800']
const TOKEN_ENDPOINT = ['--auth-endpoint', '/api/broadcasting/auth']

let rooms = 0
/** A room nobody was in before. */
const nextRoom = () => `presence-room.${++rooms}`

for (const { app, redisClient, parts } of applications) {
  describe.runIf(requirePart('redis', 'php', 'curl', ...parts))(`two gateways and ${app} with ${redisClient}`, () => {
    let redis: RedisServer
    let laravel: Laravel
    /** Sends session cookies to Laravel's default auth route. */
    let here: GatewayProcess
    /** Sends bearer tokens to a route of its own. */
    let there: GatewayProcess

    beforeAll(async () => {
      redis = await startRedis()
      laravel = await startLaravel({ app, redisClient, redisPort: redis.port })
      ;[here, there] = await Promise.all([start(), start(TOKEN_ENDPOINT)])
    })

    afterAll(async () => {
      await Promise.all([here?.stop(), there?.stop()])
      await laravel?.stop()
      await redis?.close()
    })

    const start = (args: string[] = []) => startGatewayProcess(['--laravel', laravel.dir, ...LINGER, ...args])

    const withSession = async (userId: number) => ({ cookie: (await laravel.login(userId)).cookie })

    it('show each other who comes, and who leaves with his last page, whatever he is known by', async () => {
      const room = nextRoom()
      const watchers = [await enter(here, room, await withSession(1)), await enter(there, room, withToken(2))]

      const session = await enter(here, room, await withSession(7))
      const token = await enter(there, room, withToken(7))
      expect(listOf(token)).toEqual({
        channel: room,
        members: [member(1, 'Ada'), member(2, 'Grace'), member(7, 'User 7')],
        me: '7',
      })
      expect(await memberToldTo(watchers[1], 'joining')).toEqual({ channel: room, member: member(7, 'User 7') })
      await session.stream.drop()
      // Another one comes, goes, and is gone after the same time: whoever was to leave before has left.
      const visitor = await enter(here, room, await withSession(8))
      await visitor.stream.drop()
      for (const watcher of watchers) await watcher.until('-8')
      await token.stream.drop()
      for (const watcher of watchers) await watcher.until('-7')

      expect(watchers[0]?.comings).toEqual(['+2', '+7', '+8', '-8', '-7'])
      expect(watchers[1]?.comings).toEqual(['+7', '+8', '-8', '-7'])
    })

    it('leave out the connection that toOthers() names, and no other page of the same user', async () => {
      const room = nextRoom()
      const sender = await enter(here, room, await withSession(7))
      const others = [
        await enter(here, room, await withSession(7)),
        await enter(there, room, withToken(7)),
        await enter(there, room, withToken(8)),
      ]

      await laravel.broadcast('announced', { id: 1, channel: room, socketId: sender.socketId })
      await laravel.broadcast('announced', { id: 2, channel: room })

      expect(await numbersUpTo(2, sender)).toEqual([2])
      for (const other of others) expect(await numbersUpTo(2, other)).toEqual([1, 2])
    })

    it('carry whispers to each other, with the name of who whispers', async () => {
      const room = nextRoom()
      const ada = await enter(here, room, await withSession(1))
      const grace = await enter(there, room, withToken(2))

      expect(await ada.whisper(here.url, room, 'client-typing', { at: 1 })).toEqual({ status: 204, body: '' })
      expect(await grace.stream.next('message')).toMatchObject({
        id: undefined,
        text: `{"channel":"${room}","event":"client-typing","data":{"at":1},"userId":"1"}`,
      })
      // A whisper may be sent by way of any gateway.
      expect(await grace.whisper(here.url, room, 'client-typing', {})).toMatchObject({ status: 204 })
      expect((await ada.stream.next('message')).data).toMatchObject({ event: 'client-typing', userId: '2' })
      await laravel.broadcast('announced', { id: 1, channel: room })
      await Promise.all([ada, grace].map((page) => numbersUpTo(1, page)))

      for (const { stream } of [ada, grace]) expect(stream.broadcasts).toHaveLength(2)
    })

    it('deny a presence channel whose callback does not say who comes, with a hint', async () => {
      const page = await openPage(here.url, 'presence-anyone.1,private-anyone.1', await withSession(1))

      // Says that every channel is decided.
      await page.stream.next('ping')

      const told = (name: string) => page.stream.frames.filter(({ event }) => event === name).map(({ data }) => data)
      expect(told('subscribed')).toEqual([{ channel: 'private-anyone.1' }])
      expect(told('denied')).toHaveLength(1)
      expect(told('denied')[0]).toMatchObject({
        channel: 'presence-anyone.1',
        status: 403,
        code: 'forbidden',
        message: expect.stringMatching(/routes\/channels\.php return an array/),
        retry: false,
      })
    })

    it('grant a private channel whose callback returns an array, and keep no list of it', async () => {
      const room = nextRoom().replace('presence-', 'private-')
      const ada = await enter(here, room, await withSession(1))
      const grace = await enter(there, room, withToken(2))

      expect(listOf(ada)).toEqual({ channel: room })
      expect(await ada.whisper(here.url, room, 'client-typing', 'x')).toMatchObject({ status: 204 })
      expect((await grace.stream.next('message')).text).toBe(`{"channel":"${room}","event":"client-typing","data":"x"}`)
      expect(ada.comings).toEqual([])
    })

    it('withdraw the channels of a page whose user has logged out, when they ask again', async () => {
      const room = nextRoom()
      // An auth call that is under way at the logout must not bring the session back.
      const asksAgain = await start(['--recheck-s', '1', '--auth-endpoint', '/cured/broadcasting/auth'])
      onTestFinished(() => asksAgain.stop())
      const watcher = await enter(there, room, withToken(2))
      const ada = await laravel.login(1)
      const page = await enter(asksAgain, `${room},private-orders.1`, { cookie: ada.cookie }, 2)
      await watcher.until('+1')

      await ada.post('/logout')
      const revoked = (await page.stream.take(2, 'revoked')).map(({ data }) => data)
      await watcher.until('-1')

      expect(revoked.map(({ channel }) => channel).toSorted()).toEqual([room, 'private-orders.1'].toSorted())
      for (const { status } of revoked) expect(status).toBe(403)
      expect(page.stream.hasExited).toBe(false)
    })

    it('withdraw all guarded channels of a user at once when Laravel says so', async () => {
      const room = nextRoom()
      const watcher = await enter(there, room, withToken(2))
      const pages = [
        await enter(here, `${room},private-orders.7,news`, await withSession(7), 3),
        await enter(there, `${room},private-orders.7,news`, withToken(7), 3),
      ]

      await laravel.revoke(7)
      for (const { stream } of pages) {
        const revoked = (await stream.take(2, 'revoked')).map(({ data }) => data)
        expect(revoked.map(({ channel }) => channel).toSorted()).toEqual([room, 'private-orders.7'].toSorted())
        for (const data of revoked) expect(data).toMatchObject({ status: 403, code: 'revoked' })
      }
      await watcher.until('-7')
      await laravel.broadcast('announced', { id: 1, channel: room })
      await laravel.broadcast('order-paid', { id: 7 })
      await laravel.broadcast('announced', { id: 2, channel: 'news' })

      for (const page of pages) {
        expect(await numbersUpTo(2, page)).toEqual([2])
        expect(await page.whisper(here.url, room, 'client-typing', 'x')).toMatchObject({ status: 403 })
      }
      expect(watcher.comings).toEqual(['+7', '-7'])
      expect(await numbersUpTo(1, watcher)).toEqual([1])
    })
  })
}

const PUSHER_PARTS = ['redis', 'php', 'curl', 'laravel-8', 'pusher-sdk'] as const
const PUSHER_APP = { PUSHER_APP_ID: 'shop', PUSHER_APP_KEY: 'shop-key', PUSHER_APP_SECRET: 'shop-secret' }

describe.runIf(requirePart(...PUSHER_PARTS))(
  'a gateway before Laravel 8 with the redis driver, one before it with pusher',
  () => {
    let redis: RedisServer
    let numbering: Laravel
    let signing: Laravel
    let here: GatewayProcess
    let there: GatewayProcess

    beforeAll(async () => {
      redis = await startRedis()
      const options: LaravelOptions = { app: 'laravel-8', redisClient: 'predis', redisPort: redis.port }
      const env = { BROADCAST_DRIVER: 'pusher', PUSHER_HOST: '127.0.0.1', ...PUSHER_APP }
      ;[numbering, signing] = await Promise.all([startLaravel(options), startLaravel({ ...options, env })])
      ;[here, there] = await Promise.all([
        startGatewayProcess(['--laravel', numbering.dir, ...LINGER]),
        // With another driver than redis, `.env` does not say that broadcasts go through Redis.
        startGatewayProcess(['--laravel', signing.dir, '--redis', redis.url, ...LINGER]),
      ])
      signing.set({ PUSHER_PORT: new URL(there.url).port })
    })

    afterAll(async () => {
      await Promise.all([here?.stop(), there?.stop()])
      await Promise.all([numbering?.stop(), signing?.stop()])
      await redis?.close()
    })

    const withSessionOf = async (laravel: Laravel, userId: number) => ({ cookie: (await laravel.login(userId)).cookie })

    it('takes a number in an object and a text in signed JSON for the same member', async () => {
      expect(await answerOf(numbering)).toBe('{"channel_data":{"user_id":7,"user_info":{"id":7,"name":"User 7"}}}')
      expect(JSON.parse(await answerOf(signing))).toEqual({
        auth: expect.stringMatching(/^shop-key:[0-9a-f]{64}$/),
        channel_data: '{"user_id":"7","user_info":{"id":7,"name":"User 7"}}',
      })
      const room = nextRoom()
      const watcher = await enter(here, room, await withSessionOf(numbering, 1))

      const first = await enter(here, room, await withSessionOf(numbering, 7))
      const second = await enter(there, room, await withSessionOf(signing, 7))
      expect(listOf(second)).toEqual({ channel: room, members: [member(1, 'Ada'), member(7, 'User 7')], me: '7' })
      await first.stream.drop()
      const visitor = await enter(there, room, await withSessionOf(signing, 8))
      await visitor.stream.drop()
      await watcher.until('-8')
      await second.stream.drop()
      await watcher.until('-7')

      expect(watcher.comings).toEqual(['+7', '+8', '-8', '-7'])
    })

    it('leaves out whom toOthers() names when it is published by HTTP, and shows the others', async () => {
      const room = nextRoom()
      const sender = await enter(there, room, await withSessionOf(signing, 7))
      const others = [
        await enter(there, room, await withSessionOf(signing, 7)),
        await enter(here, room, await withSessionOf(numbering, 7)),
      ]

      await signing.broadcast('announced', { id: 1, channel: room, socketId: sender.socketId })
      await signing.broadcast('announced', { id: 2, channel: room })

      expect(await numbersUpTo(2, sender)).toEqual([2])
      for (const other of others) expect(await numbersUpTo(2, other)).toEqual([1, 2])
    })

    it('withdraws the channels of a user whichever way Laravel spelt his id', async () => {
      const room = nextRoom()
      const pages = [
        await enter(here, room, await withSessionOf(numbering, 7)),
        await enter(there, room, await withSessionOf(signing, 7)),
      ]

      await signing.revoke(7)

      for (const { stream } of pages) {
        expect((await stream.next('revoked')).data).toMatchObject({ channel: room, code: 'revoked' })
      }
    })

    async function answerOf(laravel: Laravel): Promise<string> {
      const visitor = await laravel.login(7)
      const form = { channel_name: 'presence-room.0', socket_id: '1.1' }
      return (await visitor.post('/broadcasting/auth', form)).text()
    }
  },
)

function withToken(userId: number): CurlOptions {
  return { headers: { Authorization: `Bearer token-${userId}` } }
}

/** Opens a page; resolves when its channels, so many of them, are granted. */
async function enter({ url }: GatewayProcess, channels: string, login: CurlOptions, count = 1): Promise<CurlPage> {
  const page = await openPage(url, channels, login)
  await page.stream.take(count, 'subscribed')
  return page
}

/** What the page was told of its first channel. The order of members means nothing. */
function listOf({ stream }: CurlPage): unknown {
  const { members, ...rest } = stream.frames.find(({ event }) => event === 'subscribed')?.data ?? {}
  if (members === undefined) return rest
  return { ...rest, members: members.toSorted((a: { id: string }, b: { id: string }) => Number(a.id) - Number(b.id)) }
}

function member(id: number, name: string) {
  return { id: String(id), info: { id, name } }
}

async function memberToldTo(page: CurlPage | undefined, event: 'joining' | 'leaving'): Promise<unknown> {
  return (await page?.stream.next(event))?.data
}

/** The numbers of the broadcasts the page was told, the last one included. */
async function numbersUpTo(last: number, { stream }: CurlPage): Promise<number[]> {
  const numbers = () => stream.broadcasts.flatMap(({ data }) => data.data?.id ?? [])
  while (!numbers().includes(last)) await stream.next('message')
  return numbers()
}
