import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { watchRedis } from '../../src/broker/redis-watch.ts'
import { defaultConfig } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { untilTrue } from '../support/until-true.ts'

describe.runIf(requirePart('redis'))('whoever listens to all of Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
    await server.cli('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~*', '&app_*', '+@all')
  })
  afterAll(() => server?.close())

  const listeners = async () =>
    Number((await server.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('psub=1').length - 1)

  function watch(redis: string) {
    const heard: string[] = []
    const hooks = { onSubscribed: vi.fn(), onRefused: vi.fn() }
    const onMessage = (name: string, payload: Buffer) => void heard.push(`${name}: ${payload}`)
    const stop = watchRedis({ ...defaultConfig(), redis }, { onMessage, ...hooks })
    atEndOfTest(stop)
    return { heard, stop, ...hooks }
  }

  it('goes on after its connection broke, until it is stopped', async () => {
    const line = await startTcpProxy(server.port)
    const { heard, stop } = watch(line.redisUrl)
    await expect.poll(listeners).toBe(1)
    line.cut()
    await expect.poll(listeners).toBe(0)
    line.resume()
    await expect.poll(listeners).toBe(1)
    await server.cli('PUBLISH', 'other_orders', 'hi')
    await expect.poll(() => heard).toEqual(['other_orders: hi'])
    stop()
    await expect.poll(listeners).toBe(0)
  })

  it('may be stopped at any moment', async () => {
    const unheeded = vi.fn()
    process.on('unhandledRejection', unheeded)
    atEndOfTest(() => process.off('unhandledRejection', unheeded))
    const line = await startTcpProxy(server.port)
    const { stop, onSubscribed, onRefused } = watch(line.redisUrl)
    await untilTrue(() => onSubscribed.mock.calls.length === 1)
    line.cut()
    await expect.poll(listeners).toBe(0)
    line.resume()
    line.silence('to-client')
    await expect.poll(listeners).toBe(1)
    stop()
    await expect.poll(listeners).toBe(0)
    await turn()
    expect([unheeded.mock.calls, onRefused.mock.calls, onSubscribed.mock.calls.length]).toEqual([[], [], 1])
  })

  it('says when it may not, and ends', async () => {
    const { onRefused, onSubscribed } = watch(server.url.replace('//', '//narrow:secret@'))
    await untilTrue(() => onRefused.mock.calls.length === 1)
    expect(onSubscribed).not.toHaveBeenCalled()
    expect(await server.cli('CLIENT', 'LIST')).not.toContain('user=narrow')
  })
})
