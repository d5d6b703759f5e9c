import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'
import { untilTrue } from '../support/until-true.ts'

const ROOM = 'presence-lobby'
const KEY = `sse:presence:${ROOM}`

describe.runIf(requirePart('redis'))('a presence channel of many members on two gateways', () => {
  let server: RedisServer
  let redis: Redis
  let here: RunningGateway
  let there: RunningGateway

  beforeEach(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2 })
    ;[here, there] = await Promise.all([start(), start()])
  })
  afterEach(async () => {
    redis?.disconnect()
    await Promise.all([here?.stop(), there?.stop()])
    await server?.close()
  })

  it('of a thousand, tells the one who comes of all, all others of that one alone, and asks Redis no more than for ten', async () => {
    // How many listen is told to Redis twice a second, whoever comes.
    await Promise.all([here, there].map(({ gateway }) => gateway.services.occupancy.stop(60_000)))
    const few = await listeners(here, 1, 10)
    await untilTold(few, await enter(there, 'first'))
    const { cost: costOfFew } = await costOf('second', few)

    await Promise.all([crowd(here, 11, 400), crowd(there, 401, 796)])
    const listening = [...few, ...(await listeners(here, 797, 896)), ...(await listeners(there, 897, 996))]
    await untilTold(listening, await enter(here, 'third'))
    for (const listener of listening) listener.startOver()
    const { cost, newcomer } = await costOf('fourth', listening)

    const { members, me } = newcomer.list
    const everybody = Array.from({ length: 996 }, (_, index) => String(index + 1))
    expect(idsOf(members)).toEqual([...everybody, 'first', 'second', 'third', 'fourth'].toSorted())
    expect(me).toBe('fourth')
    const frame = `event: joining\ndata: {"channel":"${ROOM}","member":${JSON.stringify(memberOf('fourth'))}}\n\n`
    const chunk = `${Buffer.byteLength(frame).toString(16)}\r\n${frame}\r\n`
    expect(new Set(listening.map(({ text }) => text))).toEqual(new Set([chunk]))
    expect(cost).toEqual(costOfFew)
    expect(cost).toMatchObject({ publish: 1 })
    expect(cost).not.toHaveProperty('hgetall')
  })

  it('of ten thousand, names the first, the one who asks and how many they are, and forgets nobody with a Redis that forgets all', async () => {
    const before = usedBytes()
    const watcher = await enter(here, 'watcher')
    await Promise.all([crowd(here, 1, 5000), crowd(there, 5001, 10_000)])
    const newcomer = await enter(there, 'newcomer')
    await untilTrue(() => [here, there].every((node) => node.gateway.services.presence.roster(ROOM)?.size === 10_002))

    const { members, count, me } = newcomer.list
    expect({ listed: members.length, count, me }).toEqual({ listed: 1001, count: 10_002, me: 'newcomer' })
    expect(members.at(-1)).toEqual(memberOf('newcomer'))
    // A kilobyte a member and node: what a page or two of them weigh, not what a copy per listener would.
    expect(usedBytes() - before).toBeLessThan(2 * 10_000 * 1024 + 16 * 1024 * 1024)
    // Whoever comes in a rush goes in few steps.
    expect((await commandsOf(redis)).publish).toBeLessThan(200)

    await untilTrue(() => watcher.comings('joining') === 10_001)
    await redis.flushall()
    await Promise.all([here, there].map(({ gateway }) => gateway.services.presence.refresh()))
    await untilTrue(async () => (await redis.hlen(KEY)) === 10_003)
    const last = await enter(there, 'last')
    await untilTrue(() => watcher.comings('joining') > 10_001)

    expect(watcher.comings('leaving')).toBe(0)
    expect(watcher.comings('joining')).toBe(10_002)
    expect(last.list.count).toBe(10_003)
  })

  async function start(overrides: Partial<Config> = {}): Promise<RunningGateway> {
    const limits = { maxConnections: 20_000, maxConnectionsPerAddress: 20_000 }
    // Nothing is due while something is counted.
    const quiet = { markerIntervalMs: 600_000, readyTimeoutMs: 600_000, leaseS: 3600, heartbeatMs: 600_000 }
    const gateway = await startGateway({ redis: server.url, redisPrefix: '', ...limits, ...quiet, ...overrides })
    gateway.authorizer.decides(({ credentials }) => {
      const id = /^Bearer (\S+)$/.exec(credentials.headers.authorization ?? '')?.[1] ?? ''
      return { allowed: true, member: memberOf(id) }
    })
    return gateway
  }

  /** The commands that Redis runs, those in scripts included, when somebody comes and these are told so. */
  async function costOf(user: string, listening: readonly Listener[]) {
    await redis.config('RESETSTAT')
    const newcomer = await enter(there, user)
    await untilTold(listening, newcomer)
    // The last that is written when somebody comes.
    await untilTrue(async () => (await redis.exists(`sse:socket:${newcomer.socketId}`)) === 1)
    return { newcomer, cost: await commandsOf(redis) }
  }
})

