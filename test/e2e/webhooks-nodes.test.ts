import { describe, expect, it } from 'vitest'
import type { WebhookEvent } from '../../src/webhooks/event.ts'
import { type FleetOptions, startFleet } from '../support/fleet.ts'
import { requirePart } from '../support/parts.ts'
import { RoomPage } from '../support/room-page.ts'
import { untilTrue } from '../support/until-true.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const ROOM = 'presence-room.1'

/** Gateways that tell one application of their members. */
async function startTelling(options: FleetOptions = {}) {
  const receiver = await WebhookReceiver.start()
  const app = ['--app-id', '1', '--app-key', 'key', '--app-secret', 'secret']
  const told = ['--webhook-urls', receiver.url, '--webhook-events', 'member_added,member_removed']
  const fleet = await startFleet({ ...options, args: [...(options.args ?? []), ...app, ...told] })
  return { receiver, fleet }
}

/** `+ada`, `-ada`: of each user in order, for gateways do not wait for each other. */
function storyOf(events: readonly WebhookEvent[], user: string): string[] {
  return events.flatMap((event) => {
    if (event.name !== 'member_added' && event.name !== 'member_removed') return []
    if (event.channel !== ROOM || event.user_id !== user) return []
    return [event.name === 'member_added' ? `+${user}` : `-${user}`]
  })
}

const has =
  (user: string, ...story: string[]) =>
  (events: readonly WebhookEvent[]) =>
    storyOf(events, user).join() === story.join()

describe.runIf(requirePart('redis'))('two gateways on one Redis', () => {
  it('tell the application once of a user who comes, moves, has a second page, and goes', async () => {
    const { receiver, fleet } = await startTelling()
    const [one, two] = await Promise.all([fleet.start(), fleet.start()])
    const page = await new RoomPage('ada', ROOM).enter(one)
    const second = await new RoomPage('ada', ROOM).enter(two)
    await receiver.until(has('ada', '+ada'))
    await page.enter(two)
    await second.enter(one)
    await page.leave(one)
    await second.leave(two)
    await receiver.until(has('ada', '+ada', '-ada'))
    await Promise.all([one.stop(), two.stop()])
    expect(storyOf(receiver.events(), 'ada')).toEqual(['+ada', '-ada'])
  })

  it('tell of the users of a third one that was killed, once, and not of those who are elsewhere too', async () => {
    const { receiver, fleet } = await startTelling()
    const [one, two, third] = await Promise.all([fleet.start(), fleet.start(), fleet.start()])
    const users = ['u1', 'u2', 'u3']
    await Promise.all([...users, 'ada'].map((user) => new RoomPage(user, ROOM).enter(third)))
    await new RoomPage('ada', ROOM).enter(two)
    await receiver.until((events) => [...users, 'ada'].every((user) => has(user, `+${user}`)(events)))
    await third.stop('SIGKILL')
    await receiver.until((events) => users.every((user) => has(user, `+${user}`, `-${user}`)(events)))
    await fleet.untilNodesOnRecord(2)
    await Promise.all([one.stop(), two.stop()])
    for (const user of users) expect(storyOf(receiver.events(), user)).toEqual([`+${user}`, `-${user}`])
    expect(storyOf(receiver.events(), 'ada')).toEqual(['+ada'])
  })

  it('tell who went while Redis was restarted with what it knew, and again who is there', async () => {
    const { receiver, fleet } = await startTelling()
    const [one, two] = await Promise.all([fleet.start(), fleet.start()])
    const [goes] = await Promise.all([
      new RoomPage('goes', ROOM).enter(one),
      new RoomPage('ada', ROOM).enter(one),
      new RoomPage('ada', ROOM).enter(two),
    ])
    await receiver.until((events) => ['goes', 'ada'].every((user) => has(user, `+${user}`)(events)))
    await fleet.server.cli('SAVE')
    await fleet.server.stop('SIGKILL')
    goes.close()
    const isGone = async () => /^echo_sse_members 1$/m.test(await (await fetch(`${one.url}/metrics`)).text())
    await untilTrue(isGone)
    await fleet.server.start()
    await receiver.until((events) => has('goes', '+goes', '-goes')(events) && has('ada', '+ada', '+ada')(events))
    await fleet.untilNodesOnRecord(2)
    expect(storyOf(receiver.events(), 'goes')).toEqual(['+goes', '-goes'])
    expect(storyOf(receiver.events(), 'ada')).toEqual(['+ada', '+ada'])
  })

  it('tell of a user once whose gateway was restarted while his page went on elsewhere', async () => {
    const { receiver, fleet } = await startTelling()
    const [one, two] = await Promise.all([fleet.start(), fleet.start()])
    const page = await new RoomPage('ada', ROOM).enter(one)
    await receiver.until(has('ada', '+ada'))
    await Promise.all([one.stop(), page.enter(two)])
    await one.start()
    await page.leave(one)
    await receiver.until(has('ada', '+ada', '-ada'))
    await Promise.all([one.stop(), two.stop()])
    expect(storyOf(receiver.events(), 'ada')).toEqual(['+ada', '-ada'])
  })
})

describe.runIf(requirePart('redis'))('a gateway that is stopped', () => {
  it('sends what waits before it ends', async () => {
    const { receiver, fleet } = await startTelling()
    const one = await fleet.start()
    await new RoomPage('ada', ROOM).enter(one)
    await one.stop()
    expect(storyOf(receiver.events(), 'ada')).toEqual(['+ada'])
  })
})
