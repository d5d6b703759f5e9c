import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Fleet, LEASE_S, startFleet } from '../support/fleet.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { requirePart } from '../support/parts.ts'
import {
  begin,
  fence,
  fenceFor,
  joining,
  leaving,
  RoomPage,
  untilAll,
  untilAllTold,
  watchFrom,
} from '../support/room-page.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const LEASE_MS = LEASE_S * 1000

describe.runIf(requirePart('redis'))('a gateway', () => {
  let fleet: Fleet
  let one: GatewayProcess
  let two: GatewayProcess
  /** What happens happens to this one. */
  let third: GatewayProcess
  /** Between the third gateway and Redis. */
  let line: TcpProxy
  let room: string
  let rooms = 0
  let isKilled = false

  beforeAll(async () => {
    fleet = await startFleet()
    line = await startTcpProxy(fleet.server.port)
    const remote = ['--redis', line.redisUrl]
    ;[one, two, third] = await Promise.all([fleet.start(), fleet.start(), fleet.start({ redis: remote })])
  })
  afterAll(async () => {
    await fleet?.close()
    await line?.close()
  })
  beforeEach(() => {
    rooms += 1
    room = `presence-room.${rooms}`
  })

  // Also after a test that failed.
  afterEach(async () => {
    line.resume()
    if (isKilled) await revive()
    else third.thaw()
  })

  async function kill(): Promise<void> {
    isKilled = true
    await third.stop('SIGKILL')
  }

  async function revive(): Promise<void> {
    isKilled = false
    await third.start()
  }

  const stay = (user: string, node: GatewayProcess) => new RoomPage(user, room).enter(node)
  const enterAll = (users: readonly string[], node: GatewayProcess) =>
    Promise.all(users.map((user) => stay(user, node)))

  it('that is killed takes along who was nowhere else, once for everybody and within the lease; they join again when it is back', async () => {
    const watchers = await watchFrom([one, two], room)
    const users = ['u1', 'u2', 'u3', 'u4', 'u5']
    await enterAll([...users, 'ada', 'bob'], third)
    await new RoomPage('u1', `${room}.unwatched`, `${room}.empty`).enter(third)
    await Promise.all([stay('ada', one), stay('bob', two)])
    await begin(watchers, [...users, 'ada', 'bob'])

    await kill()
    const killedAt = performance.now()
    await untilAllTold(watchers, leaving(users))
    expect(performance.now() - killedAt).toBeLessThan(LEASE_MS)
    // Both of the others have had the time to clean up, and have.
    await fleet.untilNodesOnRecord(2)
    await fenceFor(LEASE_MS / 3, [one, two], watchers, room)
    for (const watcher of watchers) {
      expect(watcher.changes).toEqual(leaving(users))
      expect(watcher.members).toEqual(['ada', 'bob', 'eye'])
    }
    expect((await new RoomPage('late', `${room}.unwatched`).enter(two)).members).toEqual(['late'])
    expect(await fleet.server.cli('KEYS', `*${room}.empty*`)).toBe('')

    await revive()
    for (const watcher of watchers) watcher.startOver()
    const [first] = await enterAll([...users, 'ada'], third)
    await fence([one, two, third], watchers, room)
    for (const watcher of watchers) expect(watcher.changes).toEqual(joining(users))
    expect(first?.members).toEqual(['ada', 'bob', 'eye', ...users])
  })

  it('that is killed is not missed by those whose pages come back elsewhere before the lease has run out', async () => {
    const watchers = await watchFrom([one, two], room)
    const pages = await enterAll(['u1', 'u2'], third)
    await begin(watchers, ['u1', 'u2'])
    await kill()
    await Promise.all([pages[0]?.enter(one), pages[1]?.enter(two)])
    await fleet.untilNodesOnRecord(2)
    await fence([one, two], [...watchers, ...pages], room)
    for (const { story } of watchers) expect(story).toEqual([])
    for (const { members } of [...watchers, ...pages]) expect(members).toEqual(['eye', 'u1', 'u2'])
  })

  it('that stands still for longer than its lease: others see its users leave and join once, its own pages see neither', async () => {
    const watchers = await watchFrom([one, two], room)
    const users = ['u1', 'u2', 'u3']
    const own = [...(await enterAll(users, third)), ...(await watchFrom([third], room))]
    const closes = await stay('closes', third)
    const [, , leaves] = await enterAll(['u3', 'stays', 'leaves'], one)
    const everybody = [...watchers, ...own]
    await begin(everybody, [...users, 'stays', 'leaves', 'closes'])

    third.freeze()
    closes.close()
    await untilAllTold(watchers, ['-u1', '-u2', '-closes'])
    leaves?.close()
    await untilAll(watchers, '-leaves')
    await stay('comes', two)
    await untilAll(watchers, '+comes')
    third.thaw()
    await untilAllTold(watchers, ['+u1', '+u2'])
    await untilAll(own, '-closes')
    await fenceFor(LEASE_MS / 2, [one, two, third], everybody, room)
    const gone = ['-closes', '-leaves', '-u1', '-u2']
    for (const watcher of watchers) expect(watcher.changes).toEqual(['+comes', '+u1', '+u2', ...gone])
    for (const page of own) expect(page.changes).toEqual(['+comes', '-closes', '-leaves'])
    for (const { members } of everybody) expect(members).toEqual(['comes', 'eye', 'stays', ...users])
    await fleet.untilNodesOnRecord(3)
  })

  it('that stands still for less than its lease is not noticed', async () => {
    const [watcher, own] = await watchFrom([one, third], room)
    if (watcher === undefined || own === undefined) throw new Error('Two gateways have two watchers.')
    const everybody = [watcher, own, ...(await enterAll(['u1', 'u2'], third))]
    await begin(everybody, ['u1', 'u2'])
    for (let times = 0; times < 3; times += 1) {
      third.freeze()
      // Somebody comes and goes meanwhile, which takes more than one renewal of the lease.
      await fence([one], [watcher], room)
      third.thaw()
      await fence([one, third], everybody, room)
    }
    for (const { story } of everybody) expect(story).toEqual([])
  })

  it('that is cut off from Redis for longer than its lease: others see its users leave and join once, its own pages see neither', async () => {
    const watchers = await watchFrom([one, two], room)
    const [stays, closes] = await enterAll(['u1', 'u2'], third)
    const own = [...(await watchFrom([third], room)), stays].filter((page) => page !== undefined)
    const [leaves] = await enterAll(['leaves', 'u2', 'stays'], one)
    await begin([...watchers, ...own], ['u1', 'u2', 'leaves', 'stays'])

    line.cut()
    await untilAll(watchers, '-u1')
    leaves?.close()
    await untilAll(watchers, '-leaves')
    // Nobody else can be told yet, but those who are here.
    const late = await stay('late', third)
    expect(late.members).toEqual(['eye', 'late', 'leaves', 'stays', 'u1', 'u2'])
    closes?.close()
    line.resume()
    await untilAllTold(watchers, ['+u1', '+late'])
    await untilAll(own, '-leaves')
    const everybody = [...watchers, ...own, late]
    await fenceFor(LEASE_MS, [one, two, third], everybody, room)
    for (const watcher of watchers) expect(watcher.changes).toEqual(['+late', '+u1', '-leaves', '-u1'])
    for (const page of own) expect(page.changes).toEqual(['+late', '-leaves'])
    for (const { members } of everybody) expect(members).toEqual(['eye', 'late', 'stays', 'u1', 'u2'])
  })
})
