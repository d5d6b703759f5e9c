import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { publish } from '../../src/cli/publish.ts'
import { verifyRequest } from '../../src/http/pusher-api/signature.ts'
import { freePort } from '../support/child.ts'
import { requirePart } from '../support/parts.ts'
import { runCommand, runProgram } from '../support/program.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

describe.runIf(requirePart('redis'))('publish by Redis', () => {
  let server: RedisServer
  let subscriber: Redis
  let heard: [channel: string, payload: string][]

  beforeAll(async () => {
    server = await startRedis()
    subscriber = new Redis(server.port, '127.0.0.1', { protocol: 2 })
    subscriber.on('message', (channel, payload) => heard.push([channel, payload]))
    await subscriber.subscribe('app_orders', 'app_other')
  })
  beforeEach(() => {
    heard = []
  })
  afterAll(async () => {
    subscriber?.disconnect()
    await server?.close()
  })

  const run = (...words: string[]) => runCommand(publish, [...words, '--redis', server.url, '--redis-prefix', 'app_'])
  // A subscriber gets what was published before its own next answer.
  const settled = () => subscriber.subscribe('app_orders')

  it("sends Laravel's payload and says who heard it", async () => {
    const { code, out } = await run('orders', 'App\\Events\\OrderShipped', '{"id":1}')
    await settled()
    expect({ code, out }).toEqual({
      code: 0,
      out: 'App\\Events\\OrderShipped: subscribers on Redis that heard it: 1 on app_orders.\n',
    })
    expect(heard).toEqual([['app_orders', '{"event":"App\\\\Events\\\\OrderShipped","data":{"id":1},"socket":null}']])
  })

  it('keeps the JSON as it was written', async () => {
    await run('orders', 'E', '{"n":9007199254740993,"f":1.10,"s":"\\u00e9\\/"}')
    await settled()
    expect(heard[0]?.[1]).toContain('"data":{"n":9007199254740993,"f":1.10,"s":"\\u00e9\\/"},')
  })

  it('sends to several channels and leaves out a socket', async () => {
    const { code, out } = await run('orders,other', 'E', '[]', '--socket-id', '12.34')
    await settled()
    expect(code).toBe(0)
    expect(out).toContain('1 on app_orders, 1 on app_other')
    expect(heard).toEqual(['app_orders', 'app_other'].map((name) => [name, '{"event":"E","data":[],"socket":"12.34"}']))
  })

  it('fails, with the likely reason, when nobody listens', async () => {
    const { code, out, err } = await run('nobody', 'E', '{}')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/0 on app_nobody\. Is the gateway running, on this Redis and with this prefix\?/)
  })

  describe('beside a watcher that listens on everything', () => {
    let watcher: Redis

    beforeAll(async () => {
      watcher = new Redis(server.port, '127.0.0.1', { protocol: 2 })
      await watcher.psubscribe('*')
    })
    afterAll(() => watcher?.disconnect())

    it('does not take it for a gateway', async () => {
      const { code, err } = await run('nobody', 'E', '{}')
      expect(code).toBe(1)
      expect(err).toMatch(/0 on app_nobody\. Not counted: 1 that listen on everything\. Is the gateway running/)
      expect((await run('orders', 'E', '{}')).out).toBe('E: subscribers on Redis that heard it: 1 on app_orders.\n')
      await settled()
    })

    it('counts it with an empty prefix, where the gateway itself is one', async () => {
      const { code, out } = await runCommand(publish, [
        'nobody',
        'E',
        '{}',
        '--redis',
        server.url,
        '--redis-prefix',
        '',
      ])
      expect({ code, out }).toEqual({ code: 0, out: 'E: subscribers on Redis that heard it: 1 on nobody.\n' })
    })
  })

  it('publishes also for a user that may do so under the prefix only', async () => {
    await server.cli('ACL', 'SETUSER', 'app', 'on', '>password', 'resetchannels', '&app_*', '+publish', '+info')
    const redis = server.url.replace('://', '://app:password@')
    const { code, out, err } = await runCommand(publish, [
      'orders',
      'E',
      '{}',
      '--redis',
      redis,
      '--redis-prefix',
      'app_',
    ])
    await settled()
    expect({ code, out, err }).toMatchObject({
      code: 0,
      out: 'E: subscribers on Redis that heard it: 1 on app_orders.\n',
    })
  })

  it('reads standard input for -, as a process of its own', async () => {
    const args = ['publish', 'orders', 'E', '-', '--redis', server.url]
    const { code, out } = await runProgram(args, { input: ' {"from":"stdin"}\n', env: { REDIS_PREFIX: 'app_' } })
    await settled()
    expect({ code, out }).toMatchObject({ code: 0 })
    expect(heard[0]?.[1]).toBe('{"event":"E","data":{"from":"stdin"},"socket":null}')
  })

  it('fails with a sentence when Redis is not there', async () => {
    const argv = ['orders', 'E', '{}', '--redis', `redis://:hunter2@127.0.0.1:${await freePort()}`]
    const { code, err } = await runCommand(publish, argv)
    expect(code).toBe(1)
    expect(err).toMatch(/^Redis at 127\.0\.0\.1:\d+ refuses the connection/)
    expect(err).not.toContain('hunter2')
  })

  it('does not wait for Sentinels that are not there', async () => {
    const { code, err } = await runCommand(publish, ['a', 'E', '{}', '--redis-sentinels', '127.0.0.1:1'])
    expect(code).toBe(1)
    expect(err).toMatch(/Sentinels at 127\.0\.0\.1:1 cannot be asked/)
  })
})

