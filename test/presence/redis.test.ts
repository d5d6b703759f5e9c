import { once } from 'node:events'
import { connect } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { presenceKeys } from '../../src/presence/redis-keys.ts'
import { RedisReaper } from '../../src/presence/redis-reaper.ts'
import { withPresenceScripts } from '../../src/presence/redis-scripts.ts'
import { PRESENCE_TRAFFIC } from '../../src/presence/store.ts'
import { presenceStoreContract } from '../contract/presence-store.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import type { PresenceEars } from '../support/presence-ears.ts'
import {
  openEars,
  type PresenceNode,
  type PresenceNodeOptions,
  SHORT_LEASE_S,
  startNode,
  storyOf,
  user,
} from '../support/presence-node.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const ROOM = 'presence-room.1'

let apps = 0
const newPrefix = () => `app${++apps}_`

describe.runIf(requirePart('redis'))('on a real Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  presenceStoreContract('RedisPresenceStore', async () => {
    const redisPrefix = newPrefix()
    const ears = await openEars(server.url, redisPrefix)
    const { store, news } = await startNode({ redis: server.url, redisPrefix })
    return {
      store,
      ears,
      news,
      close: async () => {
        await store.stop(0)
        ears.close()
        expect(await server.cli('KEYS', `${redisPrefix}*`)).toMatch(/^\S+sse:run\S*$/)
      },
    }
  })
})

describe.runIf(requirePart('redis'))('in a Redis Cluster', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedisCluster()
  })
  afterAll(() => server?.close())

  for (const tag of ['', '{shop}']) {
    presenceStoreContract(`RedisPresenceStore with the prefix "${tag}app_"`, async () => {
      const redisPrefix = `${tag}${newPrefix()}`
      const ears = await openEars(server.url, redisPrefix)
      const { store, news } = await startNode({ redisCluster: [`127.0.0.1:${server.port}`], redisPrefix })
      return {
        store,
        ears,
        news,
        close: async () => {
          await store.stop(0)
          ears.close()
          expect(await server.cli('KEYS', `${redisPrefix}*`)).toMatch(/^\S+sse:run\S*$/)
        },
      }
    })
  }
})

