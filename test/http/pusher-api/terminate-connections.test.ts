import { describe, expect, it } from 'vitest'
import { deny } from '../../../src/auth/denial.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type PublishChange, publishByHttp } from '../../support/publisher.ts'
import { StuckBroker } from '../../support/stuck-broker.ts'
import { grantByToken, joinPage, openPage, subscribedTo, whisper } from '../../support/talking-page.ts'

const ROOM = 'presence-room.1'
const ORDERS = 'private-orders'
const BYE = { reason: 'terminated', retryAfterMs: 1000 }

function terminate({ url }: { url: string }, user: string, change: PublishChange = {}) {
  const path = `/apps/local/users/${encodeURIComponent(user)}/terminate_connections`
  return publishByHttp(url, {}, { path, ...change })
}

async function gatewayWithUsers(...given: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway(...given)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

describe('terminate_connections', () => {
  it('ends every stream of every page of the user, and of nobody else', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, `${ROOM},${ORDERS},news`)
    const tab = await joinPage(gateway, `${ROOM},${ORDERS}`)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    const second = await openPage(gateway, 'news', { as: ada })
    const query = { mode: 'poll', lastEventId: tab.stream.lastEventId ?? '' }
    const polling = openPage(gateway, ORDERS, { as: tab, query })
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(5)
    expect(await terminate(gateway, 'ada')).toMatchObject({ status: 200, text: '{}' })
    for (const { stream } of [ada, tab, second, await polling]) {
      expect((await stream.next('bye')).data).toEqual(BYE)
      await stream.ended
      expect(stream.frames.map(({ event }) => event)).not.toContain('revoked')
    }
    expect((await grace.stream.next('leaving')).data.member.id).toBe('ada')
    await gateway.publish(ROOM, 'Still')
    expect((await grace.stream.next('message')).data.event).toBe('Still')
    expect(gateway.gateway.services.hub.size).toBe(1)
  })

  it('forgets what the user was granted: a page that comes back is put to Laravel, and is on no list until then', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 600_000 })
    const ada = await joinPage(gateway, `${ROOM},${ORDERS}`)
    await terminate(gateway, 'ada')
    await ada.stream.ended
    expect(await whisper(ada, { channel: ORDERS })).toMatchObject({ status: 403, code: 'not_subscribed' })
    const late = await joinPage(gateway, ROOM, { user: 'late' })
    expect(subscribedTo(late, ROOM).members.map(({ id }: { id: string }) => id)).toEqual(['late'])
    gateway.authorizer.decides(() => deny('forbidden'))
    const asked = gateway.authorizer.questions.length
    const back = await joinPage(gateway, `${ROOM},${ORDERS}`, { as: ada })
    expect(gateway.authorizer.questions).toHaveLength(asked + 2)
    expect(back.stream.frames.map(({ event }) => event)).toEqual(['connected', 'denied', 'denied', 'ping'])
  })

  it('reaches a page that is between two streams', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 600_000 })
    const ada = await joinPage(gateway, ROOM)
    ada.stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(0)
    await terminate(gateway, 'ada')
    await joinPage(gateway, ROOM, { as: ada })
    expect(gateway.authorizer.questions).toHaveLength(2)
  })

  it('overtakes the answer about a page that is just coming', async () => {
    const gateway = await gatewayWithUsers()
    const release = gateway.authorizer.hold()
    const ada = await openPage(gateway, ROOM)
    await gateway.authorizer.untilQuestions(1)
    await terminate(gateway, 'ada')
    let asked = 0
    gateway.authorizer.decides((question) => {
      asked += 1
      return asked === 1 ? grantByToken(question) : deny('forbidden')
    })
    release()
    expect((await ada.stream.next('denied')).data.code).toBe('forbidden')
    expect(gateway.authorizer.questions).toHaveLength(2)
  })

  it.each(['7', 'ada@example.com', 'a/b', 'ä b%', '__proto__', 'x'.repeat(300)])(
    'finds the user by the id in its address: %j',
    async (user) => {
      const gateway = await startGateway()
      gateway.authorizer.decides(() => ({ allowed: true, member: { id: user, info: null } }))
      const page = await joinPage(gateway, ROOM)
      await terminate(gateway, user)
      expect((await page.stream.next('bye')).data).toEqual(BYE)
    },
  )

  it('is counted and logged as an end of its own', async () => {
    const gateway = await gatewayWithUsers()
    const { stream } = await joinPage(gateway, ROOM)
    await terminate(gateway, 'ada')
    await stream.ended
    const { values } = await gateway.gateway.services.metrics.ended.get()
    expect(values).toEqual([{ labels: { reason: 'terminated' }, value: 1 }])
  })

  it('needs no body, and says nothing about whether somebody was there', async () => {
    const gateway = await gatewayWithUsers()
    expect(await terminate(gateway, 'nobody')).toMatchObject({ status: 200, text: '{}' })
    const page = await joinPage(gateway, ROOM)
    const answer = await terminate(gateway, 'ada', { body: '', headers: { 'content-length': '0' } })
    expect(answer.status).toBe(200)
    expect((await page.stream.next('bye')).data).toEqual(BYE)
  })
})

describe('terminate_connections that is refused ends nothing', () => {
  it.each<[string, PublishChange, number]>([
    ['no signature', { query: (query) => query.delete('auth_signature') }, 401],
    ['the signature of another body', { signed: '{"a":1}' }, 401],
    ['an old timestamp', { now: Date.now() - 660_000 }, 401],
    ['a page', { headers: { origin: 'http://127.0.0.1' } }, 403],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
    ['a body that is too long', { body: `"${'x'.repeat(70_000)}"` }, 413],
    ['another method', { method: 'GET', body: '' }, 405],
  ])('for %s', async (_, change, status) => {
    const gateway = await gatewayWithUsers()
    await joinPage(gateway, ROOM)
    expect((await terminate(gateway, 'ada', change)).status).toBe(status)
    expect(gateway.gateway.services.hub.size).toBe(1)
  })

  it('without a user', async () => {
    const { url } = await startGateway()
    const path = '/apps/local/users//terminate_connections'
    expect((await publishByHttp(url, {}, { path })).status).toBe(400)
  })

  it('where the broker takes nothing', async () => {
    const broker = new StuckBroker()
    broker.release()
    const gateway = await startGateway({}, { broker })
    broker.isRefusing = true
    expect(await terminate(gateway, 'ada')).toMatchObject({ status: 503, code: 'broker_unavailable' })
  })
})
