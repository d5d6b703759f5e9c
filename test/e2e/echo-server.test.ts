import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Child, startChild, startOnFreePort } from '../support/child.ts'
import { FakeLaravel, GRANT, REFUSAL } from '../support/fake-laravel.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openStream } from '../support/sse-client.ts'

const MAIN = join(import.meta.dirname, '../../dist/main.js')
/** Written by `laravel-echo-server init`, and not changed. */
const CONFIG = join(import.meta.dirname, '../config/laravel-echo-server/all-answers.json')
const [CLIENT] = JSON.parse(readFileSync(CONFIG, 'utf8')).clients as { appId: string; key: string }[]

describe.runIf(requirePart('redis'))("start in the folder of laravel-echo-server's file", () => {
  let redis: RedisServer
  let laravel: FakeLaravel
  let gateway: Child
  let url: string
  let cwd: string

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await FakeLaravel.start(({ body }) => (body.includes('private-orders.7') ? GRANT : REFUSAL))
    cwd = mkdtempSync(join(tmpdir(), 'echo-server-'))
    copyFileSync(CONFIG, join(cwd, 'laravel-echo-server.json'))
    const started = await startOnFreePort(
      (port) =>
        startChild(process.execPath, [MAIN, 'start'], {
          cwd,
          env: {
            PATH: process.env.PATH,
            LARAVEL_ECHO_SERVER_PORT: String(port),
            LARAVEL_ECHO_SERVER_REDIS_PORT: String(redis.port),
            LARAVEL_ECHO_SERVER_AUTH_HOST: laravel.url,
          },
        }),
      async (port) => (await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null))?.status === 200,
    )
    gateway = started.child
    url = `http://127.0.0.1:${started.port}`
  })
  afterAll(async () => {
    await gateway?.stop()
    await laravel?.close()
    await redis?.close()
    rmSync(cwd, { recursive: true, force: true })
  })

  const broadcast = (channel: string, event: string) =>
    redis.cli('PUBLISH', channel, JSON.stringify({ event, data: { id: 1 }, socket: null }))

  it('says that it has found it, and what is different here, once', () => {
    const log = gateway.log()
    const count = (text: string) => log.split(text).length - 1
    expect(count('laravel-echo-server.json of this folder is read')).toBe(1)
    expect(count('the gateway speaks plain HTTP')).toBe(1)
    expect(count("verifies Laravel's TLS certificate")).toBe(1)
    expect(log).not.toContain(CLIENT?.key)
  })

  it('brings what Laravel broadcasts, to whom Laravel lets in', async () => {
    const channels = 'orders,private-orders.7,private-orders.8'
    const page = await openStream(`${url}/stream?channels=${channels}`, { headers: { cookie: 'laravel_session=a' } })
    await page.next('ping')
    await broadcast('private-orders.8', 'Hidden')
    await broadcast('private-orders.7', 'Private')
    await broadcast('orders', 'App\\Events\\OrderShipped')
    const told = await page.take(2, 'message')
    expect(told.map(({ data }) => [data.channel, data.event, data.data])).toEqual([
      ['private-orders.7', 'Private', { id: 1 }],
      ['orders', 'App\\Events\\OrderShipped', { id: 1 }],
    ])
    expect(page.frames.find(({ event }) => event === 'denied')?.data.channel).toBe('private-orders.8')
  })

  it('takes what its client publishes without a signature, and answers as before', async () => {
    const page = await openStream(`${url}/stream?channels=orders`)
    await page.next('subscribed')
    const answer = await fetch(`${url}/apps/${CLIENT?.appId}/events?auth_key=${CLIENT?.key}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ channel: 'orders', name: 'OrderPaid', data: '{"id":2}' }),
    })
    expect([answer.status, await answer.text()]).toEqual([200, '{"message":"ok"}'])
    expect((await page.next('message')).data).toMatchObject({ event: 'OrderPaid', data: { id: 2 } })
    expect(await (await fetch(url)).text()).toBe('OK')
    const headers = { authorization: `Bearer ${CLIENT?.key}` }
    const channels = await fetch(`${url}/apps/${CLIENT?.appId}/channels/orders`, { headers })
    expect(await channels.json()).toMatchObject({ occupied: true })
  })
})