function memberOf(id: string) {
  return { id, info: { name: `User ${id}` } }
}

function idsOf(members: readonly { id: string }[]): string[] {
  return members.map(({ id }) => id).toSorted()
}

function login(user: string) {
  return { authorization: `Bearer ${user}` }
}

/** Somebody whose every frame is read. */
class Newcomer {
  readonly user: string
  readonly stream: SseClient
  // biome-ignore lint/suspicious/noExplicitAny: as the data of a frame.
  readonly list: any
  readonly socketId: string

  constructor(user: string, stream: SseClient) {
    const dataOf = (name: string) => stream.frames.find(({ event }) => event === name)?.data
    this.user = user
    this.stream = stream
    this.list = dataOf('subscribed')
    this.socketId = dataOf('connected').socketId
  }

  comings(event: 'joining' | 'leaving'): number {
    return this.stream.frames.filter((frame) => frame.event === event).length
  }
}

async function enter({ url }: RunningGateway, user: string): Promise<Newcomer> {
  const stream = await openStream(`${url}/stream?channels=${ROOM}`, { headers: login(user) })
  await stream.next('subscribed')
  return new Newcomer(user, stream)
}

/** One of many: a connection whose bytes are kept as they come. */
class Listener {
  text = ''
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.text += chunk
    })
    socket.on('error', () => {})
  }

  startOver(): void {
    this.text = ''
  }

  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) await once(this.#socket, 'data')
  }
}

/** Users of these numbers, who all come at once and are there when this resolves. */
async function listeners({ port }: RunningGateway, from: number, to: number): Promise<Listener[]> {
  const users = Array.from({ length: to - from + 1 }, (_, index) => String(from + index))
  return Promise.all(
    users.map(async (user) => {
      const socket = connect({ port, host: '127.0.0.1' })
      const listener = new Listener(socket)
      const { authorization } = login(user)
      socket.write(`GET /stream?channels=${ROOM} HTTP/1.1\r\nHost: g\r\nAuthorization: ${authorization}\r\n\r\n`)
      await listener.until('event: subscribed')
      return listener
    }),
  )
}

async function untilTold(listening: readonly Listener[], { user }: Newcomer): Promise<void> {
  await Promise.all(listening.map((listener) => listener.until(`"member":${JSON.stringify(memberOf(user))}}\n\n`)))
}

/** Users of these numbers, with sockets that no stream belongs to: here only the list matters. */
async function crowd({ gateway }: RunningGateway, from: number, to: number): Promise<void> {
  const { presence } = gateway.services
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  await Promise.all(numbers.map((number) => presence.enter(ROOM, `${number}.1`, memberOf(String(number)))))
}

/** How often Redis ran which command, apart from those with which this test looks. */
async function commandsOf(redis: Redis): Promise<Record<string, number>> {
  const lines = (await redis.info('commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)
  const own = ['config|resetstat', 'exists', 'info', 'hlen']
  return Object.fromEntries(
    [...lines].filter(([, name = '']) => !own.includes(name)).map(([, name, calls]) => [name, Number(calls)]),
  )
}

function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