describe.runIf(requirePart('redis'))('RedisPresenceStore on many nodes', () => {
  let server: RedisServer
  let redis: Redis
  let redisPrefix: string
  let ears: PresenceEars
  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    redis?.disconnect()
    await server?.close()
  })
  beforeEach(async () => {
    redisPrefix = newPrefix()
    ears = await openEars(server.url, redisPrefix)
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const keys = () => presenceKeys({ redisPrefix, redisCluster: [] })
  const start = (options: PresenceNodeOptions = {}) => startNode({ redis: server.url, redisPrefix, ...options })
  const join = ({ store }: PresenceNode, ...ids: string[]) =>
    store.update({ channel: ROOM, joined: ids.map((id) => user(id)), left: [], isLast: false })
  const leave = ({ store }: PresenceNode, left: string[], isLast = false) =>
    store.update({ channel: ROOM, joined: [], left, isLast })
  const nameOf = ({ lease }: PresenceNode) => lease.incarnation ?? ''
  const takeForDead = (node: PresenceNode) => redis.zadd(keys().nodes, 0, nameOf(node))
  const listed = async ({ store }: PresenceNode) => (await store.read(ROOM)).members.map(({ id }) => id).sort()
  /** Whatever was to be told has been told when this has. */
  const untilAllIsTold = async (node: PresenceNode) => {
    await node.store.update({ channel: 'presence-fence', joined: [user('fence')], left: [], isLast: false })
    await ears.until((self) => self.on('presence-fence').length > 0)
  }

  it('tells of a user once, when the first node says so, and when the last one no longer does', async () => {
    const [one, other] = [await start(), await start()]
    await join(one, '7')
    await join(other, '7')
    expect((await other.store.read(ROOM)).own).toEqual(new Set(['7']))
    await leave(one, ['7'], true)
    expect(await one.store.read(ROOM)).toMatchObject({ members: [user('7')], own: new Set() })
    await leave(other, ['7'], true)
    await untilAllIsTold(one)
    expect(ears.story(ROOM)).toEqual(['+7', '-7'])
  })

  it('shows whose word it is', async () => {
    const [one, other] = [await start(), await start()]
    await join(one, '1', '2')
    await join(other, '2', '3')
    expect((await one.store.read(ROOM)).own).toEqual(new Set(['1', '2']))
    expect((await other.store.read(ROOM)).own).toEqual(new Set(['2', '3']))
  })

  describe('a node that was killed', () => {
    it('takes its users along within the lease, in one change, but not those who are elsewhere as well', async () => {
      const leaseS = 2
      const peers = [await start({ leaseS }), await start({ leaseS })] as const
      const victim = await start({ leaseS })
      await join(victim, '1', '2', '3')
      await join(peers[0], '3', '4')
      const killedAtMs = performance.now()
      victim.kill()
      await ears.until((self) => self.story(ROOM).length === 3)
      expect(performance.now() - killedAtMs).toBeLessThan(leaseS * 1000)
      await vi.waitFor(async () => expect(await redis.zcard(keys().nodes)).toBe(2), PATIENCE_MS)
      await untilAllIsTold(peers[1])
      expect(ears.story(ROOM)).toEqual(['+1 +2 +3', '+4', '-1 -2'])
      expect(await listed(peers[1])).toEqual(['3', '4'])
      expect(peers.map((peer) => peer.forgotten())).toEqual([0, 0])
    })

    it('is cleaned up after by one that starts later', async () => {
      const victim = await start()
      await join(victim, '1')
      victim.kill()
      await start()
      await ears.until((self) => self.story(ROOM).includes('-1'))
      await vi.waitFor(async () => expect(await server.cli('KEYS', `${keys().nodes}*`)).toBe(keys().nodes), PATIENCE_MS)
      expect(await redis.zcard(keys().nodes)).toBe(1)
      expect(await server.cli('KEYS', `${redisPrefix}sse:presence:*`)).toBe('')
    })

    it('leaves nothing behind when two clean up at once, and is told of once', async () => {
      const victim = await start()
      const reapers = [new RedisReaper((await start()).lease), new RedisReaper((await start()).lease)]
      await join(victim, '1', '2')
      victim.kill()
      await takeForDead(victim)
      await Promise.all(reapers.map((reaper) => reaper.reap(nameOf(victim))))
      await untilAllIsTold(await start())
      expect(ears.story(ROOM)).toEqual(['+1 +2', '-1 -2'])
      expect(await redis.zscore(keys().nodes, nameOf(victim))).toBeNull()
    })

    it('is taken over by another when whoever cleaned up died in the middle', async () => {
      const victim = await start()
      const channels = ['presence-a', 'presence-b', 'presence-c']
      for (const channel of channels) {
        await victim.store.update({ channel, joined: [user('1')], left: [], isLast: false })
      }
      victim.kill()
      await takeForDead(victim)
      const half = withPresenceScripts(redis)
      const { nodes, node, presence } = keys()
      const name = nameOf(victim)
      expect((await half.sseKill(nodes, node(name), name)).sort()).toEqual(channels)
      const traffic = redisPrefix + PRESENCE_TRAFFIC
      const [a] = channels as [string]
      await half.sseReap(nodes, node(name), presence(a), name, traffic, a, JSON.stringify(a))
      await start()
      await ears.until((self) => channels.every((channel) => self.story(channel).includes('-1')))
      await vi.waitFor(async () => expect(await redis.zscore(nodes, name)).toBeNull(), PATIENCE_MS)
      expect(channels.map((channel) => ears.story(channel))).toEqual([
        ['+1', '-1'],
        ['+1', '-1'],
        ['+1', '-1'],
      ])
      expect((await redis.keys(`${redisPrefix}*`)).sort()).toEqual([nodes, keys().run])
    })

    it('has no say any more: what it still sends is refused, and it is asked once to say everything again', async () => {
      const node = await start({ leaseS: 60 })
      await join(node, '1')
      const former = nameOf(node)
      await takeForDead(node)
      await expect(join(node, '2')).rejects.toThrow(/say it again/)
      expect(await redis.hkeys(keys().presence(ROOM))).not.toContain('"2"')
      expect(node.forgotten()).toBe(1)
      expect(nameOf(node)).not.toBe(former)
      await join(node, '2')
      expect(node.forgotten()).toBe(1)
      expect(await node.log.until(/no longer knew this node/)).toMatchObject({ former })
    })
  })

  describe('of a server that was another one before', () => {
    /** What a snapshot holds, or a replica: all of it is true, and of the past. */
    const beginAnew = () => redis.set(keys().run, 'the run before')
    const listed = async ({ store }: PresenceNode) => (await store.read(ROOM)).members.map(({ id }) => id).sort()

    it('believe nothing that was said before, and say it again', async () => {
      const [one, other] = [await start({ leaseS: 60 }), await start({ leaseS: 60 })]
      one.sayAgain = () => void join(one, '1')
      await join(one, '1', 'gone')
      await join(other, '2')
      await beginAnew()
      await one.store.verify()
      await vi.waitFor(async () => expect(await listed(one)).toEqual(['1']), PATIENCE_MS)
      expect([one.forgotten(), other.forgotten()]).toEqual([1, 0])
      await expect(join(other, '2')).rejects.toThrow(/say it again/)
      await join(other, '2')
      expect(await listed(one)).toEqual(['1', '2'])
      await one.store.verify()
      expect([one.forgotten(), other.forgotten()]).toEqual([1, 1])
      expect(ears.story(ROOM)).toEqual(['+1 +gone', '+2', '+1', '+2'])
    })

    it('find it out before anything old is believed, whoever asks first', async () => {
      const [one, other, third] = [
        await start({ leaseS: 60 }),
        await start({ leaseS: 60 }),
        await start({ leaseS: 60 }),
      ]
      await join(other, 'gone')
      await beginAnew()
      expect(await listed(one)).toEqual([])
      expect([one.forgotten(), other.forgotten()]).toEqual([1, 0])
      await beginAnew()
      await expect(join(third, '3')).rejects.toThrow(/say it again/)
      expect(third.forgotten()).toBe(1)
    })

    it('believe nothing while Redis has no memory left to begin anew with', async () => {
      const own = await startRedis()
      atEndOfTest(() => own.close())
      const node = await start({ redis: own.url, leaseS: 60 })
      await join(node, 'gone')
      await own.cli('SET', keys().run, 'the run before')
      await own.cli('CONFIG', 'SET', 'maxmemory', '1')
      await expect(listed(node)).rejects.toMatchObject({ code: 'broker_unavailable' })
      await own.cli('CONFIG', 'SET', 'maxmemory', '0')
      expect(await listed(node)).toEqual([])
    })

    it('take no run that is not known for another one', async () => {
      const node = await start({ leaseS: 60 })
      await join(node, '1')
      await redis.del(keys().run)
      await node.store.verify()
      expect([await listed(node), node.forgotten()]).toEqual([['1'], 0])
    })

    it('clean up after those who are not there any more', async () => {
      const victim = await start()
      await join(victim, '7')
      victim.kill()
      await beginAnew()
      const peer = await start()
      await vi.waitFor(async () => expect(await redis.zcard(keys().nodes)).toBe(1), PATIENCE_MS)
      expect((await redis.keys(`${redisPrefix}*`)).sort()).toEqual([keys().nodes, keys().run])
      expect(ears.story(ROOM)).toEqual(['+7', '-7'])
      expect([peer.forgotten(), storyOf(peer.news, ROOM)]).toEqual([0, ['-7']])
    })
  })

  describe('says who came and who is gone', () => {
    const toldBy = (...nodes: PresenceNode[]) => nodes.map(({ news }) => storyOf(news, ROOM))

    it('to the node of the first who says so, and of the last who no longer does', async () => {
      const [one, other] = [await start(), await start()]
      await join(one, '7')
      await join(other, '7')
      await leave(one, ['7'], true)
      await leave(other, ['7'], true)
      expect(toldBy(one, other)).toEqual([['+7'], ['-7']])
    })

    it('to one node, when all of them find another dead', async () => {
      const peers = [await start(), await start(), await start()]
      const victim = await start()
      await join(victim, '1', '2', '3')
      await join(peers[0] as PresenceNode, '3')
      victim.kill()
      await takeForDead(victim)
      await vi.waitFor(() => expect(toldBy(...peers).flat()).toEqual(['-1 -2']), PATIENCE_MS)
      await Promise.all(peers.map(({ store }) => store.stop(0)))
      expect(
        toldBy(...peers)
          .flat()
          .sort(),
      ).toEqual(['-1 -2', '-3'])
      expect(toldBy(victim)).toEqual([['+1 +2 +3']])
    })

    it('again when a node comes back that was taken for dead', async () => {
      const [peer, node] = [await start(), await start({ leaseS: 60 })]
      await join(node, '1')
      await takeForDead(node)
      await vi.waitFor(() => expect(toldBy(peer)).toEqual([['-1']]), PATIENCE_MS)
      await expect(join(node, '1')).rejects.toThrow(/say it again/)
      await join(node, '1')
      expect(toldBy(peer, node)).toEqual([['-1'], ['+1', '+1']])
    })

    it('also when the answer to a step was lost that Redis has taken, once', async () => {
      const line = await startTcpProxy(server.port)
      const node = await start({ redis: line.redisUrl, leaseS: 60, readyTimeoutMs: 300 })
      const say = async (step: () => Promise<unknown>, isDone: () => Promise<boolean>) => {
        line.silence('to-client')
        await expect(step()).rejects.toMatchObject({ code: 'broker_unavailable' })
        await vi.waitFor(async () => expect(await isDone()).toBe(true), PATIENCE_MS)
        line.resume()
        await vi.waitFor(step, PATIENCE_MS)
        await step()
      }
      await say(
        () => join(node, '1'),
        async () => (await redis.exists(keys().presence(ROOM))) === 1,
      )
      await say(
        () => leave(node, ['1'], true),
        async () => (await redis.exists(keys().presence(ROOM))) === 0,
      )
      expect(toldBy(node)).toEqual([['+1', '-1']])
    })
  })

  it('puts the users of a node back that was frozen longer than its lease', async () => {
    const peer = await start()
    const line = await startTcpProxy(server.port)
    const frozen = await start({ redis: line.redisUrl, readyTimeoutMs: 60_000 })
    frozen.sayAgain = () => {
      join(frozen, '1').catch(() => {})
    }
    await join(frozen, '1')
    line.silence('to-server')
    await ears.until((self) => self.story(ROOM).includes('-1'))
    line.resume()
    await ears.until((self) => self.story(ROOM).length === 3)
    await untilAllIsTold(peer)
    expect(ears.story(ROOM)).toEqual(['+1', '-1', '+1'])
    expect(frozen.forgotten()).toBe(1)
    expect(peer.forgotten()).toBe(0)
  })

  it('kills nobody after an outage that all were late for', async () => {
    const nodes = [await start(), await start()] as const
    await join(nodes[0], '1')
    await join(nodes[1], '2')
    const renewals = nodes.map(nameOf)
    await redis.zadd(keys().nodes, 1, renewals[0] as string, 1, renewals[1] as string)
    await vi.waitFor(async () => {
      for (const name of renewals) expect(Number(await redis.zscore(keys().nodes, name))).toBeGreaterThan(1)
    }, PATIENCE_MS)
    await untilAllIsTold(nodes[0])
    expect(ears.story(ROOM)).toEqual(['+1', '+2'])
    expect(nodes.map((node) => node.forgotten())).toEqual([0, 0])
    expect(nodes.map(nameOf)).toEqual(renewals)
  })

  it('kills nobody after a time without memory for renewals, also when a new one is the first to look', async () => {
    const crowded = await startRedis()
    atEndOfTest(() => crowded.close())
    const hears = await openEars(crowded.url, redisPrefix)
    const nodes = [await start({ redis: crowded.url }), await start({ redis: crowded.url })] as const
    await join(nodes[0], '1')
    await join(nodes[1], '2')
    await crowded.cli('CONFIG', 'SET', 'maxmemory', '1')
    const expiries = async () => (await crowded.cli('ZRANGE', keys().nodes, '0', '-1', 'WITHSCORES')).split('\n')
    await vi.waitFor(async () => {
      const [, one, , other] = await expiries()
      expect(Math.max(Number(one), Number(other))).toBeLessThan(Date.now())
    }, PATIENCE_MS)
    await crowded.cli('CONFIG', 'SET', 'maxmemory', '0')
    const fresh = await start({ redis: crowded.url })
    for (const node of nodes) await node.store.verify()
    await fresh.store.verify()
    await join(fresh, '3')
    await hears.until((self) => self.story(ROOM).includes('+3'))
    expect(hears.story(ROOM)).toEqual(['+1', '+2', '+3'])
    expect(nodes.map((node) => node.forgotten())).toEqual([0, 0])
  })

  describe('however often it is asked to look at its lease in between, a node', () => {
    it('that has just come takes nobody for dead', async () => {
      const late = await start({ leaseS: 60 })
      await join(late, '1')
      await redis.zadd(keys().nodes, 1, nameOf(late))
      const fresh = await start({ leaseS: 60 })
      for (let times = 0; times < 10; times += 1) await fresh.store.verify()
      await untilAllIsTold(fresh)
      expect(ears.story(ROOM)).toEqual(['+1'])
      expect(await redis.zscore(keys().nodes, nameOf(late))).toBe('1')
    })

    it('that was forgotten takes nobody off before it can have said again who is here', async () => {
      const node = await start({ leaseS: 60 })
      await join(node, '1')
      await redis.zrem(keys().nodes, nameOf(node))
      for (let times = 0; times < 10; times += 1) await node.store.verify()
      await untilAllIsTold(node)
      expect(ears.story(ROOM)).toEqual(['+1'])
      expect(node.forgotten()).toBe(1)
    })
  })

  describe('a Redis that has forgotten', () => {
    it('everything is told again by all, and nobody is shown to leave', async () => {
      const nodes = [await start(), await start()] as const
      nodes.forEach((node, index) => {
        node.sayAgain = () => {
          join(node, `${index}`, 'both').catch(() => {})
        }
        node.sayAgain()
      })
      await ears.until((self) => self.story(ROOM).length === 2)
      const told = ears.on(ROOM).map(({ version }) => version)
      await redis.flushall()
      for (const { store } of nodes) await store.verify()
      await ears.until((self) => self.story(ROOM).length === 4)
      // A later step looks for what the old names have left.
      await vi.waitFor(async () => expect(await redis.zcard(keys().nodes)).toBe(2), PATIENCE_MS)
      expect(nodes.map((node) => node.forgotten())).toEqual([1, 1])
      expect(await listed(nodes[0])).toEqual(['0', '1', 'both'])
      expect(ears.on(ROOM).flatMap(({ left }) => left)).toEqual([])
      expect(ears.on(ROOM)[2]?.version).toBeGreaterThan(Math.max(...told) + 1)
    })

    it('only who its nodes are does not keep users for ever', async () => {
      const node = await start()
      await join(node, '1', '2')
      const former = nameOf(node)
      // Nobody tells the old name's end: user 2 leaves while nobody is known.
      await redis.zrem(keys().nodes, former)
      await node.store.verify()
      await join(node, '1')
      await ears.until((self) => self.story(ROOM).includes('-2'))
      await vi.waitFor(async () => expect(await redis.zcard(keys().nodes)).toBe(1), PATIENCE_MS)
      expect(ears.story(ROOM)).toEqual(['+1 +2', '-2'])
      expect(await redis.exists(keys().node(former))).toBe(0)
    })
  })

  describe('a node that stops', () => {
    it('takes its users along at once when nothing is to be kept, and leaves no key behind', async () => {
      const node = await start({ leaseS: 60 })
      await join(node, '1', '2')
      await node.store.update({ channel: 'presence-b', joined: [user('1')], left: [], isLast: false })
      await node.store.stop(0)
      await ears.until((self) => self.story(ROOM).includes('-1 -2') && self.story('presence-b').includes('-1'))
      expect(await redis.keys(`${redisPrefix}*`)).toEqual([keys().run])
    })

    it('keeps them as long as it was told to, for a peer to take them off', async () => {
      const peer = await start()
      const node = await start({ leaseS: 60 })
      await join(node, '1')
      const stoppedAtMs = performance.now()
      await node.store.stop(1000)
      expect(await listed(peer)).toEqual(['1'])
      await ears.until((self) => self.story(ROOM).includes('-1'))
      expect(performance.now() - stoppedAtMs).toBeGreaterThan(990)
    })

    it('shows nobody to leave who came back to another one meanwhile', async () => {
      const peer = await start()
      const node = await start()
      await join(node, '1', '2')
      await node.store.stop(300)
      await join(peer, '1')
      await ears.until((self) => self.story(ROOM).includes('-2'))
      expect(ears.story(ROOM)).toEqual(['+1 +2', '-2'])
    })

    it('stops also without a Redis, and without having had one', async () => {
      const line = await startTcpProxy(server.port)
      const node = await start({ redis: line.redisUrl })
      await join(node, '1')
      line.cut()
      await node.store.stop(0)
      const never = await start({ redis: line.redisUrl })
      await never.store.stop(0)
    })
  })

  it('tells once of a user who leaves a node that is cut off for longer than its lease', async () => {
    const line = await startTcpProxy(server.port)
    const [peer, node] = [await start(), await start({ redis: line.redisUrl })]
    await join(node, '1')
    line.cut()
    await expect(leave(node, ['1'], true)).rejects.toMatchObject({ code: 'broker_unavailable' })
    await vi.waitFor(() => expect(storyOf(peer.news, ROOM)).toEqual(['-1']), PATIENCE_MS)
    line.resume()
    await vi.waitFor(() => leave(node, ['1'], true), { timeout: PATIENCE_MS, interval: 50 })
    expect([...storyOf(node.news, ROOM), ...storyOf(peer.news, ROOM)]).toEqual(['+1', '-1'])
  })

  it('tells once of a user who is there already, although what is said of him anew has no answer', async () => {
    const line = await startTcpProxy(server.port)
    const node = await start({ redis: line.redisUrl, leaseS: 60 })
    const say = (name: string) =>
      node.store.update({ channel: ROOM, joined: [user('1', { name })], left: [], isLast: false })
    await say('Ada')
    line.cut()
    await expect(say('Ada L.')).rejects.toMatchObject({ code: 'broker_unavailable' })
    line.resume()
    await vi.waitFor(() => say('Ada L.'), { timeout: PATIENCE_MS, interval: 50 })
    expect(storyOf(node.news, ROOM)).toEqual(['+1'])
  })

  it('does not do what arrives after what was said next, as from a connection that was given up', async () => {
    const line = await startTcpProxy(server.port)
    const node = await start({ redis: line.redisUrl, leaseS: 60 })
    await join(node, '1')
    let sent = ''
    line.silence('to-server', (text) => {
      sent = text
      return false
    })
    await leave(node, ['1'], true)
    const late = connect(server.port, '127.0.0.1').resume()
    late.end(sent, 'latin1')
    await once(late, 'close')
    await untilAllIsTold(node)
    expect(sent).toContain(ROOM)
    expect(ears.story(ROOM)).toEqual(['+1', '-1'])
    expect(await redis.exists(keys().presence(ROOM))).toBe(0)
  })

  it('does what Redis had to be taught first, although what was said after it came before it', async () => {
    const line = await startTcpProxy(server.port)
    const node = await start({ redis: line.redisUrl, leaseS: 60 })
    const [other, late, early] = [await start({ leaseS: 60 }), 'presence-late', 'presence-early']
    const enter = (channel: string) => node.store.update({ channel, joined: [user('1')], left: [], isLast: false })
    await enter('presence-first')
    await redis.script('FLUSH')
    await redis.config('RESETSTAT')
    line.silence('to-client')
    const entering = [enter(late)]
    await vi.waitFor(async () => expect(await redis.info('errorstats')).toContain('NOSCRIPT'), PATIENCE_MS)
    await join(other, '2')
    entering.push(enter(early))
    await vi.waitFor(async () => expect(await redis.exists(keys().presence(early))).toBe(1), PATIENCE_MS)
    expect(await redis.exists(keys().presence(late))).toBe(0)
    line.resume()
    await Promise.all(entering)
    expect(await redis.exists(keys().presence(late))).toBe(1)
  })

  it('names more channels of an earlier name of its own than fit into one command', async () => {
    const node = await start({ leaseS: 60 })
    const reaper = new RedisReaper(node.lease)
    // To reap them all would take a minute.
    const reap = vi.spyOn(reaper, 'reap').mockResolvedValue()
    reaper.remember('former', new Set(Array.from({ length: 150_000 }, (_, index) => `presence-${index}`)))
    await reaper.cleanUp([])
    expect(reap).toHaveBeenCalledWith('former')
    expect(await redis.hlen(keys().node('former'))).toBe(150_000)
    expect(await redis.zscore(keys().nodes, 'former')).toBe('0')
  })

  it('rejects while Redis is away, says so once, and goes on by itself', async () => {
    const line = await startTcpProxy(server.port)
    const node = await start({ redis: line.redisUrl })
    await join(node, '1')
    line.cut()
    await expect(join(node, '2')).rejects.toMatchObject({ code: 'broker_unavailable' })
    await expect(node.store.read(ROOM)).rejects.toMatchObject({ code: 'broker_unavailable' })
    await node.store.verify()
    line.resume()
    await node.log.until(/works again/)
    await join(node, '2')
    expect(await listed(node)).toEqual(['1', '2'])
    expect(node.forgotten()).toBe(0)
    const kinds = node.log.at('warn').map((line) => line.replace(/\d+/g, ''))
    expect(kinds.length).toBeGreaterThan(0)
    expect(new Set(kinds).size).toBe(kinds.length)
  })

  it('asks Redis for the time, never the node', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30_000 })
    const ahead = await start()
    await join(ahead, '1')
    vi.setSystemTime(Date.now() - 60_000)
    const behind = await start()
    await join(behind, '2')
    const victim = await start()
    await join(victim, '3')
    const killedAtMs = performance.now()
    victim.kill()
    await ears.until((self) => self.story(ROOM).includes('-3'))
    expect(performance.now() - killedAtMs).toBeGreaterThan((SHORT_LEASE_S * 1000) / 3)
    expect(ears.story(ROOM)).toEqual(['+1', '+2', '+3', '-3'])
    expect([ahead.forgotten(), behind.forgotten()]).toEqual([0, 0])
  })

  it('lists ten thousand users, and takes them off in one change', async () => {
    const [peer, victim] = [await start({ leaseS: 2 }), await start({ leaseS: 2 })]
    for (let from = 0; from < 10_000; from += 1000) {
      await join(victim, ...Array.from({ length: 1000 }, (_, index) => `${from + index}`))
    }
    const { members, own } = await peer.store.read(ROOM)
    expect([members.length, own.size]).toEqual([10_000, 0])
    victim.kill()
    await takeForDead(victim)
    await ears.until((self) => self.on(ROOM).length === 11)
    expect(ears.on(ROOM).at(-1)?.left.length).toBe(10_000)
    expect(await redis.exists(keys().presence(ROOM))).toBe(0)
  })

  it('passes over what somebody else has written into a list, and still takes off who is gone', async () => {
    const [one, victim] = [await start(), await start()]
    await join(one, '1')
    await join(victim, '2')
    await redis.hset(keys().presence(ROOM), 'no JSON', `${nameOf(victim)}\n{}`, '"9"', 'no gateway', '7', '7\n7')
    expect(await listed(one)).toEqual(['1', '2'])
    victim.kill()
    await takeForDead(victim)
    await ears.until((self) => self.story(ROOM).some((told) => told.includes('-2')))
    expect(await listed(one)).toEqual(['1'])
    await join(one, '9')
    expect(await listed(one)).toEqual(['1', '9'])
  })

  it('begins versions at Redis’s time in microseconds, unrounded', async () => {
    const node = await start()
    const [seconds] = (await redis.time()) as unknown as [string]
    await join(node, '1')
    await join(node, '2')
    await ears.until((self) => self.on(ROOM).length === 2)
    const [first = 0, second] = ears.on(ROOM).map(({ version }) => version)
    expect(Math.abs(first / 1e6 - Number(seconds))).toBeLessThan(60)
    expect(second).toBe(first + 1)
    expect((await node.store.read(ROOM)).version).toBe(second)
  })
})

describe('presenceKeys', () => {
  it('refuses a prefix that no hash tag can follow', () => {
    expect(() => presenceKeys({ redisPrefix: 'a{b_', redisCluster: ['h:1'] })).toThrow(/only as one hash tag/)
    expect(presenceKeys({ redisPrefix: 'a{b_', redisCluster: [] }).nodes).toBe('a{b_sse:nodes')
  })
})
