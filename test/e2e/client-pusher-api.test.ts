import Pusher from 'pusher'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { type AnyBrowser, CHROMIUM } from '../support/browsers.ts'
import { presenceGrant } from '../support/fake-laravel.ts'
import { type Fleet, startFleet, startNodes } from '../support/fleet.ts'
import { type Front, startFront } from '../support/front.ts'
import { LivePage } from '../support/live-page.ts'
import { requirePart } from '../support/parts.ts'
import { untilSettled } from '../support/until-settled.ts'

const APP = { appId: 'shop', key: 'public-key', secret: 'a-real-secret' }
const EVENT = 'App\\Events\\E'

describe.runIf(requirePart('redis', 'nginx', CHROMIUM.part))(
  'what a program does with the Pusher SDK',
  {
    concurrent: true,
  },
  () => {
    let fleet: Fleet
    let front: Front
    let browser: AnyBrowser
    let sdk: Pusher

    beforeAll(async () => {
      fleet = await startFleet({ args: ['--app-id', APP.appId, '--app-key', APP.key, '--app-secret', APP.secret] })
      fleet.laravel.answers(({ headers }) => presenceGrant(/user=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? '', {}))
      const gateways = await startNodes(fleet, 2)
      front = await startFront({ gateways: gateways.map(({ url }) => url) })
      browser = await CHROMIUM.launch()
      sdk = new Pusher({ ...APP, host: new URL(gateways[0].url).host, useTLS: false })
    })
    afterAll(async () => {
      await browser?.close()
      await front?.stop()
      await fleet?.close()
    })

    describe.each(['eventsource', 'fetch', 'poll'])('is seen by %s', (transport) => {
      const open = (user: string) => LivePage.open(browser, front.url, { user, client: { transport } })

      it(
        'the last event of a cache channel comes first, once, and that there is none is told',
        apart(async () => {
          const channel = `cache-prices.${transport}`
          const early = await open('ada')
          await early.join(channel)
          await early.hears(`nothing yet on ${channel}`)
          for (const price of [1, 2]) await sdk.trigger(channel, EVENT, price)
          await early.hears(`${channel} 2`)

          const late = await open('bob')
          await late.join(channel)
          await late.hears(`${channel} 2`)
          // Another request, which goes on where the page is.
          await late.enter(`passing.${transport}`)
          await sdk.trigger(channel, EVENT, 3)
          await Promise.all([early.hears(`${channel} 3`), late.hears(`${channel} 3`)])

          expect(await early.messages(channel)).toEqual([1, 2, 3])
          expect(await late.messages(channel)).toEqual([2, 3])
          expect((await late.lines()).filter((line) => line.startsWith('nothing'))).toEqual([])
        }),
      )

      it(
        'a user who is sent away stays away until the page asks for a connection again',
        apart(async () => {
          const room = `presence-room.${transport}`
          const [ada, bob] = [await open(`ada${transport}`), await open('bob')]
          for (const page of [ada, bob]) await page.enter(room)
          await bob.until(`told.some(({ line }) => /(joining|subscribed) ${room}.*ada/.test(line))`)

          // Whoever is between two polls is not sent away, but put to Laravel by the next one. In between one waits.
          const send = async () => {
            expect((await sdk.terminateUserConnections(`ada${transport}`)).status).toBe(200)
          }
          await untilSettled(ada.hears('disconnected'), send, 3000)
          await bob.hears(`leaving ${room} ada${transport}`)
          expect((await ada.states()).at(-1)).toBe('disconnected')
          expect(await bob.states()).toEqual(['connecting', 'connected'])

          await ada.run('pusher.connect()')
          await bob.hears(`joining ${room} ada${transport}`, 1)
        }),
      )
    })
  },
)
