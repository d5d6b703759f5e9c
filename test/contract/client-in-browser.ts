import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/ask.ts'
import { apart, atEndOfTest } from '../support/at-end.ts'
import type { AnyBrowser, BrowserKind } from '../support/browsers.ts'
import { type FakeReply, type FakeRequest, GRANT, presenceGrant, REFUSAL } from '../support/fake-laravel.ts'
import { type Fleet, startFleet, startNodes } from '../support/fleet.ts'
import { type Front, startFront } from '../support/front.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { LivePage, type LivePageOptions } from '../support/live-page.ts'
import { requirePart } from '../support/parts.ts'
import { openStream, type SseClient, type SseFrame } from '../support/sse-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { untilSettled } from '../support/until-settled.ts'

/** Two cores take their time when a browser has five pages. */
const AT_A_TIME = { concurrent: true, timeout: 60_000 }

const TRANSPORTS = ['eventsource', 'fetch', 'poll'] as const

/**
 * What a page sees is the same in every browser and over every transport: two gateways behind nginx take its requests in
 * turn, so whatever a page has from one of them is continued by the other.
 */
export function clientInBrowser({ name, part, launch }: BrowserKind): void {
  describe.runIf(requirePart('redis', 'nginx', part))(`the client in ${name}`, AT_A_TIME, () => {
    let fleet: Fleet
    let gateways: [GatewayProcess, GatewayProcess]
    let front: Front
    let browser: AnyBrowser

    beforeAll(async () => {
      // A browser that is busy takes a while between two requests.
      fleet = await startFleet({ lingerMs: 2000 })
      fleet.laravel.answers(grantByUser)
      gateways = await startNodes(fleet, 2)
      front = await startFront({ gateways: gateways.map(({ url }) => url) })
      browser = await launch()
    })
    afterAll(async () => {
      await browser?.close()
      await front?.stop()
      await fleet?.close()
    })

    describe.each(TRANSPORTS)('by %s', (transport) => {
      let names = 0
      /** A name that no other test has. */
      const own = (kind: string) => `${kind}.${transport}.${++names}`

      async function open({ client, ...options }: LivePageOptions = {}, at: { port: number } = front) {
        const url = `http://127.0.0.1:${at.port}`
        return LivePage.open(browser, url, { client: { transport, ...client }, ...options })
      }

      /** With a line to the site that can be cut. */
      async function openOnLine(): Promise<{ page: LivePage; line: TcpProxy }> {
        const line = await startTcpProxy(front.port)
        return { page: await open({}, line), line }
      }

      /** Somebody else on a channel. */
      async function visitor(user: string, channel: string, gateway = gateways[1]): Promise<SseClient> {
        const headers = { authorization: `Bearer ${user}` }
        const stream = await openStream(`${gateway.url}/stream?channels=${channel}`, { headers })
        await stream.next('subscribed')
        return stream
      }

      it(
        'hears public and private channels, and why another one is refused',
        apart(async () => {
          const page = await open()
          const [orders, mine, denied] = [own('orders'), own('private-mine'), own('private-denied')]
          await page.join(orders, mine, denied)
          await Promise.all([page.hears(`subscribed ${orders}`), page.hears(`subscribed ${mine}`)])
          await page.hears(`refused ${denied} 403`)

          for (const channel of [orders, denied, mine, orders]) await fleet.publish(channel, { to: channel })
          await page.hears(`${orders} {"to":"${orders}"}`, 2)
          await page.hears(`${mine} {"to":"${mine}"}`)

          expect(await page.messages(denied)).toEqual([])
          expect(await page.states()).toEqual(['connecting', 'connected'])
          expect(await page.evaluate('pusher.connection.transport')).toBe(transport)
        }),
      )

      it(
        'loses, repeats and reorders nothing while its channels change under 100 events a second',
        apart(async () => {
          const page = await open()
          const [always, late, passing] = [own('always'), own('late'), own('passing-')]
          await page.enter(always)
          const socketId = await page.socketId()
          const stream = publishSteadily([always, late])

          await page.run(`await wander(10, '${passing}a')`)
          // What it has heard by now was published before it came to the second channel.
          const heardBefore = Number(
            await page.evaluate(`told.findLast(({ line }) => line.startsWith('${always}')).line.split(' ')[1]`),
          )
          await page.enter(late)
          await page.run(`await wander(10, '${passing}b')`)
          const last = await stream.stop()
          await Promise.all([page.hears(`${always} ${last}`), page.hears(`${late} ${last}`)])

          expect(await page.messages(always)).toEqual(numbers(0, last))
          const heardLate = (await page.messages(late)) as number[]
          expect(heardLate).toEqual(numbers(heardLate[0] ?? -1, last))
          expect(heardLate[0]).toBeGreaterThanOrEqual(heardBefore)
          expect(await page.states()).toEqual(['connecting', 'connected'])
          expect(await page.socketId()).toBe(socketId)
          expect((await page.lines()).filter((line) => line === `subscribed ${always}`)).toHaveLength(1)
        }),
      )

      it(
        'comes back after its line was cut, as the same page, with all it missed',
        apart(async () => {
          const { page, line } = await openOnLine()
          const [orders, mine] = [own('orders'), own('private-mine')]
          await page.join(orders, mine)
          await Promise.all([page.hears(`subscribed ${orders}`), page.hears(`subscribed ${mine}`)])
          const socketId = await page.socketId()
          expect(socketId).toMatch(/^\d+\.\d+$/)
          await fleet.publish(orders, 1)
          await page.hears(`${orders} 1`)

          line.cut()
          await page.hears('reconnecting')
          for (const number of [2, 3]) await fleet.publish(orders, number)
          await fleet.publish(orders, 'to others', socketId)
          await fleet.publish(mine, 1)
          line.resume()
          await page.hears('connected', 2)
          await page.hears(`${mine} 1`)
          await fleet.publish(orders, 'to others, live', socketId)
          await fleet.publish(orders, 4)
          await page.hears(`${orders} 4`)

          expect(await page.messages(orders)).toEqual([1, 2, 3, 4])
          expect(await page.messages(mine)).toEqual([1])
          expect(await page.states()).toEqual(['connecting', 'connected', 'reconnecting', 'connected'])
          expect(await page.socketId()).toBe(socketId)
          const lines = await page.lines()
          expect(lines.filter((line) => line.startsWith('subscribed'))).toHaveLength(2)
          expect(lines.filter((line) => line.startsWith('gap'))).toEqual([])
        }),
      )

      it(
        'hears nothing of a channel it has left, and of what was published meanwhile nothing when it comes back',
        apart(async () => {
          const page = await open()
          const [kept, left, further] = [own('kept'), own('left'), own('further')]
          await page.enter(kept)
          await page.enter(left)
          await page.leave(left)
          // The next request goes without it.
          await page.enter(further)
          await fleet.publish(kept, 1)
          await page.hears(`${kept} 1`)
          const others = await Promise.all(gateways.map((gateway) => visitor('bob', left, gateway)))
          await fleet.publish(left, 'meanwhile')
          await Promise.all(others.map((other) => other.next('message')))

          await page.join(left)
          await page.hears(`subscribed ${left}`, 2)
          await fleet.publish(left, 'back')
          await page.hears(`${left} "back"`)

          expect(await page.messages(left)).toEqual(['back'])
          expect(await page.states()).toEqual(['connecting', 'connected'])
        }),
      )

      it(
        'knows who is in a room, also what changed while it was away',
        apart(async () => {
          const room = own('presence-room')
          const { page, line } = await openOnLine()
          const bob = await visitor('bob', room)
          await page.join(room)
          await page.hears(`subscribed ${room} ada,bob`)
          await visitor('carol', room)
          await page.hears(`joining ${room} carol`)

          line.cut()
          await page.hears('reconnecting')
          const dave = await visitor('dave', room)
          bob.close()
          await untilGone(dave, 'bob')
          line.resume()
          await page.hears(`leaving ${room} bob`)
          await page.hears(`joining ${room} dave`)
          dave.close()
          await page.hears(`leaving ${room} dave`)

          const told = (await page.lines())
            .filter((line) => / presence-room/.test(line))
            .map((line) => line.replace(room, 'room'))
          expect(told).toEqual([
            'subscribed room ada,bob',
            'joining room carol',
            'leaving room bob',
            'joining room dave',
            'leaving room dave',
          ])
        }),
      )

      it(
        'whispers to others and hears them, and not itself',
        apart(async () => {
          const room = own('presence-room')
          const page = await open()
          const bob = await visitor('bob', room)
          const early = `(join('${room}'), pusher.channel('${room}').trigger('client-typing', 'too early'))`
          expect(await page.evaluate(early)).toBe(false)
          await page.hears(`subscribed ${room} ada,bob`)

          expect(await page.evaluate(`pusher.channel('${room}').trigger('client-typing', 'ada')`)).toBe(true)
          expect((await bob.next('message')).data).toEqual({
            channel: room,
            event: 'client-typing',
            data: 'ada',
            userId: 'ada',
          })

          const { socketId, key } = (bob.frames[0] as SseFrame).data
          const body = JSON.stringify({ socketId, key, channel: room, event: 'client-typing', data: 'bob' })
          const headers = { authorization: 'Bearer bob', 'content-type': 'application/json' }
          const heard = page.hears(`bob typed on ${room} bob`)
          // What is whispered between two polls is heard by nobody.
          await untilSettled(heard, async () => {
            expect((await ask(`${gateways[1].url}/whisper`, { method: 'POST', headers, body })).status).toBe(204)
          })
          expect(await page.messages(room)).toEqual([])
          expect((await page.lines()).filter((line) => line.startsWith('ada typed'))).toEqual([])
        }),
      )

      it(
        'goes on at another gateway when its own says goodbye, as the same page, and loses nothing',
        apart(async () => {
          // Clients come back up to a quarter later than they were told.
          const going = await fleet.start()
          const sites = await startFront({ gateways: [going.url], backup: gateways[0].url })
          atEndOfTest(() => sites.stop())
          const [orders, room] = [own('private-orders'), own('presence-room')]
          const page = await open({}, sites)
          await page.enter(orders)
          await page.enter(room)
          const bob = await visitor('bob', room)
          await page.hears(`joining ${room} bob`)
          const socketId = await page.socketId()
          const stream = publishSteadily([orders])
          await page.until(`told.some(({ line }) => line.startsWith('${orders} '))`)

          await going.stop()
          const last = await stream.stop()
          await page.hears(`${orders} ${last}`)

          expect(await page.messages(orders)).toEqual(numbers(0, last))
          expect(await page.socketId()).toBe(socketId)
          const told = (await page.lines()).filter((line) => /^(gap|subscribed|joining|leaving|error)/.test(line))
          expect(told).toEqual([`subscribed ${orders}`, `subscribed ${room} ada`, `joining ${room} bob`])
          // Nobody saw it go.
          expect(bob.frames.filter(({ event }) => event === 'joining' || event === 'leaving')).toEqual([])
        }),
      )
    })

    /** Publishes 0, 1, 2 … on each channel, a hundred messages a second in all. */
    function publishSteadily(channels: readonly string[]): { stop(): Promise<number> } {
      const startedAt = Date.now()
      let number = -1
      let isOver = false
      const sent = (async () => {
        for (;;) {
          const due = (Date.now() - startedAt) / (10 * channels.length)
          while (number < due && !isOver) {
            number += 1
            await Promise.all(channels.map((channel) => fleet.publish(channel, number)))
          }
          if (isOver) return number
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      })()
      const stop = () => {
        isOver = true
        return sent
      }
      atEndOfTest(stop)
      return { stop }
    }
  })
}

/** Everybody is granted everything but what is called denied; a page says who it is by a cookie, others by a token. */
function grantByUser({ headers, channel }: FakeRequest): FakeReply {
  const user = /\buser=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? /^Bearer (\w+)$/.exec(headers.authorization ?? '')?.[1]
  if (user === undefined || channel.includes('denied')) return REFUSAL
  return channel.startsWith('presence-') ? presenceGrant(user, { name: user }) : GRANT
}

async function untilGone(stream: SseClient, id: string): Promise<void> {
  while ((await stream.next('leaving')).data.member.id !== id);
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
