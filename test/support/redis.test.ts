import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { requirePart } from './parts.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'

describe.runIf(requirePart('redis', 'openssl'))('startRedis', () => {
  const closing: (() => unknown)[] = []

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function start(options?: RedisOptions): Promise<RedisServer> {
    const redis = await startRedis(options)
    closing.push(redis.close)
    return redis
  }

  async function ping(client: Redis): Promise<string> {
    closing.push(() => client.disconnect())
    return client.ping()
  }

  it('answers by TCP and by its Unix socket', async () => {
    const redis = await start()

    expect(await ping(new Redis(redis.url, { protocol: 2 }))).toBe('PONG')
    expect(await ping(new Redis(redis.socketPath, { protocol: 2 }))).toBe('PONG')
    expect(await redis.cli('PING')).toBe('PONG')
  })

  it('is another server after a restart, on the same port and without its data', async () => {
    const redis = await start()
    const runId = async () => /run_id:(\w+)/.exec(await redis.cli('INFO', 'server'))?.[1]
    const before = { pid: redis.pid, runId: await runId() }
    await redis.cli('SET', 'key', 'value')

    await redis.restart('SIGKILL')

    expect(redis.pid).not.toBe(before.pid)
    expect(await runId()).not.toBe(before.runId)
    expect(await redis.cli('EXISTS', 'key')).toBe('0')
  })

  it('speaks TLS with a certificate of its own authority', async () => {
    const { tls } = await start({ tls: true })
    if (!tls) throw new Error('no TLS')

    expect(await ping(new Redis(tls.url, { protocol: 2, tls: { ca: tls.ca } }))).toBe('PONG')
    await expect(ping(new Redis(tls.url, { protocol: 2, retryStrategy: null }).on('error', () => {}))).rejects.toThrow()
  })

  it('knows the users of an ACL file', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'acl-'))
    closing.push(() => rmSync(dir, { recursive: true }))
    writeFileSync(join(dir, 'users.acl'), 'user default off\nuser gateway on >password +ping\n')
    const redis = await start({ aclFile: join(dir, 'users.acl') })

    const url = `redis://gateway:password@127.0.0.1:${redis.port}`
    expect(await ping(new Redis(url, { protocol: 2, enableReadyCheck: false }))).toBe('PONG')
    expect(await redis.cli('PING')).toContain('NOAUTH')
  })
})
