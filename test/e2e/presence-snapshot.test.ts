import { describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { LEASE_S, startNodes } from '../support/fleet.ts'
import { openScene, startGrantsFleet, stay } from '../support/grants-fleet.ts'
import { requirePart } from '../support/parts.ts'
import { begin, fenceFor, RoomPage, untilAll, watchFrom } from '../support/room-page.ts'
import { untilTrue } from '../support/until-true.ts'

describe.runIf(requirePart('redis'))('a Redis that comes back with what it knew some time before', () => {
  it.concurrent(
    'shows nobody who is gone, and gives nothing back that was revoked',
    apart(async () => {
      const fleet = await startGrantsFleet()
      const { room, lounge } = openScene()
      const [one, two, dies] = await startNodes(fleet, 3)
      const eyes = await watchFrom([one, two], room)
      const channels = [room, lounge]
      const [ada, gone, banned] = await Promise.all([
        stay('ada', one, channels),
        stay('gone', two, channels),
        stay('banned', one, channels),
        stay('killed', dies, channels),
      ])
      await begin([...eyes, ada], ['ada', 'gone', 'banned', 'killed'])
      await Promise.all([fleet.untilKnown(banned, 2), fleet.untilKnown(gone, 2)])
      await fleet.server.cli('SAVE')

      gone.close()
      fleet.ban('banned')
      await fleet.revoke({ user: 'banned' })
      await dies.stop('SIGKILL')
      await stay('late', two, channels)
      const staying = [...eyes, ada]
      for (const told of ['-gone', '-banned', '-killed', '+late']) await untilAll(staying, told)
      banned.close()
      const asked = fleet.asked('banned').length
      await fleet.server.stop('SIGKILL')
      // Asked while it is away, and answered when it is back.
      const meanwhile = Array.from({ length: 8 }, () => banned.whisper(two, 'psst'))
      await fleet.server.start()
      for (const status of await Promise.all(meanwhile)) expect(status).not.toBe(204)
      await untilTrue(async () => (await one.isReady()) && (await two.isReady()))

      for (const node of [one, two]) expect(await banned.whisper(node, 'psst')).toBe(403)
      await banned.enter(two)
      expect(banned.denied).toEqual(['forbidden', 'forbidden'])
      expect(fleet.asked('banned').length).toBe(asked + 2)
      await fenceFor(LEASE_S * 1000 * 1.3, [one, two], staying, room)
      for (const { changes } of staying) expect(changes).toEqual(['+late', '-banned', '-gone', '-killed'])
      for (const { members } of staying) expect(members).toEqual(['ada', 'eye', 'late'])
      await fleet.untilNodesOnRecord(2)
      expect(await new RoomPage('new', room).enter(two)).toMatchObject({ members: ['ada', 'eye', 'late', 'new'] })
    }),
  )
})
