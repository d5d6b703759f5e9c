import { describe, expect, it, vi } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import type { CachedEvent } from '../../src/cache/last-events.ts'
import { GatewayError } from '../../src/errors.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { Log } from '../support/log.ts'
import { publishByHttp } from '../support/publisher.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'
import { grantByToken, joinPage, openPage, type TalkingPage, whisper } from '../support/talking-page.ts'

const NAME = 'cache-stock'
const KINDS = ['cache-a', 'private-cache-a', 'presence-cache-a', 'private-encrypted-cache-a']

async function gatewayWithUsers(...[overrides, parts]: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway(overrides, parts)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

/** What the stream said of cache channels: misses, data, `=data` for a cached one. */
function told({ frames }: SseClient): unknown[] {
  return frames.flatMap(({ event, data }) => {
    if (event === 'cache_miss') return [`miss ${data.channel}`]
    if (event !== 'message' || !data.channel.includes('cache-')) return []
    return [data.cached === true ? `=${data.data}` : data.data]
  })
}

async function polled(gateway: RunningGateway, query: string): Promise<SseClient> {
  const answer = await openStream(`${gateway.url}/stream?mode=poll&${query}`, {
    headers: { authorization: 'Bearer ada' },
  })
  await answer.ended
  return answer
}

/** Comes back with the newest id, as EventSource does. A guarded channel beside: when it is decided, all is told. */
const resumed = (gateway: RunningGateway, { stream }: TalkingPage, channels: string) =>
  joinPage(gateway, `${channels},private-x`, { headers: { 'last-event-id': stream.lastEventId ?? '' } })

describe.each(KINDS)('on %s', (name) => {
  it('the last event is told to who comes, and what comes then as ever', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(name, 'Old', 1)
    await gateway.publish(name, 'New', { n: [1, 'é'] })
    const page = await openPage(gateway, name)
    expect(await page.stream.next('subscribed')).toMatchObject({ data: { channel: name } })
    const first = await page.stream.next()
    expect(first).toMatchObject({ event: 'message', id: undefined })
    expect(first.text).toBe(`{"channel":"${name}","event":"New","data":{"n":[1,"é"]},"cached":true}`)
    await page.stream.next('ping')
    await gateway.publish(name, 'Newer', 3)
    const live = await page.stream.next('message')
    expect(live.text).toBe(`{"channel":"${name}","event":"Newer","data":3}`)
    expect(live.id).toMatch(/^\d+\.0\.\d+$/)
  })

  it('it is said that there is none', async () => {
    const gateway = await gatewayWithUsers()
    const tell = vi.spyOn(gateway.gateway.services.webhooks, 'tell')
    const page = await joinPage(gateway, name)
    expect(page.stream.frames.map(({ event }) => event)).toEqual(['connected', 'subscribed', 'cache_miss', 'ping'])
    expect(page.stream.frames[2]).toMatchObject({ id: undefined, data: { channel: name } })
    const misses = tell.mock.calls.filter(([event]) => event.name === 'cache_miss')
    expect(misses).toEqual([[{ name: 'cache_miss', channel: name }]])
  })

  it('a page that goes on is told neither', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(name, 'E', 1)
    const page = await joinPage(gateway, name)
    expect(told(page.stream)).toEqual(['=1'])
    page.stream.close()
    await gateway.publish(name, 'E', 2)
    const again = await resumed(gateway, page, name)
    expect(told(again.stream)).toEqual([2])
    const third = await resumed(gateway, again, name)
    expect(told(third.stream)).toEqual([])
  })
})

it('on other channels nothing is kept', async () => {
  const gateway = await gatewayWithUsers()
  for (const name of ['orders', 'private-a', 'presence-a']) await gateway.publish(name, 'E', 1)
  const page = await joinPage(gateway, 'orders,private-a,presence-a')
  expect(page.stream.frames.map(({ event }) => event)).toEqual([
    'connected',
    'subscribed',
    'subscribed',
    'subscribed',
    'ping',
  ])
})

