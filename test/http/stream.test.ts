import { describe, expect, it } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import { refusal } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { rawConnection } from '../support/raw-connection.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'

const COOKIE = { cookie: 'laravel_session=alice' }

async function subscribedTo(page: SseClient, count: number): Promise<string[]> {
  return (await page.take(count, 'subscribed')).map(({ data }) => data.channel)
}

describe('GET /stream', () => {
  it('answers with exactly these headers', async () => {
    const { url } = await startGateway()
    const { status, headers } = await openStream(`${url}/stream?channels=orders`)
    const { date, connection, ...others } = headers
    expect(status).toBe(200)
    expect(others).toEqual({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      vary: 'Origin',
      'transfer-encoding': 'chunked',
    })
  })

  it('sends its first bytes, and public channels, before Laravel has answered', async () => {
    const { url, authorizer } = await startGateway()
    const release = authorizer.hold()
    const page = await openStream(`${url}/stream?channels=private-a,b`, { headers: COOKIE })
    expect((await page.next()).event).toBe('connected')
    expect((await page.next()).data).toEqual({ channel: 'b' })
    release()
    expect((await page.next('subscribed')).data).toEqual({ channel: 'private-a' })
  })

  it('speaks to HTTP/1.0 without chunks and closes at the end', async () => {
    const { gateway, port, publish } = await startGateway()
    const old = await rawConnection(port)
    old.write('GET /stream?channels=orders HTTP/1.0\r\nHost: x\r\n\r\n')
    await old.until('subscribed')
    await publish('orders', 'E', { a: 1 })
    await old.until('"E"')
    await gateway.stop()
    await old.closed
    const [head = '', body = ''] = old.text.split('\r\n\r\n')
    expect(head).not.toMatch(/transfer-encoding/i)
    expect(body).toMatch(/^retry: 3000\nid: .*\nevent: connected\n/)
    expect(body).toContain('data: {"channel":"orders","event":"E","data":{"a":1}}\n\n')
    expect(body).toMatch(/event: bye\ndata: .*\n\n$/)
  })

  it('takes names with a comma by `channel`, and many ways to name channels', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=a%2Cb,,a&channel=c,d&channel=e&whatever=1`)
    expect(await subscribedTo(page, 4)).toEqual(['a', 'b', 'c,d', 'e'])
  })

  it('is a stream with a socket id and nothing else when the list is empty', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=`)
    expect((await page.next()).data).toMatchObject({ socketId: expect.stringMatching(/^\d+\.\d+$/), resume: 'fresh' })
    expect(page.frames).toHaveLength(1)
  })

  it.each([
    ['', 'missing_channels', 'channels'],
    [`?channels=${Array.from({ length: 101 }, (_, index) => index)}`, 'too_many_channels', '100'],
    ['?channels=a&mode=sse', 'invalid_parameter', 'mode'],
    ['?channels=a&wait=soon', 'invalid_parameter', 'wait'],
    ['?channels=a&heartbeat=x', 'invalid_parameter', 'heartbeat'],
  ])('refuses %.20s with 400 %s and says why', async (query, code, word) => {
    const { url, gateway } = await startGateway()
    expect(await refusal(`${url}/stream${query}`)).toMatchObject({
      status: 400,
      code,
      message: expect.stringContaining(word),
    })
    expect(gateway.services.hub.size).toBe(0)
  })
})

describe('POST /stream', () => {
  it.each([
    ['application/json', JSON.stringify({ channels: ['a,b', 'c'], channel: 'd' }), ['a,b', 'c', 'd']],
    ['application/json; charset=utf-8', JSON.stringify({ channels: 'a,b' }), ['a', 'b']],
    ['application/x-www-form-urlencoded', 'channels=a%2Cb&channel=c,d', ['a', 'b', 'c,d']],
  ])('takes %s', async (type, body, names) => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream`, { method: 'POST', headers: { 'content-type': type }, body })
    expect(await subscribedTo(page, names.length)).toEqual(names)
  })

  it('takes the query as well, the body first', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=b&heartbeat=9000`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"channels":["a"],"heartbeat":5000}',
    })
    expect((await page.next()).data.heartbeatMs).toBe(5000)
    expect((await subscribedTo(page, 2)).sort()).toEqual(['a', 'b'])
  })

  it.each(['[]', '"a"', '{"channels":{}}', '{"channels":', '', '{"__proto__":{"channels":"a"}}'])(
    'refuses the body %s with 400',
    async (body) => {
      const { url } = await startGateway()
      const answer = await refusal(`${url}/stream`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      expect(answer).toMatchObject({ status: 400, code: 'invalid_body' })
    },
  )
})

describe('names that nobody can mean', () => {
  const names = [
    'a\rb',
    'a\nb',
    'a\0b',
    'a b',
    '#a',
    'a/b',
    'x'.repeat(201),
    'sse:clock',
    'shop_private-x',
    'Private-x',
  ]

  it('are denied one by one, and Laravel is not asked', async () => {
    const { url, authorizer } = await startGateway({ redisPrefix: 'laravel_database_' })
    const leftover = 'laravel_database_private-orders.7'
    const query = new URLSearchParams([...names, leftover, 'ok'].map((name) => ['channel', name]))
    const page = await openStream(`${url}/stream?${query}`, { headers: COOKIE })
    const denied = await page.take(names.length + 1, 'denied')
    expect(denied.map(({ data }) => data.channel)).toEqual([...names, leftover])
    for (const { data } of denied) expect(data).toMatchObject({ status: 400, code: 'invalid_channel', retry: false })
    expect(await subscribedTo(page, 1)).toEqual(['ok'])
    expect(authorizer.questions).toEqual([])
  })

  it('are not names of objects: __proto__, constructor and toString are channels like others', async () => {
    const { url, publish } = await startGateway()
    const page = await openStream(`${url}/stream?channels=__proto__,constructor,toString`)
    expect(await subscribedTo(page, 3)).toEqual(['__proto__', 'constructor', 'toString'])
    await publish('__proto__', 'constructor', { toString: 1 })
    expect((await page.next()).text).toBe('{"channel":"__proto__","event":"constructor","data":{"toString":1}}')
  })
})

describe('a denied channel', () => {
  it('does not end the stream, nor hold up the others', async () => {
    const { url, authorizer, publish } = await startGateway()
    authorizer.decides(({ channel }) => (channel.name === 'private-b' ? deny('forbidden') : { allowed: true }))
    const page = await openStream(`${url}/stream?channels=private-a,private-b,presence-c,d`, { headers: COOKIE })
    expect((await page.next('denied')).data).toMatchObject({ channel: 'private-b', status: 403, code: 'forbidden' })
    await page.next('ping')
    for (const channel of ['private-a', 'private-b', 'presence-c', 'd']) await publish(channel, 'E')
    const told = await page.take(3, 'message')
    expect(told.map(({ data }) => data.channel)).toEqual(['private-a', 'presence-c', 'd'])
    expect(authorizer.questions.map(({ channel }) => channel.name)).toEqual(['private-a', 'private-b', 'presence-c'])
  })

  it('is a denial as well when the authorizer breaks', async () => {
    const { url, authorizer } = await startGateway()
    authorizer.decides(() => {
      throw new Error('A bug.')
    })
    const page = await openStream(`${url}/stream?channels=private-a`, { headers: COOKIE })
    expect((await page.next('denied')).data).toMatchObject({ channel: 'private-a', status: 500, code: 'internal' })
    expect((await page.next()).event).toBe('ping')
  })
})
