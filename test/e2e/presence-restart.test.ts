import { describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { startFleet, startNodes } from '../support/fleet.ts'
import { requirePart } from '../support/parts.ts'
import { begin, fence, RoomPage, untilAll, untilAllTold, watchFrom } from '../support/room-page.ts'
import { untilTrue } from '../support/until-true.ts'

const ROOM = 'presence-room.1'

type Node = { readonly url: string }
const stay = (user: string, node: Node) => new RoomPage(user, ROOM).enter(node)

describe.runIf(requirePart('redis'))('a gateway that is stopped', () => {
  it.concurrent(
    'is not missed by those whose pages come back elsewhere; who does not come back leaves once',
    apart(async () => {
      const fleet = await startFleet()
      const [stays, stops] = await startNodes(fleet, 2)
      const watchers = await watchFrom([stays], ROOM)
      const streams = await Promise.all(['ada', 'bob', 'carl'].map((user) => stay(user, stops)))
      const polls = new RoomPage('polls', ROOM)
      await polls.poll(stops, 10)
      const gone = await Promise.all(['gone', 'lost'].map((user) => stay(user, stops)))
      const users = ['ada', 'bob', 'carl', 'polls', 'gone', 'lost']
      await begin([...watchers, ...streams], users)
      // Answered with those who came after the first; the next one waits.
      await polls.poll(stops, 10)
      polls.startOver()

      const polled = polls.poll(stops, 10)
      await untilTrue(() => stops.log().split('"mode":"poll"').length > 3)
      const stopped = stops.stop()
      await polled
      expect(polls.byes.map(({ reason }) => reason)).toEqual(['drain'])
      await Promise.all([...streams, polls].map((page) => page.returnAfterBye(stays)))
      await stopped
      for (const { byes } of [...streams, ...gone]) expect(byes.map(({ reason }) => reason)).toEqual(['drain'])
      const all = [...watchers, ...streams, polls]
      await untilAllTold(all, ['-gone', '-lost'])
      await fence([stays], all, ROOM)
      for (const { changes } of all) expect(changes).toEqual(['-gone', '-lost'])
      for (const { members } of all) expect(members).toEqual(['ada', 'bob', 'carl', 'eye', 'polls'])
      await fleet.untilNodesOnRecord(1)
    }),
  )

  it.concurrent(
    'takes itself off the record at once when nobody is there, and is nobody’s loss when its users are elsewhere too',
    apart(async () => {
      const fleet = await startFleet()
      const [stays, idle, stops] = await startNodes(fleet, 3)
      const watchers = await watchFrom([stays], ROOM)
      await Promise.all([stay('ada', stays), stay('ada', stops)])
      await untilAll(watchers, '+ada')
      await idle.stop()
      expect(await fleet.nodesOnRecord()).toBe(2)
      await stops.stop()
      await fleet.untilNodesOnRecord(1)
      await fence([stays], watchers, ROOM)
      for (const { story } of watchers) expect(story).toEqual(['+ada'])
    }),
  )

  it.concurrent(
    'one after the other, all of them: nobody whose page goes on is shown to leave or to join',
    apart(async () => {
      const fleet = await startFleet()
      const [one, two] = await startNodes(fleet, 2)
      const here = await Promise.all(['a1', 'a2', 'a3'].map((user) => stay(user, one)))
      const there = await Promise.all(['b1', 'b2', 'b3'].map((user) => stay(user, two)))
      const all = [...here, ...there]
      const users = all.map(({ user }) => user)
      await begin(all, users)

      const returned = here.map((page) => page.returnAfterBye(two))
      await one.stop()
      await one.start()
      await Promise.all(returned)
      await fence([one, two], all, ROOM)
      const movedBack = all.map((page) => page.returnAfterBye(one))
      await two.stop()
      await two.start()
      await Promise.all(movedBack)
      await fence([one, two], all, ROOM)
      for (const page of all) {
        expect(page.story).toEqual([])
        expect(page.members).toEqual(users)
      }
      expect(here.map(({ byes }) => byes.length)).toEqual([2, 2, 2])
      expect(there.map(({ byes }) => byes.length)).toEqual([1, 1, 1])
    }),
  )
})
