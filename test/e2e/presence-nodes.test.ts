import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { type Fleet, LEASE_S, LINGER_MS, startFleet, startNodes } from '../support/fleet.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { requirePart } from '../support/parts.ts'
import { fence, fenceFor, RoomPage, untilAll, watchFrom } from '../support/room-page.ts'

type Nodes = [GatewayProcess, GatewayProcess, GatewayProcess]

describe.runIf(requirePart('redis'))('a chat room on three gateways', () => {
  let fleet: Fleet
  let nodes: Nodes
  let rooms = 0

  beforeAll(async () => {
    fleet = await startFleet()
    nodes = await startNodes(fleet, 3)
  })
  afterAll(() => fleet?.close())

  /** A room of its own with somebody who watches it from each gateway. */
  async function openRoom() {
    rooms += 1
    const room = `presence-room.${rooms}`
    const watchers = await watchFrom(nodes, room)
    return {
      room,
      watchers,
      /** Everything that was about to be told has been told, and it was this. */
      untilTold: async (story: string[]) => {
        await fence(nodes, watchers, room)
        for (const { story: told } of watchers) expect(told).toEqual(story)
      },
    }
  }

  const stay = (user: string, room: string, node: GatewayProcess) => new RoomPage(user, room).enter(node)

  it.concurrent(
    'shows a user once, however many tabs there are and wherever, until the last one has been closed for the linger time',
    apart(async () => {
      const { room, watchers, untilTold } = await openRoom()
      const first = await stay('ada', room, nodes[0])
      await untilAll(watchers, '+ada')
      const second = await stay('ada', room, nodes[1])
      const third = await stay('ada', room, nodes[0])
      expect(second.members).toEqual(['ada', 'eye'])
      first.close()
      await untilTold(['+ada'])
      third.close()
      await untilTold(['+ada'])
      second.close()
      const closedAt = performance.now()
      await untilAll(watchers, '-ada')
      expect(performance.now() - closedAt).toBeGreaterThan(LINGER_MS - 20)
      await untilTold(['+ada', '-ada'])
      expect(watchers.map(({ members }) => members)).toEqual([['eye'], ['eye'], ['eye']])
    }),
  )

  it.concurrent(
    'sees nothing of a page that is loaded again, here or at another gateway',
    apart(async () => {
      const { room, untilTold } = await openRoom()
      const page = await stay('ada', room, nodes[0])
      for (const node of [nodes[0], nodes[1], nodes[2], nodes[0]]) {
        const before = page.identity?.socketId
        await page.reload(node)
        expect(page.identity?.socketId).not.toBe(before)
        await untilTold(['+ada'])
      }
      expect(page.story).toEqual([])
    }),
  )

  it.concurrent(
    'sees nothing of a page that makes a new stream before it breaks the old one, here or at another gateway',
    apart(async () => {
      const { room, untilTold } = await openRoom()
      const page = await stay('ada', room, nodes[0])
      const { socketId } = page.identity ?? {}
      for (const node of [nodes[0], nodes[1], nodes[1], nodes[0], nodes[2]]) {
        await page.enter(node)
        expect(page.identity?.socketId).toBe(socketId)
        await untilTold(['+ada'])
      }
      page.close()
      await untilTold(['+ada', '-ada'])
    }),
  )

  it.concurrent(
    'sees nothing of a page that goes from a stream to polls and back, also from one gateway to another',
    apart(async () => {
      const { room, watchers, untilTold } = await openRoom()
      const page = await stay('ada', room, nodes[0])
      for (const [node, next] of [
        [nodes[0], nodes[0]],
        [nodes[1], nodes[2]],
      ] as const) {
        await page.poll(node, 1)
        await page.poll(next, 1)
        await page.enter(next)
        await untilTold(['+ada'])
      }
      page.close()
      // Where it polled last it may still come back from that poll.
      await untilAll(watchers, '-ada')
      await untilTold(['+ada', '-ada'])
    }),
  )

  it.concurrent(
    'keeps a page that polls, until it has not come back for as long as a poll waits and the linger time',
    apart(async () => {
      const WAIT_S = 1
      const { room, watchers, untilTold } = await openRoom()
      const page = new RoomPage('ada', room)
      // The first is answered at once.
      await page.poll(nodes[0], WAIT_S)
      await untilAll(watchers, '+ada')
      let askedAt = 0
      for (const node of [nodes[0], nodes[0], nodes[1]]) {
        // Longer between two polls than a page with a stream would be waited for.
        await fence([nodes[0]], watchers, room)
        askedAt = performance.now()
        await page.poll(node, WAIT_S)
      }
      await untilTold(['+ada'])
      await untilAll(watchers, '-ada')
      expect(performance.now() - askedAt).toBeGreaterThan(WAIT_S * 1000 + LINGER_MS - 20)
      await untilTold(['+ada', '-ada'])
    }),
  )

  it.concurrent(
    'is left at once by a page that goes on without it or says so, while a closed tab is waited for',
    apart(async () => {
      const { room, watchers, untilTold } = await openRoom()
      const other = `${room}.next`
      const [closes, changes, says] = await Promise.all([
        stay('closes', room, nodes[0]),
        new RoomPage('changes', room, other).enter(nodes[0]),
        stay('says', room, nodes[1]),
      ])
      await Promise.all(['+closes', '+changes', '+says'].map((told) => untilAll(watchers, told)))
      const neighbour = await stay('neighbour', other, nodes[2])
      for (const watcher of watchers) watcher.startOver()

      closes.close()
      await changes.enter(nodes[0], other)
      await untilAll(watchers, '-changes')
      // Any gateway takes it.
      expect(await says.leave(nodes[2])).toBe(204)
      await untilTold(['-changes', '-says', '-closes'])
      expect(says.byes.map(({ reason }) => reason)).toEqual(['left'])
      expect(neighbour.story).toEqual([])
      expect(neighbour.members).toEqual(['changes', 'neighbour'])
    }),
  )

  it.concurrent(
    'tells of joining, messages and leaving in the order in which they happened, wherever they happened',
    apart(async () => {
      const { room, watchers, untilTold } = await openRoom()
      const happened: string[] = []
      const present: { page: RoomPage; since: number }[] = []
      // From its joining on; and before that what its gateway heard only then.
      const expectInOrder = ({ page, since }: { page: RoomPage; since: number }) => {
        expect(page.story.length).toBeGreaterThanOrEqual(happened.length - since)
        expect(page.story).toEqual(happened.filter((told) => told !== `+${page.user}`).slice(-page.story.length))
      }
      const publish = async () => {
        happened.push(`message ${happened.length}`)
        await fleet.publish(room, happened.at(-1))
      }
      for (let round = 0; round < 60; round += 1) {
        const page = await stay(`user${round}`, room, nodes[round % 3] as GatewayProcess)
        happened.push(`+${page.user}`)
        present.push({ page, since: happened.length })
        await publish()
        if (round % 4 === 0) await publish()
        const leaver = round % 3 === 2 ? present[round % present.length] : undefined
        if (leaver !== undefined) {
          present.splice(present.indexOf(leaver), 1)
          await leaver.page.until(happened.at(-1) ?? '')
          expectInOrder(leaver)
          await leaver.page.leave(nodes[(round + 1) % 3] as GatewayProcess)
          // Somebody who has been told of it: then it has happened.
          await watchers[round % 3]?.until(`-${leaver.page.user}`)
          happened.push(`-${leaver.page.user}`)
          await publish()
        }
      }
      await untilTold(happened)
      for (const one of present) expectInOrder(one)
      const users = [...present.map(({ page }) => page.user), 'eye'].sort()
      for (const { members } of [...watchers, ...present.map(({ page }) => page)]) expect(members).toEqual(users)
    }),
  )

  it.concurrent(
    'spares a page what it published itself, live and after a return elsewhere, but not the other tab of its user',
    apart(async () => {
      const { room } = await openRoom()
      const page = await stay('ada', room, nodes[0])
      const tab = await stay('ada', room, nodes[1])
      const other = await stay('bob', room, nodes[0])
      const socket = page.identity?.socketId ?? null
      const publish = async (data: string, to: RoomPage[], from: string | null = socket) => {
        await fleet.publish(room, data, from)
        await untilAll(to, data)
      }
      await publish('own 1', [tab, other])
      await publish('of the tab', [page, other], tab.identity?.socketId ?? null)
      page.close()
      await publish('own 2', [tab, other])
      await publish('missed', [tab, other], '1.2')
      await page.enter(nodes[2])
      expect(page.identity?.socketId).toBe(socket)
      await publish('own 3', [tab, other])
      await publish('after', [page, tab, other], null)
      expect(page.story.filter((told) => told !== '+bob')).toEqual(['of the tab', 'missed', 'after'])
      expect(tab.story).toEqual(['+bob', 'own 1', 'own 2', 'missed', 'own 3', 'after'])
      expect(other.story).toEqual(['own 1', 'of the tab', 'own 2', 'missed', 'own 3', 'after'])
    }),
  )

  it.concurrent(
    'is told to all by gateways whose clocks are half a minute apart',
    apart(async () => {
      const { room, watchers } = await openRoom()
      const [ahead, behind] = await Promise.all([
        fleet.start({ clockShiftMs: 30_000 }),
        fleet.start({ clockShiftMs: -30_000 }),
      ])
      const skewed = await watchFrom([ahead, behind], room)
      const all = [...watchers, ...skewed]
      const page = await stay('ada', room, ahead)
      await stay('bob', room, behind)
      await Promise.all(['+ada', '+bob'].map((told) => untilAll(watchers, told)))
      // Its key is good everywhere, and so is its word.
      const { socketId } = page.identity ?? {}
      for (const node of [behind, nodes[0], ahead]) {
        await page.enter(node)
        expect(page.identity?.socketId).toBe(socketId)
        expect(await page.whisper(nodes[1], `from ${node.url}`)).toBe(204)
        await untilAll(all, `ada: from ${node.url}`)
      }
      // Nobody takes another for dead.
      await fenceFor(LEASE_S * 1000, [ahead, behind, nodes[0]], all, room)
      for (const { story } of all) expect(story.filter((told) => /^-/.test(told))).toEqual([])
      // And the dead are taken off as soon as anywhere.
      page.close()
      await ahead.stop('SIGKILL')
      await untilAll([...watchers, ...skewed.slice(1)], '-ada')
      const others = [...watchers, ...skewed.slice(1)]
      await fence([behind, nodes[0]], others, room)
      for (const { story, members } of others) {
        expect(story.filter((told) => /^-/.test(told))).toEqual(['-ada'])
        expect(members).toEqual(['bob', 'eye'])
      }
    }),
  )
})
