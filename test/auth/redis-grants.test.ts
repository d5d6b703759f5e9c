import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { RedisGrantStore } from '../../src/auth/redis-grants.ts'
import type { Revocation } from '../../src/auth/revocation.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type PresenceNode, startNode } from '../support/presence-node.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const SOCKET = '8123.1'
const orders = new Map([['private-orders', null]])

const revocation = (named: Partial<Revocation>): Revocation => ({ user: null, channel: null, socket: null, ...named })
const pairs = (list: string[]) =>
  list.flatMap((text, at) => (at % 2 === 0 ? [[text, list[at + 1] ?? ''] as const] : []))

type GrantNode = PresenceNode & { readonly grants: RedisGrantStore }

describe.runIf(requirePart('redis'))('RedisGrantStore', () => {
  let server: RedisServer
  let redis: Redis
  let redisPrefix: string
  let apps = 0
  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })
  beforeEach(() => {
    apps += 1
    redisPrefix = `app${apps}_`
  })

  const revocationsKey = () => `${redisPrefix}sse:revocations`
  const key = () => `${redisPrefix}sse:socket:${SOCKET}`
  async function start(url = server.url, keyTtlS = 60): Promise<GrantNode> {
    const node = await startNode({ redis: url, redisPrefix })
    return Object.assign(node, { grants: new RedisGrantStore({ lease: node.lease, keyTtlS }) })
  }

  it('shows another node what a socket is granted, and who it is', async () => {
    const [one, other] = [await start(), await start()]
    const channels = new Map([
      ['private-orders', null],
      ['presence-room.1', { id: '7', info: { name: 'Zoë 😀', roles: ['a', { b: null }] } }],
      ['private-__proto__', null],
      ['__proto__', { id: '__proto__', info: JSON.parse('{"__proto__":{"isAdmin":true}}') as unknown }],
    ])
    await one.grants.write(SOCKET, channels)
    const [found] = await other.grants.find(SOCKET)
    expect(found?.isLive).toBe(true)
    expect([...(found?.channels ?? [])]).toEqual([...channels])
    expect(Object.keys(found?.channels.get('__proto__')?.info as object)).toEqual(['__proto__'])
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })

  it('knows nothing of a socket nobody wrote about', async () => {
    expect(await (await start()).grants.find('9.9')).toEqual([])
  })

  it('replaces what another node only keeps for its return', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    await one.grants.release(SOCKET, 60_000)
    await other.grants.write(SOCKET, new Map([['private-invoices', null]]))
    expect(await one.grants.find(SOCKET)).toEqual([{ channels: new Map([['private-invoices', null]]), isLive: true }])
  })

  it('forgets by itself, though not before its time', async () => {
    const { grants } = await start(server.url, 86_400)
    await grants.write(SOCKET, orders)
    expect(await redis.pttl(key())).toBeGreaterThan(86_300_000)
    await grants.release(SOCKET, 50_000)
    expect(await redis.pttl(key())).toBeLessThanOrEqual(50_000)
    expect(await redis.pttl(key())).toBeGreaterThan(40_000)
    await grants.write(SOCKET, orders)
    expect(await redis.pttl(key())).toBeGreaterThan(86_300_000)
  })

  it('says that a socket is kept only for its return, and then forgets it', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    await one.grants.release(SOCKET, 60_000)
    expect(await other.grants.find(SOCKET)).toEqual([{ channels: orders, isLive: false }])
    await one.grants.release(SOCKET, 0)
    expect(await other.grants.find(SOCKET)).toEqual([])
    expect(await redis.exists(key())).toBe(0)
  })

  it('is beside what the socket is granted at another node, which one that ends does not touch', async () => {
    const [one, other] = [await start(), await start()]
    const invoices = new Map([['private-invoices', null]])
    await one.grants.write(SOCKET, orders)
    await other.grants.write(SOCKET, invoices)
    expect(await one.grants.find(SOCKET)).toHaveLength(2)
    await one.grants.release(SOCKET, 60_000)
    expect(await one.grants.find(SOCKET)).toEqual([{ channels: invoices, isLive: true }])
    expect(await redis.pttl(key())).toBeGreaterThan(50_000)
    await one.grants.release(SOCKET, 5)
    expect(await one.grants.find(SOCKET)).toEqual([{ channels: invoices, isLive: true }])
  })

  it('is forgotten with a page that says it is gone, whoever wrote it', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    await other.grants.forget(SOCKET)
    expect(await one.grants.find(SOCKET)).toEqual([])
    expect(await redis.exists(key())).toBe(0)
  })

  it('counts no longer than the lease of the node that wrote it, whether or not anybody looked', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    // Neither taken for dead nor cleaned up after yet: only run out.
    await redis.zadd(`${redisPrefix}sse:nodes`, 1, one.lease.incarnation ?? '')
    expect(await other.grants.find(SOCKET)).toEqual([])
    one.kill()
  })

  it('is gone with a node that was killed', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    one.kill()
    await vi.waitFor(async () => expect(await other.grants.find(SOCKET)).toEqual([]), PATIENCE_MS)
    expect(await redis.exists(key())).toBe(1)
  })

  it('lasts as long as a node that stopped was told to keep its word', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    await one.grants.release(SOCKET, 60_000)
    await one.store.stop(60_000)
    expect(await other.grants.find(SOCKET)).toEqual([{ channels: orders, isLive: false }])
  })

  it('counts under the new name of a node that was forgotten, once it is written again', async () => {
    const [one, other] = [await start(), await start()]
    await one.grants.write(SOCKET, orders)
    await redis.zadd(`${redisPrefix}sse:nodes`, 0, one.lease.incarnation ?? '')
    await one.store.verify()
    expect(await other.grants.find(SOCKET)).toEqual([])
    await one.grants.write(SOCKET, orders)
    expect(await other.grants.find(SOCKET)).toEqual([{ channels: orders, isLive: true }])
  })

  it('holds nothing but the node, whether it is live, the channels, and since when', async () => {
    const { grants, lease } = await start()
    const member = { id: '7', info: 'x', token: 'secret' }
    await grants.write(SOCKET, new Map([['presence-room.1', member]]))
    expect(await redis.hgetall(key())).toEqual({
      [lease.incarnation ?? '']: expect.stringMatching(/^1 \d{16} \[\["presence-room\.1",\{"id":"7","info":"x"\}\]\]$/),
    })
  })

  describe('a revocation', () => {
    const channels = new Map([
      ['private-orders', null],
      ['presence-room.1', { id: '7', info: {} }],
      ['presence-admins', { id: '3', info: {} }],
    ])
    const left = async ({ grants }: GrantNode) => [...((await grants.find(SOCKET))[0]?.channels.keys() ?? [])]

    it.each<[string, Partial<Revocation>, string[]]>([
      ['a user', { user: '7' }, ['presence-admins']],
      ['a channel', { channel: 'private-orders' }, ['presence-room.1', 'presence-admins']],
      ['a socket', { socket: SOCKET }, []],
      ['somebody else', { user: '9' }, ['private-orders', 'presence-room.1', 'presence-admins']],
    ])(
      'of %s counts against what was written before it, also for a node that began after it',
      async (_case, named, rest) => {
        const [one, other] = [await start(), await start()]
        await one.grants.write(SOCKET, channels)
        await one.grants.release(SOCKET, 60_000)
        // It has stopped as it should, so its word counts for a while, and it hears nothing any more.
        await one.store.stop(8000)
        await other.grants.revoke(revocation(named), 60_000, null)
        expect(await left(await start())).toEqual(rest)
        expect(await left(other)).toEqual(rest)
      },
    )

    it('says nothing of what is granted after it, however often it is heard', async () => {
      const [one, other] = [await start(), await start()]
      await one.grants.write(SOCKET, channels)
      await one.grants.revoke(revocation({ user: '7' }), 60_000, null)
      await one.grants.write(SOCKET, channels)
      await other.grants.revoke(revocation({ user: '7' }), 60_000, null)
      expect(await left(other)).toHaveLength(3)
      // A second one is no echo of the first.
      const [[text, atUs] = ['', '']] = pairs(await redis.zrange(revocationsKey(), '0', '-1', 'WITHSCORES'))
      await redis.zadd(revocationsKey(), Number(atUs) - 1_000_001, text)
      await other.grants.revoke(revocation({ user: '7' }), 60_000, null)
      expect(await left(other)).toEqual(['presence-admins'])
    })

    it('says nothing of what is granted after it, however late a node hears it', async () => {
      const [one, other, late] = [await start(), await start(), await start()]
      await one.grants.write(SOCKET, channels)
      await other.grants.revoke(revocation({ user: '7' }), 60_000, '5.6.7')
      await one.grants.write(SOCKET, channels)
      const [[text, atUs] = ['', '']] = pairs(await redis.zrange(revocationsKey(), '0', '-1', 'WITHSCORES'))
      expect(text).toBe('5.6.7 {"user":"7","channel":null,"socket":null}')
      await redis.zadd(revocationsKey(), Number(atUs) - 30_000_000, text)
      await late.grants.revoke(revocation({ user: '7' }), 60_000, '5.6.7')
      expect(await left(late)).toHaveLength(3)
      // Another one of the same user, also at once.
      await other.grants.revoke(revocation({ user: '7' }), 60_000, '5.6.8')
      expect(await left(late)).toEqual(['presence-admins'])
      expect(await late.grants.revocations()).toMatchObject(
        [5, 6].map(() => ({ revocation: revocation({ user: '7' }) })),
      )
    })

    it.each([
      ['first', null, '5.6.7'],
      ['second', '5.6.7', null],
    ])('is the same one within a second where the %s node does not know its id', async (_which, first, second) => {
      const [one, other] = [await start(), await start()]
      await one.grants.revoke(revocation({ user: '7' }), 60_000, first)
      await one.grants.write(SOCKET, channels)
      await other.grants.revoke(revocation({ user: '7' }), 60_000, second)
      expect(await left(other)).toHaveLength(3)
    })

    it('may have been forgotten by a server that has begun anew, and so nothing it knows is believed', async () => {
      const [one, other] = [await start(), await start()]
      await one.grants.write(SOCKET, channels)
      expect(await other.grants.find(SOCKET)).toHaveLength(1)
      await redis.set(`${redisPrefix}sse:run`, 'the run before')
      expect(await other.grants.find(SOCKET)).toEqual([])
      await other.store.verify()
      expect(await other.grants.find(SOCKET)).toEqual([])
    })

    it('is forgotten in its time', async () => {
      const { grants } = await start()
      await grants.revoke(revocation({ user: 'long ago' }), 60_000, null)
      await redis.zadd(revocationsKey(), (Date.now() - 60_001) * 1000, JSON.stringify(revocation({ user: 'long ago' })))
      await grants.revoke(revocation({ user: '7' }), 60_000, null)
      expect(await redis.zrange(revocationsKey(), '0', '-1')).toEqual(['{"user":"7","channel":null,"socket":null}'])
      expect(await redis.pttl(revocationsKey())).toBeGreaterThan(50_000)
      expect(await redis.pttl(revocationsKey())).toBeLessThanOrEqual(60_000)
    })

    it('is one of so many that nothing older is believed at all', async () => {
      const one = await start()
      await one.grants.write(SOCKET, channels)
      const others = Array.from({ length: 1000 }, (_, user) => [`${Date.now() + 1000}000`, `{"user":"x${user}"}`])
      await redis.zadd(revocationsKey(), ...others.slice(1).flat())
      expect(await left(one)).toHaveLength(3)
      await redis.zadd(revocationsKey(), ...others.flat())
      expect(await one.grants.find(SOCKET)).toEqual([])
    })

    it('can be looked up by who was away, with its age', async () => {
      const [one, other] = [await start(), await start()]
      expect(await one.grants.revocations()).toEqual([])
      await one.grants.revoke(revocation({ user: '7', channel: 'private-"a"' }), 60_000, null)
      await redis.zadd(revocationsKey(), (Date.now() - 30_000) * 1000, JSON.stringify(revocation({ socket: SOCKET })))
      const [old, recent, ...rest] = await other.grants.revocations()
      expect([old?.revocation, recent?.revocation, rest]).toEqual([
        revocation({ socket: SOCKET }),
        revocation({ user: '7', channel: 'private-"a"' }),
        [],
      ])
      expect(old?.agoMs).toBeGreaterThanOrEqual(29_999)
      expect(old?.agoMs).toBeLessThan(40_000)
      expect(recent?.agoMs).toBeGreaterThan(0)
      expect(recent?.agoMs).toBeLessThan(10_000)
    })

    it('that is no text of ours is passed over', async () => {
      const one = await start()
      await one.grants.write(SOCKET, channels)
      await redis.zadd(
        revocationsKey(),
        (Date.now() + 1000) * 1000,
        'rubbish',
        (Date.now() + 1000) * 1000,
        '{"user":{}}',
      )
      expect(await left(one)).toHaveLength(3)
    })
  })

  it('rejects while Redis is away', async () => {
    const line = await startTcpProxy(server.port)
    const { grants } = await start(line.redisUrl)
    line.cut()
    const unavailable = { code: 'broker_unavailable' }
    await expect(grants.write(SOCKET, orders)).rejects.toMatchObject(unavailable)
    await expect(grants.find(SOCKET)).rejects.toMatchObject(unavailable)
    await expect(grants.release(SOCKET, 0)).rejects.toMatchObject(unavailable)
    await expect(grants.revoke(revocation({ user: '7' }), 60_000, null)).rejects.toMatchObject(unavailable)
  })
})
