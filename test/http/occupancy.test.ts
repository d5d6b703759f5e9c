import { describe, expect, it } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import type { Config } from '../../src/config/config.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { grantByToken, joinPage, leave, openPage, type TalkingPage } from '../support/talking-page.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const ROOM = 'presence-room.1'
const LINGER_MS = 300
/** Nobody is gone in these tests because time has passed. */
const FOREVER_MS = 600_000

async function gatewayWithUsers(overrides: Partial<Config> = {}): Promise<RunningGateway> {
  const gateway = await startGateway({ lingerMs: LINGER_MS, ...overrides })
  gateway.authorizer.decides(grantByToken)
  return gateway
}

const occupancyOf = ({ gateway }: RunningGateway) => gateway.services.occupancy
const channelsOf = async (gateway: RunningGateway) => Object.fromEntries(await occupancyOf(gateway).channels())

async function closed(gateway: RunningGateway, ...pages: readonly TalkingPage[]): Promise<void> {
  const { hub } = gateway.gateway.services
  const left = hub.size - pages.length
  for (const { stream } of pages) stream.close()
  await expect.poll(() => hub.size).toBe(left)
}

/** Every count a channel had until this is called. */
function watch(gateway: RunningGateway, channel: string): () => Promise<number[]> {
  const seen: number[] = []
  const look = async () => {
    const count = await occupancyOf(gateway).count(channel)
    if (count !== seen.at(-1)) seen.push(count)
  }
  const timer = setInterval(() => void look(), 5)
  return async () => {
    clearInterval(timer)
    await look()
    return seen
  }
}

describe('a page counts on a channel', () => {
  it('once, as soon as it is granted it: public, private and presence channels alike', async () => {
    const gateway = await gatewayWithUsers()
    await openPage(gateway, 'orders')
    const page = await joinPage(gateway, `orders,private-a,${ROOM}`)
    await joinPage(gateway, 'orders,private-a', { as: page })
    await joinPage(gateway, ROOM)
    expect(await channelsOf(gateway)).toEqual({ orders: 2, 'private-a': 1, [ROOM]: 2 })
    expect(await occupancyOf(gateway).count(ROOM)).toBe(2)
  })

  it('not while it waits for Laravel, nor when it is refused', async () => {
    const gateway = await gatewayWithUsers()
    const release = gateway.authorizer.hold()
    gateway.authorizer.decides(({ channel }) => (channel.name === 'private-no' ? deny('forbidden') : { allowed: true }))
    const page = await openPage(gateway, 'private-a,private-no,sse:presence')
    expect(await channelsOf(gateway)).toEqual({})
    release()
    await page.stream.next('ping')
    expect(await channelsOf(gateway)).toEqual({ 'private-a': 1 })
  })

  it('without a break, when it makes a new stream before it breaks the old one', async () => {
    const gateway = await gatewayWithUsers()
    let page = await joinPage(gateway, 'orders,private-a')
    const seen = [watch(gateway, 'orders'), watch(gateway, 'private-a')]
    for (let times = 0; times < 4; times += 1) {
      const query = { lastEventId: page.stream.lastEventId ?? '' }
      const next = await joinPage(gateway, 'orders,private-a', { as: page, query })
      await closed(gateway, page)
      page = next
    }
    // Who goes after it is gone by then.
    await closed(gateway, await openPage(gateway, 'fence'))
    await expect.poll(() => occupancyOf(gateway).count('fence')).toBe(0)
    expect(await Promise.all(seen.map((stop) => stop()))).toEqual([[1], [1]])
  })

  it('without a break, from one long-poll to the next', async () => {
    const gateway = await gatewayWithUsers()
    const query = { mode: 'poll', wait: '0' }
    const first = await joinPage(gateway, 'orders,private-a', { query })
    const seen = watch(gateway, 'orders')
    let last = first
    for (let times = 0; times < 4; times += 1) {
      await last.stream.ended
      const lastEventId = last.stream.lastEventId ?? ''
      last = await joinPage(gateway, 'orders,private-a', { as: first, query: { ...query, lastEventId } })
    }
    await last.stream.ended
    expect(await seen()).toEqual([1])
    await expect.poll(() => channelsOf(gateway)).toEqual({})
  })

  it('for the linger time after its last stream, and not at all once it has said that it is gone', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: FOREVER_MS })
    const [page, other] = [await joinPage(gateway, 'orders,private-a'), await joinPage(gateway, 'orders,private-a')]
    await closed(gateway, page)
    expect(await channelsOf(gateway)).toEqual({ orders: 2, 'private-a': 2 })
    await leave(page)
    await expect.poll(() => channelsOf(gateway)).toEqual({ orders: 1, 'private-a': 1 })
    await leave(other)
    await expect.poll(() => channelsOf(gateway)).toEqual({})
  })

  it('no longer when that is taken away', async () => {
    const receiver = await WebhookReceiver.start()
    const gateway = await gatewayWithUsers({
      lingerMs: FOREVER_MS,
      webhookUrls: [receiver.url],
      webhookEvents: ['subscription_count'],
    })
    const page = await joinPage(gateway, `orders,${ROOM}`)
    await receiver.until((events) => events.length === 2)
    gateway.gateway.services.grants.revoke({ user: 'ada', channel: ROOM, socket: null })
    await page.stream.next('revoked')
    expect(await channelsOf(gateway)).toEqual({ orders: 1 })
    await receiver.until((events) => events.length === 3)
    expect(receiver.events().at(-1)).toEqual({ name: 'subscription_count', channel: ROOM, subscription_count: 0 })
  })
})

describe('the application is told', () => {
  it('which channels are occupied and by how many, and which are vacated, also at the end', async () => {
    const receiver = await WebhookReceiver.start()
    const gateway = await gatewayWithUsers({
      webhookUrls: [receiver.url],
      webhookEvents: ['channel_occupied', 'channel_vacated', 'subscription_count'],
      lingerMs: 0,
    })
    const page = await joinPage(gateway, 'orders,private-a')
    await receiver.until((events) => events.length === 4)
    const counted = (channel: string, subscription_count: number) => ({
      name: 'subscription_count',
      channel,
      subscription_count,
    })
    expect(receiver.events()).toEqual([
      { name: 'channel_occupied', channel: 'orders' },
      counted('orders', 1),
      { name: 'channel_occupied', channel: 'private-a' },
      counted('private-a', 1),
    ])
    await openPage(gateway, 'orders')
    page.stream.close()
    await receiver.until((events) => events.some(({ name }) => name === 'channel_vacated'))
    await gateway.stop()
    expect(receiver.events().filter(({ name }) => name === 'channel_vacated')).toEqual([
      { name: 'channel_vacated', channel: 'private-a' },
      { name: 'channel_vacated', channel: 'orders' },
    ])
    expect(receiver.events()).toContainEqual(counted('private-a', 0))
  })
})