describe('what is kept', () => {
  it('is what Laravel said last, by whatever way, and no whisper', async () => {
    const gateway = await gatewayWithUsers()
    const name = 'presence-cache-a'
    await publishByHttp(gateway.url, { name: 'E', data: '{"by":"http"}', channels: ['orders', name, NAME] })
    const ada = await joinPage(gateway, name)
    expect((await whisper(ada)).status).toBe(204)
    const grace = await joinPage(gateway, `${name},${NAME}`, { user: 'grace' })
    const cached = grace.stream.frames.filter(({ data }) => data.cached === true)
    expect(cached.map(({ data }) => [data.channel, data.data]).sort()).toEqual([
      [NAME, { by: 'http' }],
      [name, { by: 'http' }],
    ])
  })

  it('is no message that turns out not to be Laravel’s', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(NAME, 'E', 1)
    await gateway.gateway.services.broker.publish([NAME], '{"event":"E","data":')
    expect(told((await joinPage(gateway, NAME)).stream)).toEqual(['=1'])
  })

  it('is an encrypted message as it came', async () => {
    const gateway = await gatewayWithUsers()
    const name = 'private-encrypted-cache-a'
    const sealed = { nonce: 'bm9uY2U=', ciphertext: 'c2VjcmV0' }
    await gateway.publish(name, 'E', sealed)
    gateway.authorizer.decides(() => ({ allowed: true, sharedSecret: 'key' }))
    const page = await joinPage(gateway, name)
    expect(page.stream.frames.slice(1, 3).map(({ data }) => data)).toEqual([
      { channel: name, sharedSecret: 'key' },
      { channel: name, event: 'E', data: sealed, cached: true },
    ])
  })

  it('is nothing with --cache-ttl-s 0, and that is said', async () => {
    const gateway = await gatewayWithUsers({ cacheTtlS: 0 })
    await gateway.publish(NAME, 'E', 1)
    expect(told((await joinPage(gateway, NAME)).stream)).toEqual([`miss ${NAME}`])
  })

  it('is not told to the socket that has sent it', async () => {
    const gateway = await gatewayWithUsers()
    const page = await joinPage(gateway, 'orders,private-x')
    await gateway.publish(NAME, 'E', 1, page.socketId)
    const again = await joinPage(gateway, `private-x,${NAME}`, { as: page })
    expect(again.socketId).toBe(page.socketId)
    expect(told(again.stream)).toEqual([])
    expect(told((await joinPage(gateway, NAME)).stream)).toEqual(['=1'])
  })
})

describe('a page is told the last event', () => {
  it('when it joins, beside channels that go on', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(NAME, 'E', 1)
    const page = await joinPage(gateway, 'cache-other,orders')
    const query = { lastEventId: page.stream.lastEventId ?? '', fresh: NAME }
    const next = await joinPage(gateway, `cache-other,orders,${NAME}`, { query, as: page })
    expect(told(next.stream)).toEqual(['=1'])
  })

  it('after a gap', async () => {
    const gateway = await gatewayWithUsers({ historyMessages: 1 })
    await gateway.publish(NAME, 'E', 1)
    const page = await joinPage(gateway, NAME)
    page.stream.close()
    const cursor = page.stream.lastEventId ?? ''
    const foreign = await joinPage(gateway, NAME, { headers: { 'last-event-id': '1700000000000000.4.2' } })
    expect(foreign.stream.frames.map(({ event }) => event)).toEqual([
      'connected',
      'gap',
      'subscribed',
      'message',
      'ping',
    ])
    // This channel has lost nothing that the page missed; the other one has.
    for (const number of [1, 2, 3]) await gateway.publish('cache-busy', 'E', number)
    const back = await joinPage(gateway, `${NAME},cache-busy`, { headers: { 'last-event-id': cursor } })
    expect(told(back.stream)).toEqual([3])
    expect(back.stream.frames.filter(({ event }) => event === 'gap')).toHaveLength(1)
  })

  it('when it was refused before, and names the channel as one it never had', async () => {
    const gateway = await gatewayWithUsers()
    const name = 'private-cache-a'
    await gateway.publish(name, 'E', 1)
    gateway.authorizer.decides(() => deny('authorizer_unavailable'))
    const page = await joinPage(gateway, `orders,${name}`)
    expect(told(page.stream)).toEqual([])
    gateway.authorizer.decides(grantByToken)
    const query = { lastEventId: page.stream.lastEventId ?? '', fresh: name }
    const again = await joinPage(gateway, `orders,${name}`, { query, as: page })
    expect(told(again.stream)).toEqual(['=1'])
  })

  it('when its stream broke off before it was told', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(NAME, 'E', 1)
    const release = gateway.authorizer.hold()
    const page = await openPage(gateway, `${NAME},private-x`)
    await page.stream.next('message')
    page.stream.close()
    release()
    const again = await resumed(gateway, page, NAME)
    // It may have been told already: that cannot be known.
    expect(told(again.stream)).toEqual(['=1'])
  })

  it('and not when Laravel refuses it, nor when it is gone by then', async () => {
    const gateway = await gatewayWithUsers()
    const name = 'private-cache-a'
    await gateway.publish(name, 'E', 1)
    gateway.authorizer.decides(() => deny('forbidden'))
    expect(told((await joinPage(gateway, name)).stream)).toEqual([])
  })

  it('in a poll, which brings it as news, and not in the polls after it', async () => {
    const gateway = await gatewayWithUsers()
    await gateway.publish(NAME, 'E', 1)
    const first = await polled(gateway, 'channels=orders')
    const joined = await polled(gateway, `channels=orders,${NAME}&fresh=${NAME}&lastEventId=${first.lastEventId}`)
    expect(joined.frames.map(({ event }) => event)).toEqual([
      'connected',
      'subscribed',
      'subscribed',
      'message',
      'ping',
    ])
    expect(told(joined)).toEqual(['=1'])
    const query = `channels=orders,${NAME}&wait=0.05&lastEventId=${joined.lastEventId}`
    expect(told(await polled(gateway, query))).toEqual([])
    const waiting = polled(gateway, `channels=orders,${NAME}&lastEventId=${joined.lastEventId}`)
    await gateway.publish(NAME, 'E', 2)
    expect(told(await waiting)).toEqual([2])
  })

  it('in a poll, however much there is to tell, and the poll after it goes on', async () => {
    const gateway = await gatewayWithUsers()
    const names = ['cache-a', 'cache-b', 'cache-c', 'cache-d']
    for (const name of names) await gateway.publish(name, 'E', name.repeat(20_000))
    const first = await polled(gateway, `channels=${names}`)
    expect(told(first)).toHaveLength(4)
    expect(first.lastEventId).toMatch(/^\d+\.0\.4$/)
    expect(told(await polled(gateway, `channels=${names}&wait=0&lastEventId=${first.lastEventId}`))).toEqual([])
  })
})

