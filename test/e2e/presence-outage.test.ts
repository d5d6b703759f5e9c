import { describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { LEASE_S, startFleet, startNodes } from '../support/fleet.ts'
import { requirePart } from '../support/parts.ts'
import { begin, fence, fenceFor, RoomPage, untilAll, untilAllTold, watchFrom } from '../support/room-page.ts'
import { replicate } from '../support/sentinel.ts'

const ROOM = 'presence-room.1'
const NEW_ROOM = 'presence-room.2'
const LEASE_MS = LEASE_S * 1000

type Node = { readonly url: string }
const stay = (user: string, node: Node) => new RoomPage(user, ROOM).enter(node)

describe.runIf(requirePart('redis'))('a Redis', () => {
  it.concurrent(
    'that was flushed is told again who is there: nobody is shown to leave or to join, and all goes on',
    apart(async () => {
      const fleet = await startFleet()
      const [one, two] = await startNodes(fleet, 2)
      const [eyes, ada, bob, both, alsoBoth] = await Promise.all([
        watchFrom([one, two], ROOM),
        stay('ada', one),
        stay('bob', two),
        stay('both', one),
        stay('both', two),
      ])
      const everybody = [...eyes, ada, bob, both, alsoBoth]
      await begin(everybody, ['ada', 'bob', 'both', 'eye'])

      for (let times = 0; times < 2; times += 1) {
        await fleet.server.cli('FLUSHALL')
        // Longer than anybody is believed to be there without being on record.
        await fenceFor(LEASE_MS * 1.3, [one, two], everybody, ROOM)
        for (const { story } of everybody) expect(story).toEqual([])
      }

      await stay('carl', one)
      await untilAll(everybody, '+carl')
      bob.close()
      const others = everybody.filter((page) => page !== bob)
      await untilAll(others, '-bob')
      expect(await ada.whisper(two, 'still here')).toBe(204)
      await untilAll(
        others.filter((page) => page !== ada),
        'ada: still here',
      )
      await two.stop('SIGKILL')
      const left = [eyes[0], ada, both].filter((page) => page !== undefined)
      await fenceFor(LEASE_MS, [one], left, ROOM)
      for (const page of left) {
        expect(page.story.filter((told) => told !== 'ada: still here')).toEqual(['+carl', '-bob'])
        expect(page.members).toEqual(['ada', 'both', 'carl', 'eye'])
      }
    }),
  )

  it.concurrent(
    'that was flushed does not forget to take off the users of a gateway that died with it, nor of one that dies after it',
    apart(async () => {
      const fleet = await startFleet()
      const [one, first, second] = await startNodes(fleet, 3)
      const [eye, other] = await watchFrom([one, second], ROOM)
      await Promise.all([
        stay('u1', first),
        stay('u2', first),
        stay('ada', one),
        stay('v1', second),
        stay('v2', second),
      ])
      const watchers = [eye, other].filter((page) => page !== undefined)
      await begin(watchers, ['u1', 'u2', 'ada', 'v1', 'v2'])

      await first.stop('SIGKILL')
      await fleet.server.cli('FLUSHALL')
      await untilAllTold(watchers, ['-u1', '-u2'])
      await second.stop('SIGKILL')
      await Promise.all(['-v1', '-v2'].map((told) => eye?.until(told)))
      await fence([one], watchers.slice(0, 1), ROOM)
      expect(eye?.changes).toEqual(['-u1', '-u2', '-v1', '-v2'])
      expect(eye?.members).toEqual(['ada', 'eye'])
    }),
  )

  it.concurrent(
    'that was flushed while a gateway stood still: its users are believed in for a lease, and are back when it is',
    apart(async () => {
      const fleet = await startFleet()
      const [one, frozen] = await startNodes(fleet, 2)
      const [[eye, other], own] = await Promise.all([watchFrom([one, frozen], ROOM), stay('u1', frozen)])
      const ada = await stay('ada', one)
      if (eye === undefined || other === undefined) throw new Error('unreachable')
      const everybody = [eye, other, own, ada]
      await begin(everybody, ['u1', 'ada'])

      // A short while: nobody notices.
      frozen.freeze()
      await fleet.server.cli('FLUSHALL')
      await fence([one], [eye, ada], ROOM)
      frozen.thaw()
      await fenceFor(LEASE_MS * 1.3, [one, frozen], everybody, ROOM)
      for (const { story } of everybody) expect(story).toEqual([])

      // A long while: gone and back, once.
      frozen.freeze()
      await fleet.server.cli('FLUSHALL')
      await Promise.all([eye, ada].map((page) => page.until('-u1')))
      frozen.thaw()
      await Promise.all([eye, ada].map((page) => page.until('+u1')))
      await fenceFor(LEASE_MS / 2, [one, frozen], everybody, ROOM)
      for (const { story } of [eye, ada]) expect(story).toEqual(['-u1', '+u1'])
      for (const { story } of [other, own]) expect(story).toEqual([])
    }),
  )

  it.concurrent(
    'that began anew: who stayed is not shown to leave, who left meanwhile leaves once, who came joins once',
    apart(async () => {
      const fleet = await startFleet()
      const [one, two] = await startNodes(fleet, 2)
      const eyes = await watchFrom([one, two], ROOM)
      const [ada, bob, leaves] = await Promise.all([stay('ada', one), stay('bob', two), stay('leaves', two)])
      const staying = [...eyes, ada, bob]
      await begin([...staying, leaves], ['ada', 'bob', 'leaves'])

      await fleet.server.stop('SIGKILL')
      leaves.close()
      // Answered when Redis has been waited for in vain.
      const [comes, here, there] = await Promise.all([
        stay('comes', one),
        new RoomPage('here', NEW_ROOM).enter(one),
        new RoomPage('there', NEW_ROOM).enter(two),
        ada.reload(one),
      ])
      expect(comes.members).toEqual(['ada', 'bob', 'comes', 'eye', 'leaves'])
      expect([here.members, there.members]).toEqual([['here'], ['there']])
      await fleet.server.start()
      await untilAll([...staying, comes], '-leaves')
      await untilAll(staying, '+comes')
      await fenceFor(LEASE_MS * 1.3, [one, two], [...staying, comes], ROOM)
      for (const page of staying) expect(page.changes).toEqual(['+comes', '-leaves'])
      expect(comes.story).toEqual(['-leaves'])
      for (const { members } of [...staying, comes]) expect(members).toEqual(['ada', 'bob', 'comes', 'eye'])
      for (const { gaps } of eyes) expect(gaps).toEqual(['restart'])
      await Promise.all([here.until('+there'), there.until('+here')])
      expect([here.story, there.story]).toEqual([['+there'], ['+here']])

      bob.close()
      const others = [...eyes, ada, comes]
      await untilAll(others, '-bob')
    }),
  )

  it.concurrent(
    'that stands still for longer than any lease: nobody is shown to leave or to join, but who did so meanwhile',
    apart(async () => {
      const fleet = await startFleet()
      const [one, two] = await startNodes(fleet, 2)
      const eyes = await watchFrom([one, two], ROOM)
      const [ada, leaves] = await Promise.all([stay('ada', one), stay('leaves', two)])
      const staying = [...eyes, ada]
      await begin([...staying, leaves], ['ada', 'leaves'])

      process.kill(fleet.server.pid, 'SIGSTOP')
      leaves.close()
      // Two pages, one after the other, who wait for Redis and then hear what their gateway knows.
      const comes = await stay('comes', one)
      const alsoComes = await stay('also', two)
      process.kill(fleet.server.pid, 'SIGCONT')
      await untilAllTold(staying, ['-leaves', '+comes', '+also'])
      await fenceFor(LEASE_MS, [one, two], [...staying, comes, alsoComes], ROOM)
      for (const page of staying) expect(page.changes).toEqual(['+also', '+comes', '-leaves'])
      for (const { members } of [...staying, comes, alsoComes]) expect(members).toEqual(['ada', 'also', 'comes', 'eye'])
    }),
  )

  it.concurrent(
    'whose replica takes over: nobody who stayed is shown to leave, and all goes on',
    { timeout: 120_000 },
    apart(async () => {
      // Time for all to find the new master.
      const fleet = await startFleet({ leaseS: 2 * LEASE_S })
      const { sentinel, untilPromoted } = await replicate(fleet.server)
      const redis = ['--redis-sentinels', sentinel]
      const [one, two] = await Promise.all([fleet.start({ redis }), fleet.start({ redis })])
      const eyes = await watchFrom([one, two], ROOM)
      const [ada, bob, leaves] = await Promise.all([stay('ada', one), stay('bob', two), stay('leaves', two)])
      const staying = [...eyes, ada, bob]
      await begin([...staying, leaves], ['ada', 'bob', 'leaves'])

      await fleet.server.stop('SIGKILL')
      leaves.close()
      await untilPromoted()
      await Promise.all(eyes.map((page) => page.until('-leaves')))
      const comes = await stay('comes', one)
      await untilAll(staying, '+comes')
      await fenceFor(LEASE_MS * 1.3, [one, two], [...staying, comes], ROOM)
      for (const page of staying) expect(page.story).toEqual(['-leaves', '+comes'])
      for (const { members } of [...staying, comes]) expect(members).toEqual(['ada', 'bob', 'comes', 'eye'])

      await two.stop('SIGKILL')
      const left = [eyes[0], ada, comes].filter((page) => page !== undefined)
      await untilAll(left, '-bob')
      await fence([one], left, ROOM)
      for (const { members } of left) expect(members).toEqual(['ada', 'comes', 'eye'])
    }),
  )
})
