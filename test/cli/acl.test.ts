import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisGrantStore } from '../../src/auth/redis-grants.ts'
import { RedisBroker } from '../../src/broker/redis.ts'
import { acl, minimumAcl } from '../../src/cli/acl.ts'
import { defaultConfig } from '../../src/config/config.ts'
import { RedisOccupancyStore } from '../../src/occupancy/redis.ts'
import { startLastEvents } from '../support/last-events-node.ts'
import { requirePart } from '../support/parts.ts'
import { openEars, type PresenceNode, startNode, user } from '../support/presence-node.ts'
import { runCommand } from '../support/program.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

describe('minimumAcl', () => {
  it('escapes what a pattern would read as more than a letter', () => {
    const line = minimumAcl({ prefix: 'app[1]*_', username: 'gateway' })
    expect(line).toMatch(
      /^ACL SETUSER gateway reset on >PASSWORD ~app\\\[1\\\]\\\*_sse:\* &app\\\[1\\\]\\\*_\* \+psubscribe /,
    )
  })

  it('allows the commands of a cluster only where there is one', () => {
    const options = { prefix: '', username: 'gateway' }
    expect(minimumAcl(options)).not.toContain('cluster')
    expect(minimumAcl({ ...options, isCluster: true })).toContain('+cluster|slots')
  })
})

describe('acl', () => {
  it('prints the rule for the configured prefix and user', async () => {
    const { code, out, err } = await runCommand(acl, ['--redis', 'redis://h', '--redis-username', 'sse'], {
      env: { REDIS_PREFIX: 'shop_' },
    })
    expect(code).toBe(0)
    expect(out).toBe(`${minimumAcl({ prefix: 'shop_', username: 'sse' })}\n`)
    expect(err).toMatch(/password of your own/)
  })

  it('refuses a prefix that no rule can hold', async () => {
    const { code, err } = await runCommand(acl, ['--redis-prefix', 'my shop_'])
    expect(code).toBe(2)
    expect(err).toMatch(/no spaces/)
  })
})

