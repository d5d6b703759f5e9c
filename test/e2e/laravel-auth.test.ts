import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Curl, curl } from '../support/curl.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { untilTrue } from '../support/until-true.ts'
import type { Visitor } from '../support/visitor.ts'
import { type Watched, watch } from '../support/watched.ts'

describe.runIf(requirePart('redis', 'php', 'curl', 'laravel-12'))('asking a real Laravel through the gateway', () => {
  let redis: RedisServer
  let laravel: Laravel
  let asked: Watched

  beforeAll(async () => {
    redis = await startRedis()
    // More than one request may have in flight, so that a limit that is seen is the gateway's.
    laravel = await startLaravel({ app: 'laravel-12', redisClient: 'predis', redisPort: redis.port, workers: 8 })
  })

  afterAll(async () => {
    await laravel?.stop()
    await redis?.close()
  })

  async function gatewayAsking(endpoint = '/broadcasting/auth'): Promise<GatewayProcess> {
    asked = await watch(laravel.url)
    onTestFinished(() => asked.close())
    const args = ['--laravel', laravel.dir, '--laravel-url', asked.url, '--auth-endpoint', endpoint]
    const gateway = await startGatewayProcess(args)
    onTestFinished(() => gateway.stop())
    return gateway
  }

  describe('an auth call that is running during a logout', () => {
    it('brings the session back on the default route', async () => {
      const { inFlight, gateway, tab } = await logOutDuringAuthCall('/broadcasting/auth', 'revived')

      expect((await inFlight.next('subscribed')).data.channel).toBe('private-held.revived')
      expect(await whoIs(tab)).toBe(1)
      expect((await (await listenAs(gateway, tab)).next('subscribed')).data.channel).toBe('private-orders.1')
    })

    it('leaves it gone on a route whose middleware saves nothing', async () => {
      const { inFlight, gateway, tab } = await logOutDuringAuthCall('/cured/broadcasting/auth', 'cured')

      expect((await inFlight.next('subscribed')).data.channel).toBe('private-held.cured')
      expect(await whoIs(tab)).toBeNull()
      expect((await (await listenAs(gateway, tab)).next('denied')).data).toMatchObject({ status: 403, retry: false })
    })

    /** One tab logs out while the gateway asks for another one, which still has the old cookies. */
    async function logOutDuringAuthCall(endpoint: string, name: string) {
      const gateway = await gatewayAsking(endpoint)
      const ada = await laravel.login(1)
      const tab = ada.clone()
      const inFlight = await curl(`${gateway.url}/stream?channels=private-held.${name}`, { cookie: tab.cookie })
      await laravel.whenHeld(name)

      await ada.post('/logout')
      expect(await whoIs(tab)).toBeNull()
      laravel.release(name)
      return { inFlight, gateway, tab }
    }

    async function whoIs(tab: Visitor): Promise<number | null> {
      const answer = await tab.clone().fetch('/whoami')
      return ((await answer.json()) as { id: number | null }).id
    }

    function listenAs(gateway: GatewayProcess, tab: Visitor): Promise<Curl> {
      return curl(`${gateway.url}/stream?channels=private-orders.1`, { cookie: tab.cookie })
    }
  })

  it('asks for four channels of one request at once, and does not let another request wait for the rest', async () => {
    const gateway = await gatewayAsking()
    const { cookie } = await laravel.login(1)
    const channels = Array.from({ length: 6 }, (_, index) => `private-slow.${1000 + index}`)
    const calls = (agent: string) => asked.requests.filter(({ headers }) => headers['user-agent'] === agent)

    const six = await curl(`${gateway.url}/stream?channels=${channels}`, { cookie, headers: { 'User-Agent': 'six' } })
    await untilTrue(() => calls('six').length === 4)
    const one = await curl(`${gateway.url}/stream?channels=private-orders.1`, {
      cookie,
      headers: { 'User-Agent': 'one' },
    })
    await one.next('subscribed')
    const subscribed = await six.take(6, 'subscribed')

    expect(subscribed.map(({ data }) => data.channel).toSorted()).toEqual(channels)
    expect(Math.max(...calls('six').map(({ inFlight }) => inFlight))).toBe(4)
    const order = asked.requests.flatMap(({ headers }) => headers['user-agent'] ?? [])
    expect(order.indexOf('one')).toBeLessThan(order.lastIndexOf('six'))
  })

  it('loses nothing on a channel while Laravel has not answered', async () => {
    const gateway = await gatewayAsking()
    const { cookie } = await laravel.login(1)
    const listen = (headers = {}) =>
      curl(`${gateway.url}/stream?channels=orders,private-held.late`, { cookie, headers })
    const first = await listen()
    await laravel.whenHeld('late')
    await laravel.broadcast('announced', { id: 1, channel: 'private-held.late' })
    await laravel.broadcast('announced', { id: 2, channel: 'orders' })
    expect((await first.next('message')).data.channel).toBe('orders')
    await first.drop()
    laravel.release('late')

    const again = await listen({ 'Last-Event-ID': first.lastEventId })
    const told = await again.take(2, 'message')

    // The public one is told once more; the client drops it by the part of its id after the `~`.
    expect(told.map(({ data }) => [data.channel, data.data.id]).toSorted()).toEqual([
      ['orders', 2],
      ['private-held.late', 1],
    ])
    expect(again.frames.some(({ event }) => event === 'gap')).toBe(false)
  })

  it('sends the XSRF-TOKEN cookie along as a header to a route that wants a CSRF token', async () => {
    const gateway = await gatewayAsking('/custom/broadcasting/auth')
    const ada = await laravel.login(1)
    const listen = (cookie: string) => curl(`${gateway.url}/stream?channels=private-orders.1`, { cookie })

    expect((await (await listen(ada.cookie)).next('subscribed')).data.channel).toBe('private-orders.1')
    expect(asked.requests.at(-1)?.headers['x-xsrf-token']).toBe(ada.xsrfToken)

    const withoutToken = ada.cookie.replace(/XSRF-TOKEN=[^;]*;? ?/, '')
    expect((await (await listen(withoutToken)).next('denied')).data).toMatchObject({
      status: 419,
      code: 'session_expired',
      message: 'CSRF token mismatch.',
    })
  })
})