describe('publish by HTTP', () => {
  let server: Server
  let base: string
  let requests: { method: string; url: URL; body: string; type: string | undefined }[]
  let answer: { status: number; body: string }

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const { method = '', url = '', headers } = request
      requests.push({ method, url: new URL(url, 'http://gateway'), body, type: headers['content-type'] })
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    requests = []
    answer = { status: 200, body: '{}' }
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  const CREDENTIALS = ['--app-id', '3', '--app-key', 'k', '--app-secret', 's']

  it('posts in the format of Pusher, with a signature the gateway accepts', async () => {
    const argv = [
      'orders,other',
      'E',
      '{"n":9007199254740993}',
      '--http',
      `${base}/`,
      '--socket-id',
      '1.2',
      ...CREDENTIALS,
    ]
    const { code, out } = await runCommand(publish, argv)
    expect({ code, out }).toEqual({ code: 0, out: `E: accepted by ${base}/ for orders, other.\n` })
    const [request] = requests
    expect(request).toMatchObject({ method: 'POST', type: 'application/json' })
    expect(request?.url.pathname).toBe('/apps/3/events')
    expect(JSON.parse(request?.body ?? '')).toEqual({
      name: 'E',
      channels: ['orders', 'other'],
      data: '{"n":9007199254740993}',
      info: 'subscription_count',
      socket_id: '1.2',
    })
    const verdict = verifyRequest({
      method: 'POST',
      path: '/apps/3/events',
      query: request?.url.search.slice(1) ?? '',
      body: request?.body ?? '',
      apps: [{ id: '3', key: 'k', secret: 's' }],
      now: Date.now(),
    })
    expect(verdict).toMatchObject({ ok: true })
  })

  it('signs the path without the sub-path of a proxy', async () => {
    await runCommand(publish, ['orders', 'E', '{}', '--http', `${base}/sse`, ...CREDENTIALS])
    const { url, body } = requests[0] ?? { url: new URL(base), body: '' }
    expect(url.pathname).toBe('/sse/apps/3/events')
    const apps = [{ id: '3', key: 'k', secret: 's' }]
    const signed = { method: 'POST', path: '/apps/3/events', query: url.search.slice(1), body, apps, now: Date.now() }
    expect(verifyRequest(signed).ok).toBe(true)
  })

  it('uses the local credentials when none are given', async () => {
    await runCommand(publish, ['orders', 'E', '{}', '--http', base])
    expect(requests[0]?.url.pathname).toBe('/apps/local/events')
  })

  it('says how many streams heard it, where the gateway tells', async () => {
    answer.body = '{"channels":{"orders":{"subscription_count":13}}}'
    const { out } = await runCommand(publish, ['orders', 'E', '{}', '--http', base])
    expect(out).toBe('E: streams that heard it: 13 on orders.\n')
  })

  it.each([
    [401, '{"error":{"code":"unauthorized","message":"Sign it."}}', /answered 401: Sign it\./],
    [502, '<html>Bad gateway</html>', /answered 502: <html>/],
    [200, 'ok', /answered 200: ok/],
  ])('fails with the answer %i %s', async (status, body, sentence) => {
    answer = { status, body }
    const { code, out, err } = await runCommand(publish, ['orders', 'E', '{}', '--http', base])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(sentence)
  })

  it('fails with a sentence when nobody is there', async () => {
    const { code, err } = await runCommand(publish, [
      'orders',
      'E',
      '{}',
      '--http',
      `http://127.0.0.1:${await freePort()}`,
    ])
    expect(code).toBe(1)
    expect(err).toMatch(/did not answer: .*ECONNREFUSED.*Is the gateway running there\?/)
  })
})

describe('publish refuses', () => {
  it.each([
    [['orders', 'E'], /takes three words: CHANNEL EVENT JSON/],
    [['orders', 'E', '{}', 'more'], /takes three words/],
    [[',', 'E', '{}'], /takes three words/],
    [['orders', 'E', 'plain'], /must be JSON, got `plain`.*'"text"'/],
    [['orders', 'E', '{}', '--socket-id', 'x'], /--socket-id.*must be a socket id/],
    [['orders', 'E', '{}', '--htp', 'x'], /`--htp` is not an option; did you mean `--http`\?/],
    [['orders', 'E', '{}'], /--redis redis:.* or --http http:/],
    [['orders', 'E', '{}', '--http', 'http://127.0.0.1:1', '--host', '0.0.0.0'], /--http needs --app-id/],
  ])('%j', async (argv, sentence) => {
    const { code, out, err } = await runCommand(publish, argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(sentence)
  })

  it('several faults at once', async () => {
    const { err } = await runCommand(publish, ['orders', 'E', 'plain', '--port', 'abc'])
    expect(err.trimEnd().split('\n')).toHaveLength(2)
  })
})