describe.runIf(requirePart('redis'))('the rule on a real Redis', () => {
  const PREFIX = 'app[1]*_'
  let server: RedisServer
  let url: string

  beforeAll(async () => {
    server = await startRedis()
    const line = minimumAcl({ prefix: PREFIX, username: 'gateway' }).replace('>PASSWORD', '>hunter2')
    expect(await server.cli(...line.split(' '))).toBe('OK')
    url = server.url.replace('//', '//gateway:hunter2@')
  })
  afterAll(() => server?.close())

  it('lets the whole broker work', async () => {
    const config = defaultConfig({ redis: url, redisPrefix: PREFIX })
    const complaints: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => complaints.push(line) })
    const broker = new RedisBroker(config, { logger })
    let hear: (message: string) => void = () => {}
    const heard = new Promise<string>((resolve) => {
      hear = resolve
    })
    await broker.start({
      onMessage: ({ channel, payload }) => hear(`${channel} ${payload}`),
      onAdvance: () => {},
      onHole: () => {},
    })
    await broker.publishAll([{ channels: ['orders'], payload: '{}', once: 'order 1' }])
    expect(await heard).toBe('orders {}')
    expect(await broker.sharedSecret()).toMatch(/^.{20,}$/)
    expect(complaints).toEqual([])
    await broker.stop()
  })

  describe('presence and grants', () => {
    const node = () => startNode({ redis: url, redisPrefix: PREFIX })
    const complaints = (...nodes: PresenceNode[]) => nodes.flatMap(({ log }) => log.at('warn'))
    const say = ({ store }: PresenceNode, joined: string[], left: string[] = []) =>
      store.update({ channel: 'presence-room.1', joined: joined.map((id) => user(id)), left, isLast: left.length > 0 })

    it('may come, be read, leave, and be cleaned up after', async () => {
      const ears = await openEars(server.url, PREFIX)
      const [one, other] = [await node(), await node()]
      await say(one, ['1', '2'])
      await say(other, ['2', '3'])
      await say(other, [], ['2', '3'])
      expect((await one.store.read('presence-room.1')).members).toHaveLength(2)
      await other.store.stop(0)
      one.kill()
      const last = await node()
      await ears.until((self) => self.story('presence-room.1').includes('-1 -2'))
      await last.store.stop(0)
      expect(complaints(one, other, last)).toEqual([])
    })

    it('may be said again by a node that was forgotten', async () => {
      const ears = await openEars(server.url, PREFIX)
      const one = await node()
      await say(one, ['1'])
      await server.cli('ZREM', `${PREFIX}sse:nodes`, one.lease.incarnation ?? '')
      await one.store.verify()
      await one.store.verify()
      await ears.until((self) => self.story('presence-room.1').includes('-1'))
      await one.store.stop(0)
      expect(complaints(one)).toEqual([expect.stringMatching(/no longer knew this node/)])
    })

    it('may be granted, found, kept and dropped', async () => {
      const one = await node()
      const grants = new RedisGrantStore({ lease: one.lease, keyTtlS: 60 })
      await grants.write('1.1', new Map([['private-orders', null]]))
      expect(await grants.find('1.1')).toMatchObject([{ isLive: true }])
      await grants.release('1.1', 1000)
      await grants.release('1.1', 0)
      expect(await grants.find('1.1')).toEqual([])
      await grants.write('1.1', new Map([['private-orders', null]]))
      await grants.forget('1.1')
      expect(await grants.find('1.1')).toEqual([])
      await one.store.stop(0)
      expect(complaints(one)).toEqual([])
    })
  })

  it('lets occupancy be reported, read, vacated, and taken off a node that died', async () => {
    const [one, other] = [
      await startNode({ redis: url, redisPrefix: PREFIX }),
      await startNode({ redis: url, redisPrefix: PREFIX }),
    ]
    const [mine, others] = [new RedisOccupancyStore(one), new RedisOccupancyStore(other)]
    await mine.report(new Map([['orders', 1]]), 0)
    expect(await others.elsewhere('orders')).toBe(1)
    expect(await others.allElsewhere('ord')).toEqual(new Map([['orders', 1]]))
    await one.lease.leave(0)
    await others.reap(one.lease.incarnation ?? '')
    expect(await others.elsewhere('orders')).toBe(0)
    await others.report(new Map([['news', 1]]), 0)
    await others.report(new Map([['news', 0]]), 0)
    expect(await others.takeVacated()).toEqual(['news'])
    await other.store.stop(0)
    expect([...one.log.at('warn'), ...other.log.at('warn')]).toEqual([])
  })

  it('lets the last event of a cache channel be written and read', async () => {
    const node = await startLastEvents({ redis: url, redisPrefix: PREFIX }, 60)
    node.store.heard('cache-a', Buffer.from('{}'), { epoch: 1, marker: 1, count: 1 })
    await node.store.stop()
    node.store.heard('cache-a', Buffer.from('[]'), { epoch: 1, marker: 1, count: 2 })
    await node.store.stop()
    expect(await node.store.read('cache-a')).toMatchObject({ payload: Buffer.from('[]') })
    await node.close()
    expect(node.log.at('warn')).toEqual([])
  })

  it('allows nothing else', async () => {
    const redis = new Redis(url, { protocol: 2, disableClientInfo: true, enableReadyCheck: false })
    await expect(redis.get('app[1]*_cache:secret')).rejects.toThrow(/NOPERM/)
    await expect(redis.publish('other', 'x')).rejects.toThrow(/NOPERM/)
    await expect(redis.publish('app1_orders', 'x')).rejects.toThrow(/NOPERM/)
    await expect(redis.psubscribe('*')).rejects.toThrow(/NOPERM/)
    await expect(redis.del('app[1]*_sse:clock')).rejects.toThrow(/NOPERM/)
    await expect(redis.flushall()).rejects.toThrow(/NOPERM/)
    redis.disconnect()
  })
})
