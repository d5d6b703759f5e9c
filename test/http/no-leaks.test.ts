import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { rawConnection, sendRaw } from '../support/raw-connection.ts'
import { openStream } from '../support/sse-client.ts'

const ONE = { maxConnections: 1 }

/** Everything a stream holds is given back: the only place is free again and nothing is left behind. */
async function expectNothingLeft({ gateway, authorizer, url }: RunningGateway): Promise<void> {
  const { hub, metrics } = gateway.services
  await expect.poll(() => hub.size).toBe(0)
  await expect.poll(() => authorizer.openSessions).toBe(0)
  expect(hub.channelCount).toBe(0)
  expect(await metrics.registry.metrics()).toMatch(/^echo_sse_streams 0$/m)
  const next = await openStream(`${url}/stream?channels=a`)
  expect((await next.next()).event).toBe('connected')
}

describe('the place of a stream is free again', () => {
  it('when the page leaves', async () => {
    const gateway = await startGateway(ONE)
    const page = await openStream(`${gateway.url}/stream?channels=a,private-b`, { headers: { cookie: 'a=b' } })
    await page.next('ping')
    page.close()
    await expectNothingLeft(gateway)
  })

  it('when the page leaves before Laravel has answered', async () => {
    const gateway = await startGateway(ONE)
    const release = gateway.authorizer.hold()
    const page = await openStream(`${gateway.url}/stream?channels=private-b`, { headers: { cookie: 'a=b' } })
    await gateway.authorizer.untilQuestions(1)
    page.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(0)
    release()
    await expectNothingLeft(gateway)
  })

  it('when a poll was answered', async () => {
    const gateway = await startGateway(ONE)
    const poll = await openStream(`${gateway.url}/stream?channels=a&mode=poll`)
    await poll.ended
    await expectNothingLeft(gateway)
  })

  it('when the gateway ends it, also if the page never closes its side', async () => {
    const gateway = await startGateway(ONE)
    const page = await rawConnection(gateway.port)
    page.write('GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n')
    await page.until('subscribed')
    gateway.gateway.services.hub.endAll('expired', () => 100)
    await page.closed
    await expectNothingLeft(gateway)
  })

  it('when a second request comes on the same connection', async () => {
    const gateway = await startGateway({ maxConnections: 2 })
    const page = await rawConnection(gateway.port)
    page.write('GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2))
    await page.until('subscribed')
    page.socket.destroy()
    await expectNothingLeft(gateway)
  })

  it('when the request was refused', async () => {
    const gateway = await startGateway(ONE)
    for (const query of ['', 'channels=a&mode=x', `channels=${Array.from({ length: 101 }, (_, i) => i)}`]) {
      await sendRaw(gateway.port, `GET /stream?${query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    }
    await expectNothingLeft(gateway)
  })
})

it('nothing is left of 300 pages that come and go at once, each in its own way', async () => {
  const gateway = await startGateway()
  const first = await openStream(`${gateway.url}/stream?channels=a&mode=poll`)
  await first.ended
  const cursor = first.lastEventId
  const requests = [
    'GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /stream?channels=a,private-b HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n',
    `GET /stream?mode=poll&channels=a&lastEventId=${cursor} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET /stream?mode=poll&channels=private-b&lastEventId=${cursor} HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n`,
    'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"channels":"a"}',
    `POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{"channels":"a","mode":"poll","lastEventId":"${cursor}"`.padEnd(
      200,
    ),
    'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"ch',
    'GET /stream?channels=a HTTP/1.0\r\n\r\n',
    'GET /stream?chan',
  ]
  const ways = ['destroy', 'reset', 'end', 'later'] as const
  for (let index = 0; index < 300; index += 1) {
    const page = await rawConnection(gateway.port)
    page.write(requests[index % requests.length] as string)
    const way = ways[index % ways.length]
    if (way === 'later') await Promise.race([once(page.socket, 'data'), new Promise(setImmediate)])
    if (way === 'reset') page.socket.resetAndDestroy()
    else if (way === 'end') page.socket.end(() => page.socket.destroy())
    else page.socket.destroy()
  }
  await expectNothingLeft(gateway)
})
