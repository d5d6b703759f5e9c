import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayPattern } from '../../src/broker/pattern.ts'
import { openRedis } from '../../src/broker/redis-connection.ts'
import { minimumAcl } from '../../src/cli/acl.ts'
import { defaultConfig } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { makeCertificates } from '../support/certificates.ts'
import { freePort } from '../support/child.ts'
import { folderWith } from '../support/folder.ts'
import { requirePart } from '../support/parts.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RedisOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { openBroker, startBroker } from '../support/redis-broker.ts'
import { replicate } from '../support/sentinel.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

describe.runIf(requirePart('redis', 'openssl'))('a connection to Redis', () => {
  let server: RedisServer
  let laravel: Redis

  beforeAll(async () => {
    server = await startRedis({ tls: true })
    laravel = new Redis(server.url, { protocol: 2 })
  })
  afterAll(async () => {
    laravel?.disconnect()
    await server?.close()
  })

  const tls = () => server.tls as NonNullable<RedisServer['tls']>

  async function startOwn(options?: RedisOptions): Promise<RedisServer> {
    const own = await startRedis(options)
    atEndOfTest(own.close)
    return own
  }

  describe('by TLS', () => {
    it('trusts the authority it was given', async () => {
      const { broker, ears } = await startBroker({ redis: tls().url, redisTlsCa: tls().caFile, redisPrefix: 'tls_' })
      await broker.publish(['orders'], 'x')
      await ears.untilMessages(1)
    })

    it('trusts no other: the reason is a sentence, and nothing is heard', async () => {
      const { caFile } = await makeCertificates(folderWith({}))
      const { log, ears } = openBroker({ redis: tls().url, redisTlsCa: caFile, redisPrefix: 'tls_' })
      const { msg } = await log.until(/certificate that is not trusted/)
      expect(msg).toContain(`Redis at 127.0.0.1:${tls().port}`)
      expect(msg).toContain('--redis-tls-ca')
      expect(ears.log).toEqual([])
    })

    it('trusts none of its own accord', async () => {
      const { log } = openBroker({ redis: tls().url, redisPrefix: 'tls_' })
      await log.until(/certificate that is not trusted/)
    })
  })

  it('goes through a Unix socket', async () => {
    const { broker, ears } = await startBroker({ redis: server.socketUrl, redisPrefix: 'socket_' })
    await broker.publish(['orders'], 'x')
    await ears.untilMessages(1)
  })

  it('keeps its own keys in the database of the URL', async () => {
    const { broker } = await startBroker({ redis: `${server.url}/3`, redisPrefix: 'db_' })
    await broker.sharedSecret()
    expect((await server.cli('-n', '3', 'KEYS', 'db_*')).split('\n').sort()).toEqual(['db_sse:clock', 'db_sse:secret'])
    expect(await server.cli('-n', '0', 'KEYS', 'db_*')).toBe('')
  })

  it('hears what was published from any database, as Redis does', async () => {
    const { ears } = await startBroker({ redis: `${server.socketUrl}?db=5`, redisPrefix: 'any_' })
    await laravel.publish('any_orders', 'x')
    await ears.untilMessages(1)
  })

  it('is not told of a restart by the clock of another database', async () => {
    const one = await startBroker({ redis: server.url, redisPrefix: 'same_' })
    const other = await startBroker({ redis: `${server.url}/1`, redisPrefix: 'same_' })
    for (const { ears } of [one, other]) await ears.until(({ advances }) => advances.length >= 4)
    expect([one.ears.holes.length, other.ears.holes.length]).toEqual([1, 1])
  })

  it('waits for a server that is not there yet, and says so once', async () => {
    const port = await freePort()
    const { log, ears, started } = openBroker({ redis: `redis://127.0.0.1:${port}` })
    const { msg } = await log.until(/is the server running/)
    expect(msg).toContain(`127.0.0.1:${port}`)
    await startOwn({ port })
    await started
    expect(ears.holes).toHaveLength(1)
    expect(log.at('warn').filter((line) => line.includes('is the server running'))).toHaveLength(1)
  })

  it('says of a replica that it is one, never takes it for ready, and asks again where the master is', async () => {
    const replica = await startOwn({ args: ['--replicaof', '127.0.0.1', String(server.port)] })
    const { broker, ears, log, lost } = openBroker({ redis: replica.url, redisPrefix: 'replica_' })
    const { msg } = await log.until(/is a replica/)
    expect(msg).toContain('--redis-sentinels')
    await expect.poll(lost, { interval: 10, timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(3)
    expect(broker.isReady()).toBe(false)
    expect(ears.log).toEqual([])
  })

  it('leaves a server that becomes a replica, and is at home again when it is the master', async () => {
    const [master, server] = [await startOwn(), await startOwn()]
    const { broker, ears, log } = await startBroker({ redis: server.url, redisPrefix: 'demoted_' })
    await server.cli('REPLICAOF', '127.0.0.1', String(master.port))
    await log.until(/is a replica/)
    await log.until(/relay connection lost/)
    await server.cli('REPLICAOF', 'NO', 'ONE')
    await ears.untilHoles(2)
    await broker.publish(['orders'], 'x')
    await ears.untilMessages(1)
    expect(broker.isReady()).toBe(true)
  })

  it('comes back when it was ended while it asked the Sentinels for the master', async () => {
    const { sentinel } = await replicate(await startOwn())
    const line = await startTcpProxy(Number(sentinel.split(':')[1]))
    line.silence('to-client')
    const redis = openRedis({ ...defaultConfig(), redisSentinels: [`127.0.0.1:${line.port}`] }, {})
    atEndOfTest(() => redis.disconnect())
    redis.on('error', () => {})
    const ready = new Promise((resolve) => redis.once('ready', resolve))
    redis.connect().catch(() => {})
    await expect.poll(() => line.size).toBe(1)
    // What a failover does to it, and the gateway when it has found a replica.
    redis.disconnect(true)
    line.resume()
    await ready
    expect(await redis.ping()).toBe('PONG')
  })

  it('does not come back when it was closed', async () => {
    const redis = openRedis({ ...defaultConfig(), redis: server.url }, { retryStrategy: () => 1 })
    await redis.connect()
    redis.disconnect()
    await once(redis, 'end')
    // Behind the timer that would do it.
    await new Promise((resolve) => setTimeout(resolve, 2))
    expect(redis.status).toBe('end')
  })

  describe('with a login', () => {
    const PREFIX = 'app[1]*_'
    let guarded: RedisServer
    let urlOf: (login: string) => string

    beforeAll(async () => {
      guarded = await startRedis({ args: ['--requirepass', 'root'] })
      urlOf = (login) => guarded.url.replace('//', `//${login}@`)
      const admin = ['--no-auth-warning', '-a', 'root']
      const rule = minimumAcl({ prefix: PREFIX, username: 'gateway' }).replace('>PASSWORD', '>p@ss:word')
      const users = [
        rule.split(' '),
        ['ACL', 'SETUSER', 'nobody', 'on', '>secret', '+ping'],
        ['ACL', 'SETUSER', 'listener', 'on', '>secret', '&*', '+psubscribe'],
        [...rule.replace('SETUSER gateway', 'SETUSER uninformed').split(' '), '-info'],
      ]
      for (const user of users) expect(await guarded.cli(...admin, ...user)).toBe('OK')
    })
    afterAll(() => guarded?.close())

    it('works with the password of the default user', async () => {
      await startBroker({ redis: urlOf(':root'), redisPrefix: PREFIX })
      await startBroker({ redis: guarded.url, redisPassword: 'root', redisPrefix: PREFIX })
    })

    it('works with the printed rule, and without one complaint', async () => {
      const { broker, ears, log } = await startBroker({
        redis: `${urlOf('gateway:p%40ss%3Aword')}/2`,
        redisPrefix: PREFIX,
      })
      await broker.publish(['orders'], 'x')
      await ears.untilMessages(1)
      await broker.sharedSecret()
      await ears.until(({ advances }) => advances.length >= 3)
      expect(log.at('warn')).toEqual([])
    })

    it('listens with exactly the pattern that the rule allows', async () => {
      const root = new Redis(urlOf(':root'), { protocol: 2 })
      atEndOfTest(() => root.disconnect())
      const monitor = await root.monitor()
      atEndOfTest(() => monitor.disconnect())
      const subscribed = new Promise<string[]>((resolve) => {
        monitor.on('monitor', (_time: string, command: string[]) => {
          if (command[0]?.toLowerCase() === 'psubscribe') resolve(command)
        })
      })
      await startBroker({ redis: urlOf('gateway:p%40ss%3Aword'), redisPrefix: PREFIX })
      const user = (await root.call('ACL', 'GETUSER', 'gateway')) as unknown[]
      const allowed = user[user.indexOf('channels') + 1]
      // MONITOR prints a backslash as two.
      expect((await subscribed)[1]?.replaceAll('\\\\', '\\')).toBe(relayPattern(PREFIX))
      expect(allowed).toBe(`&${relayPattern(PREFIX)}`)
      expect(minimumAcl({ prefix: PREFIX, username: 'gateway' })).toContain(` ${allowed} `)
    })

    it.each([
      ['a wrong password', 'gateway:wrong', /does not accept user and password.*WRONGPASS/],
      ['no password', '', /wants a password.*NOAUTH/],
      ['a user without rights', 'nobody:secret', /denies this user a right.*laravel-echo-sse-server acl.*NOPERM/],
      [
        'a user who may only listen',
        'listener:secret',
        /denies this user a right.*laravel-echo-sse-server acl.*NOPERM/,
      ],
    ])('ends the start with a sentence for %s', async (_case, login, sentence) => {
      const redis = login === '' ? guarded.url : urlOf(login)
      const { started, broker } = openBroker({ redis, redisPrefix: PREFIX })
      await expect(started).rejects.toThrow(sentence)
      await expect(started).rejects.toThrow(`Redis at 127.0.0.1:${guarded.port}`)
      expect(broker.isReady()).toBe(false)
    })

    it('never tells the password', async () => {
      const { started, log } = openBroker({ redis: urlOf('gateway:hunter2hunter2'), redisPrefix: PREFIX })
      const error = await started.catch((cause: Error) => cause)
      expect(`${(error as Error).message} ${JSON.stringify(log.lines)}`).not.toContain('hunter2')
    })

    it('without the right to INFO goes on with an epoch of its own, and says what that means', async () => {
      const { broker, ears, log } = await startBroker({ redis: urlOf('uninformed:p%40ss%3Aword'), redisPrefix: PREFIX })
      expect(log.at('warn')).toEqual([
        expect.stringMatching(/denies this user a right.*laravel-echo-sse-server acl/),
        expect.stringMatching(/positions of this node are its own/),
      ])
      await broker.publish(['orders'], 'x')
      // Canaries are messages too.
      const order = () => ears.messages.find(({ channel }) => channel === 'orders')
      await ears.until(() => order() !== undefined)
      expect(order()?.id).toMatch(/^\d{16}\.0\.[1-9]\d*$/)
      expect(broker.isReady()).toBe(true)
    })

    it('takes over the common clock as soon as somebody has one', async () => {
      const alone = await startBroker({ redis: urlOf('uninformed:p%40ss%3Aword'), redisPrefix: PREFIX })
      const informed = await startBroker({ redis: urlOf('gateway:p%40ss%3Aword'), redisPrefix: PREFIX })
      await alone.ears.untilHoles(2)
      await informed.broker.publish(['orders'], 'x')
      const heard = ({ messages }: typeof alone.ears) => messages.some(({ channel }) => channel === 'orders')
      await Promise.all([alone.ears.until(heard), informed.ears.until(heard)])
      const idOf = ({ messages }: typeof alone.ears) => messages.find(({ channel }) => channel === 'orders')?.id
      expect(idOf(alone.ears)).toBe(idOf(informed.ears))
      expect(alone.ears.holes.map(({ reason }) => reason)).toEqual(['restart', 'restart'])
    })
  })

  it('knows the users of a file in which the rule was pasted', async () => {
    const rule = minimumAcl({ prefix: 'shop_', username: 'gateway' }).replace('ACL SETUSER', 'user')
    const folder = folderWith({})
    writeFileSync(join(folder, 'users.acl'), `user default off\n${rule.replace(' reset', '')}\n`)
    const own = await startOwn({ aclFile: join(folder, 'users.acl') })
    const redis = own.url.replace('//', '//gateway:PASSWORD@')
    const { broker, ears } = await startBroker({ redis, redisPrefix: 'shop_' })
    await broker.publish(['orders'], 'x')
    await ears.untilMessages(1)
  })
})
