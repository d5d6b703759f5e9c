import { describe, expect, it } from 'vitest'
import { VACATED_AFTER_MS } from '../../src/occupancy/store.ts'
import type { WebhookEvent } from '../../src/webhooks/event.ts'
import { apart } from '../support/at-end.ts'
import { LEASE_S, startFleet, startNodes } from '../support/fleet.ts'
import { requirePart } from '../support/parts.ts'
import { RoomPage } from '../support/room-page.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const EVENTS = 'channel_occupied,channel_vacated'

/** Gateways that tell one application which channels somebody listens to. */
async function startTelling() {
  const receiver = await WebhookReceiver.start()
  const app = ['--app-id', '1', '--app-key', 'key', '--app-secret', 'secret']
  const fleet = await startFleet({ args: [...app, '--webhook-urls', receiver.url, '--webhook-events', EVENTS] })
  return { receiver, fleet }
}

/** `+orders`, `-orders`. */
function storyOf(events: readonly WebhookEvent[]): string[] {
  return events.map((event) => `${event.name === 'channel_occupied' ? '+' : '-'}${event.channel}`)
}

const has = (line: string) => (events: readonly WebhookEvent[]) => storyOf(events).includes(line)

describe.runIf(requirePart('redis'))('gateways on one Redis', () => {
  it.concurrent(
    'tell once that a channel is occupied and vacated, whichever gateways its pages come to',
    apart(async () => {
      const { receiver, fleet } = await startTelling()
      const [one, two] = await startNodes(fleet, 2)
      const pages = await Promise.all([
        new RoomPage('ada', 'orders', 'private-a').enter(one),
        new RoomPage('bob', 'orders').enter(two),
      ])
      await receiver.until(has('+private-a'))
      await pages[0].enter(two, 'orders')
      await receiver.until(has('-private-a'))
      for (const page of pages) page.close()
      await receiver.until(has('-orders'))
      await Promise.all([one.stop(), two.stop()])
      expect(storyOf(receiver.events()).toSorted()).toEqual(['+orders', '+private-a', '-orders', '-private-a'])
    }),
  )

  it.concurrent(
    'vacate once what one of them leaves behind that is killed, 3 seconds after its lease, and not what is listened to elsewhere',
    apart(async () => {
      const { receiver, fleet } = await startTelling()
      const [one, two, third] = await startNodes(fleet, 3)
      await new RoomPage('ada', 'orders', 'news').enter(third)
      await new RoomPage('bob', 'news').enter(one)
      const comesBack = await new RoomPage('carl', 'back').enter(third)
      await receiver.until((events) => ['+orders', '+news', '+back'].every((line) => has(line)(events)))
      // Newcomers do not judge, and tell of nothing that was left before they came.
      await new Promise((resolve) => setTimeout(resolve, LEASE_S * 1000))
      await third.stop('SIGKILL')
      const killedAtMs = performance.now()
      await comesBack.enter(two)
      await receiver.until(has('-orders'))
      expect(performance.now() - killedAtMs).toBeLessThan(2 * LEASE_S * 1000 + VACATED_AFTER_MS)
      await fleet.untilNodesOnRecord(2)
      await Promise.all([one.stop(), two.stop()])
      expect(storyOf(receiver.events()).toSorted()).toEqual(['+back', '+news', '+orders', '-orders'])
    }),
  )

  it.concurrent(
    'vacate nothing while they are restarted one after the other, and the pages go on',
    apart(async () => {
      const { receiver, fleet } = await startTelling()
      const [one, two] = await startNodes(fleet, 2)
      const page = await new RoomPage('ada', 'orders', 'private-a').enter(one)
      await receiver.until(has('+private-a'))
      for (const [stops, stays] of [
        [one, two],
        [two, one],
      ] as const) {
        const returned = page.returnAfterBye(stays)
        await stops.stop()
        await stops.start()
        await returned
      }
      page.close()
      await receiver.until((events) => has('-orders')(events) && has('-private-a')(events))
      await Promise.all([one.stop(), two.stop()])
      expect(storyOf(receiver.events()).toSorted()).toEqual(['+orders', '+private-a', '-orders', '-private-a'])
    }),
  )
})