describe('while the last event cannot be looked up', () => {
  it('the channel is granted without, and nothing is said of a miss', async () => {
    const log = new Log()
    const gateway = await gatewayWithUsers({}, { logger: log.logger })
    const { lastEvents, webhooks } = gateway.gateway.services
    vi.spyOn(lastEvents, 'read').mockRejectedValue(new GatewayError('broker_unavailable'))
    const tell = vi.spyOn(webhooks, 'tell')
    const page = await joinPage(gateway, `${NAME},private-cache-a`)
    expect(page.stream.frames.map(({ event }) => event)).toEqual(['connected', 'subscribed', 'subscribed', 'ping'])
    expect(tell).not.toHaveBeenCalled()
    await gateway.publish(NAME, 'E', 1)
    expect((await page.stream.next('message')).data).toEqual({ channel: NAME, event: 'E', data: 1 })
  })

  it('no other channel waits for it, and this one not for long', async () => {
    const gateway = await gatewayWithUsers()
    const { lastEvents } = gateway.gateway.services
    vi.spyOn(lastEvents, 'read').mockReturnValue(new Promise<never>(() => {}))
    const page = await openPage(gateway, `${NAME},orders`)
    expect((await page.stream.next('subscribed')).data.channel).toBe('orders')
    const openedAtMs = Date.now()
    await gateway.publish('orders', 'E', 1)
    expect((await page.stream.next('message')).data.data).toBe(1)
    await gateway.publish(NAME, 'E', 2)
    expect((await page.stream.next()).data).toEqual({ channel: NAME })
    expect(Date.now() - openedAtMs).toBeGreaterThan(500)
    expect((await page.stream.next('message')).data).toEqual({ channel: NAME, event: 'E', data: 2 })
  })

  it('a revocation takes the channel away as ever', async () => {
    const gateway = await gatewayWithUsers()
    const name = 'private-cache-a'
    let answer: (event: (CachedEvent & { ttlS: number }) | null) => void = () => {}
    vi.spyOn(gateway.gateway.services.lastEvents, 'read').mockImplementationOnce(
      () =>
        new Promise((resolve) => {
          answer = resolve
        }),
    )
    const page = await openPage(gateway, `${name},orders`)
    await page.stream.next('subscribed')
    await expect.poll(() => gateway.authorizer.questions.length).toBe(1)
    gateway.authorizer.decides(() => deny('forbidden'))
    await publishByHttp(gateway.url, { channel: name }, { path: '/apps/local/revoke' })
    answer(null)
    expect((await page.stream.next()).event).toBe('denied')
    expect(told(page.stream)).toEqual([])
  })
})
