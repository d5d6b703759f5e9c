import { describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RawConnection, rawConnection } from '../support/raw-connection.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'

const MIB = 1024 * 1024
const HISTORY = { historyChannelBytes: 256 * MIB, historyBytes: 256 * MIB }
const TEXT = 'x'.repeat(64 * 1024)

/** A page that has connected and then reads no more. */
async function stuckPage({ port }: RunningGateway): Promise<RawConnection> {
  const page = await rawConnection(port)
  page.write('GET /stream?channels=orders HTTP/1.0\r\n\r\n')
  await page.until('subscribed')
  page.socket.pause()
  return page
}

async function endedBy({ gateway }: RunningGateway, reason: string): Promise<number> {
  const { values } = await gateway.services.metrics.ended.get()
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0
}

/** Publishes until the gateway has given somebody up, and hears each message elsewhere before the next. */
async function publishUntilSlow(gateway: RunningGateway, other: SseClient): Promise<number> {
  for (let number = 1; number <= 1000; number += 1) {
    await gateway.publish('orders', 'E', { number, text: TEXT })
    expect((await other.next('message')).data.data.number).toBe(number)
    if ((await endedBy(gateway, 'slow')) > 0) return number
  }
  throw new Error('64 MiB were published and nobody was too slow.')
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/"number":(\d+)/g)].map(([, number]) => Number(number))
}

describe('a page that stops reading', () => {
  it('is told goodbye, does not delay the others, and loses nothing', async () => {
    const gateway = await startGateway({ ...HISTORY, backlogBytes: 256 * 1024 })
    const slow = await stuckPage(gateway)
    const other = await openStream(`${gateway.url}/stream?channels=orders`)
    await other.next('subscribed')
    const count = await publishUntilSlow(gateway, other)
    expect(await endedBy(gateway, 'slow')).toBe(1)
    expect(gateway.gateway.services.hub.size).toBe(1)

    slow.socket.resume()
    await slow.closed
    expect(slow.text.slice(-300)).toMatch(/retry: (\d+)\nevent: bye\ndata: \{"reason":"slow","retryAfterMs":\1\}\n\n$/)
    const cursor = [...slow.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1]
    const told = numbersIn(slow.text)
    const back = await openStream(`${gateway.url}/stream?channels=orders&lastEventId=${cursor}`)
    expect((await back.next()).data.resume).toBe('ok')
    while (told.length < count) told.push((await back.next('message')).data.data.number)
    expect(told).toEqual(Array.from({ length: count }, (_, index) => index + 1))
  })

  it('is cut off when it does not even read the goodbye', async () => {
    const gateway = await startGateway({ ...HISTORY, backlogBytes: 256 * 1024 })
    const slow = await stuckPage(gateway)
    const other = await openStream(`${gateway.url}/stream?channels=orders`)
    await other.next('subscribed')
    await publishUntilSlow(gateway, other)
    await expect
      .poll(() => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length, {
        timeout: PATIENCE_MS,
      })
      // Of the page that reads both ends are in this process, of the other only its own.
      .toBe(3)
    expect(slow.socket.destroyed).toBe(false)
  }, 15_000)

  it('is not counted as slow while it catches up', async () => {
    const gateway = await startGateway({ ...HISTORY, backlogBytes: 64 * 1024 })
    const first = await openStream(`${gateway.url}/stream?channels=orders`)
    const cursor = (await first.next()).id
    first.close()
    for (let number = 1; number <= 200; number += 1) await gateway.publish('orders', 'E', { number, text: TEXT })
    const back = await openStream(`${gateway.url}/stream?channels=orders&lastEventId=${cursor}`)
    const told = await back.take(200, 'message')
    expect(told.map(({ data }) => data.data.number)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
    expect(await endedBy(gateway, 'slow')).toBe(0)
  })
})

it('the slowest goes when all together have too much unsent', async () => {
  const gateway = await startGateway({ ...HISTORY, backlogBytes: 512 * MIB, totalBacklogBytes: MIB })
  await stuckPage(gateway)
  const other = await openStream(`${gateway.url}/stream?channels=orders`)
  await other.next('subscribed')
  for (let number = 1; number <= 300; number += 1) {
    await gateway.publish('orders', 'E', { number, text: TEXT })
    await other.next('message')
  }
  expect(await endedBy(gateway, 'slow')).toBe(0)
  await expect.poll(() => endedBy(gateway, 'slow'), { timeout: PATIENCE_MS }).toBe(1)
  expect(gateway.gateway.services.hub.size).toBe(1)
  await gateway.publish('orders', 'After')
  expect((await other.next('message')).data.event).toBe('After')
})

it('a page that hears nothing for a heartbeat gets a ping', async () => {
  const { url } = await startGateway()
  const page = await openStream(`${url}/stream?channels=orders&heartbeat=2000`)
  expect((await page.next()).data.heartbeatMs).toBe(2000)
  await page.next('subscribed')
  const ping = await page.next()
  expect(ping).toMatchObject({ event: 'ping', data: { time: expect.any(Number) } })
})
