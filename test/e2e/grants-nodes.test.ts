import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apart } from '../support/at-end.ts'
import { startNodes } from '../support/fleet.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import {
  comeAs,
  type GrantsFleet,
  openScene,
  socketIdOf,
  startGrantsFleet,
  stay,
  whisperAt,
} from '../support/grants-fleet.ts'
import { requirePart } from '../support/parts.ts'
import { begin, RoomPage, untilAll, watchFrom } from '../support/room-page.ts'
import { untilTrue } from '../support/until-true.ts'

type Nodes = [GatewayProcess, GatewayProcess, GatewayProcess]

describe.runIf(requirePart('redis'))('what a page was granted at one of three gateways', () => {
  let fleet: GrantsFleet
  let nodes: Nodes
  /** They ask Laravel always. */
  let distrustful: [GatewayProcess, GatewayProcess]
  /** It keeps grants for a second. */
  let forgetful: GatewayProcess
  let killed: GatewayProcess

  // All at once, so that no test has to wait while others start a process.
  beforeAll(async () => {
    fleet = await startGrantsFleet()
    const always = { args: ['--grant-s', '0'] }
    ;[nodes, distrustful, forgetful, killed] = await Promise.all([
      startNodes(fleet, 3),
      Promise.all([fleet.start(always), fleet.start(always)]),
      // Longer than the linger time, in which the page still counts as live.
      fleet.start({ args: ['--grant-s', '3'] }),
      fleet.start(),
    ])
  })
  afterAll(() => fleet?.close())

  function withForgedKey(page: RoomPage) {
    const key = page.identity?.key ?? ''
    return { socketId: socketIdOf(page), key: key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) }
  }

  describe('is not put to Laravel again', () => {
    it.concurrent(
      'when the page goes on at another gateway, by a stream or a poll, while it is there and when it has gone',
      apart(async () => {
        const { ada, room, lounge, all } = openScene()
        const page = await stay(ada, nodes[0], all)
        await fleet.untilKnown(page, 2)
        const { socketId } = page.identity ?? {}
        await page.enter(nodes[1])
        await page.enter(nodes[2], ...all, `${lounge}.new`)
        await fleet.untilKnown(page, 3)
        await page.poll(nodes[0], 0)
        page.close()
        await fleet.untilRecord(page, (record) => record?.isLive === false)
        await page.enter(nodes[1])
        expect(page.identity?.socketId).toBe(socketId)
        expect(page.members).toEqual([ada])
        expect(page.denied).toEqual([])
        expect(fleet.asked(ada).sort()).toEqual([lounge, `${lounge}.new`, room].sort())
        await fleet.publish(lounge, 'heard')
        await page.until('heard')
      }),
    )

    it.concurrent(
      'unless it cannot prove to be the same browser: then it is another page',
      apart(async () => {
        const { ada, bob, all } = openScene()
        const page = await stay(ada, nodes[0], all)
        await fleet.untilKnown(page, 2)
        const foreign = comeAs(page, bob, all)
        const forged = comeAs(page, ada, all)
        forged.identity = withForgedKey(page)
        for (const other of [foreign, forged]) {
          await other.enter(nodes[1])
          expect(other.identity?.socketId).not.toBe(page.identity?.socketId)
        }
        expect([fleet.asked(bob).length, fleet.asked(ada).length]).toEqual([2, 4])
        fleet.ban(bob)
        const refused = comeAs(page, bob, all)
        await refused.enter(nodes[2])
        expect(refused.denied).toEqual(['forbidden', 'forbidden'])
        expect(await whisperAt(nodes, refused)).toEqual([403, 403, 403])
      }),
    )

    it.concurrent(
      'unless it has been away for --grant-s, which may be nothing',
      apart(async () => {
        const { ada, bob, all } = openScene()
        const page = await stay(ada, distrustful[0], all)
        for (const node of [distrustful[0], distrustful[1]]) await page.enter(node)
        await page.poll(distrustful[0], 0)
        expect(fleet.asked(ada)).toHaveLength(8)

        const away = await stay(bob, forgetful, all)
        await fleet.untilKnown(away, 2)
        away.close()
        await fleet.untilRecord(away, (record) => record?.isLive === false)
        await fleet.untilRecord(away, (record) => record === null)
        await away.enter(nodes[0])
        expect(fleet.asked(bob)).toHaveLength(4)
      }),
    )

    it.concurrent(
      'unless its gateway was killed: after the lease what that gateway said is worth nothing',
      apart(async () => {
        const { ada, bob, room, all } = openScene()
        const eyes = await watchFrom(nodes, room)
        const [page, moves] = await Promise.all([stay(ada, killed, all), stay(bob, killed, all)])
        await begin(eyes, [ada, bob])
        await Promise.all([fleet.untilKnown(page, 2), fleet.untilKnown(moves, 2)])
        await killed.stop('SIGKILL')
        // It is still believed.
        await moves.enter(nodes[0])
        expect(await whisperAt(nodes, page)).toEqual([204, 204, 204])
        expect(fleet.asked(bob)).toHaveLength(2)

        await untilAll(eyes, `-${ada}`)
        expect((await fleet.recordOf(socketIdOf(page)))?.isLive).toBe(true)
        expect(await whisperAt(nodes, page)).toEqual([403, 403, 403])
        await page.enter(nodes[1])
        expect(fleet.asked(ada)).toHaveLength(4)
        expect(await whisperAt(nodes, moves)).toEqual([204, 204, 204])
      }),
    )
  })

  describe('lets it whisper', () => {
    it.concurrent(
      'at every gateway: each other page hears it once, with who says it, and no stream or poll of its own does',
      apart(async () => {
        const { ada, bob, room } = openScene()
        const page = await stay(ada, nodes[0], [room])
        const second = await comeAs(page, ada, [room]).enter(nodes[1])
        const poll = comeAs(page, ada, [room])
        const others = await Promise.all(nodes.map((node) => stay(bob, node, [room])))
        const tab = await stay(ada, nodes[1], [room])
        await begin([page, second, tab, ...others], [ada, bob])
        await poll.poll(nodes[1], 0)
        poll.startOver()
        const polled = poll.poll(nodes[1], 10)
        const isPoll = (line: string) => line.includes(`"${page.identity?.socketId}"`) && line.includes('"mode":"poll"')
        await untilTrue(() => nodes[1].log().split('\n').filter(isPoll).length === 2)

        for (const node of [nodes[2], nodes[0], nodes[1]]) expect(await page.whisper(node, node.url)).toBe(204)
        await fleet.publish(room, 'after')
        const whispers = [nodes[2], nodes[0], nodes[1]].map(({ url }) => `${ada}: ${url}`)
        await untilAll([page, second, tab, ...others], 'after')
        for (const { story } of [tab, ...others]) expect(story).toEqual([...whispers, 'after'])
        await polled
        for (const { story } of [page, second, poll]) expect(story).toEqual(['after'])
      }),
    )

    it.concurrent(
      'on a private channel without saying who it is, and never to who comes back later',
      apart(async () => {
        const { ada, bob, lounge } = openScene()
        const page = await stay(ada, nodes[0], [lounge])
        const others = await Promise.all(nodes.map((node) => stay(bob, node, [lounge])))
        await fleet.untilKnown(page, 1)
        expect(await page.whisper(nodes[2], 'first')).toBe(204)
        await untilAll(others, 'first')
        for (const other of others) other.close()
        expect(await page.whisper(nodes[2], 'missed whisper')).toBe(204)
        await fleet.publish(lounge, 'missed')
        await page.until('missed')
        for (const [at, node] of [nodes[1], nodes[2], nodes[2]].entries()) await others[at]?.enter(node)
        await fleet.publish(lounge, 'after')
        await untilAll(others, 'after')
        for (const { story } of others) expect(story).toEqual(['first', 'missed', 'after'])
      }),
    )

    // The record of a socket has room for one gateway: what the second stream was granted replaces what the first was.
    it.concurrent(
      'at every gateway, although a second stream of it has come and gone at another one',
      apart(async () => {
        const { ada, bob, room } = openScene()
        const watcher = await stay('eye', nodes[0], [room])
        const page = await stay(ada, nodes[0], [room])
        await fleet.untilKnown(page, 1)
        const second = await comeAs(page, ada, [room]).enter(nodes[1])
        const other = await stay(bob, nodes[1], [room])
        await watcher.until(`+${bob}`)
        second.close()
        other.close()
        await watcher.until(`-${bob}`)
        expect(await whisperAt(nodes, page)).toEqual([204, 204, 204])
      }),
    )

    it.concurrent(
      'nowhere where it is not: refused by every gateway alike, and nobody hears it',
      apart(async () => {
        const { ada, bob, room, news, all } = openScene()
        const others = await Promise.all(nodes.map((node) => stay(bob, node, all)))
        const page = await stay(ada, nodes[0], all)
        const never = await new RoomPage(ada, room).enter(nodes[0], news)
        const left = await stay(ada, nodes[0], all)
        const closed = await stay(ada, nodes[1], all)
        const revoked = await stay(ada, nodes[2], all)
        await Promise.all([page, left, closed, revoked].map((one) => fleet.untilKnown(one, 2)))
        await begin(others, [ada])

        await left.leave(nodes[1])
        closed.close()
        await fleet.revoke({ socket: socketIdOf(revoked) })
        await Promise.all([
          fleet.untilRecord(left, (record) => record === null),
          fleet.untilRecord(closed, (record) => record?.isLive === false),
          revoked.until(`!${room}`),
        ])
        const foreign = comeAs(page, bob, [room])
        const [forged, mixed] = [comeAs(page, ada, [room]), comeAs(page, ada, [room])]
        forged.identity = withForgedKey(page)
        mixed.identity = { socketId: socketIdOf(page), key: left.identity?.key ?? '' }
        await fleet.publish(news, 'heard by all')
        await untilAll(others, 'heard by all')

        for (const one of [never, left, closed, revoked]) expect(await whisperAt(nodes, one)).toEqual([403, 403, 403])
        for (const one of [foreign, forged, mixed]) expect(await whisperAt(nodes, one)).toEqual([401, 401, 401])
        expect(await page.whisper(nodes[1], 'allowed')).toBe(204)
        await untilAll(others, `${ada}: allowed`)
        for (const { story } of others) expect(story).toEqual(['heard by all', `${ada}: allowed`])
      }),
    )
  })
})
