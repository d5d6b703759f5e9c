import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Revocation } from '../../src/auth/revocation.ts'
import { ask } from '../support/ask.ts'
import { apart } from '../support/at-end.ts'
import { startNodes } from '../support/fleet.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import {
  comeAs,
  type GrantsFleet,
  openScene,
  type Scene,
  socketIdOf,
  startGrantsFleet,
  stay,
  whisperAt,
} from '../support/grants-fleet.ts'
import { junkRequests } from '../support/junk.ts'
import { requirePart } from '../support/parts.ts'
import { publishByHttp } from '../support/publisher.ts'
import { begin, fence, RoomPage, untilAll, untilAllTold, watchFrom } from '../support/room-page.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { untilTrue } from '../support/until-true.ts'

type Nodes = [GatewayProcess, GatewayProcess, GatewayProcess]
/** A gateway that something happens to, and its line to Redis. */
type Remote = { readonly node: GatewayProcess; readonly line: TcpProxy }

const APP = { id: 'shop', key: 'public-key', secret: 'a-real-secret' }

const KINDS = ['user', 'socket', 'channel'] as const
const WAYS = ['a signed call to one gateway', 'a message on Redis'] as const
type Kind = (typeof KINDS)[number]
type Way = (typeof WAYS)[number]

describe.runIf(requirePart('redis'))('on three gateways', () => {
  let fleet: GrantsFleet
  let nodes: Nodes
  let remotes: [Remote, Remote, Remote, Remote]

  beforeAll(async () => {
    fleet = await startGrantsFleet({ args: ['--app-id', APP.id, '--app-key', APP.key, '--app-secret', APP.secret] })
    // All at once, so that no test is slow because others start a process.
    ;[nodes, remotes] = await Promise.all([
      startNodes(fleet, 3),
      Promise.all([startRemote(), startRemote(), startRemote(), startRemote()]),
    ])
  })
  afterAll(async () => {
    await fleet?.close()
    await Promise.all((remotes ?? []).map(({ line }) => line.close()))
  })

  async function startRemote(): Promise<Remote> {
    const line = await startTcpProxy(fleet.server.port)
    // Patient, so that one that hears nothing finds that out too late for what a test is about.
    const args = ['--ready-timeout-ms', '20000']
    return { line, node: await fleet.start({ redis: ['--redis', line.redisUrl], args }) }
  }

  async function revoke(way: Way, revocation: Partial<Revocation>): Promise<void> {
    if (way === 'a message on Redis') await fleet.revoke(revocation)
    else {
      const { status } = await publishByHttp(nodes[1].url, revocation, { app: APP, path: `/apps/${APP.id}/revoke` })
      expect(status).toBe(200)
    }
  }

  /** What is revoked, and the channels that ada's pages lose by it. */
  function revocationBy(kind: Kind, { ada, room, lounge }: Scene, page: RoomPage) {
    if (kind === 'user') return { revocation: { user: ada }, lost: [room, lounge] }
    if (kind === 'socket') return { revocation: { socket: socketIdOf(page) }, lost: [room, lounge] }
    return { revocation: { channel: room }, lost: [room] }
  }

  /** A stream of ada's and one of bob's at each gateway; to revoke a socket, ada's are of one page. */
  async function enterEverywhere({ ada, bob, all }: Scene, kind: Kind) {
    const first = await stay(ada, nodes[0], all)
    const next = () => (kind === 'socket' ? comeAs(first, ada, all) : new RoomPage(ada, ...all))
    const pages = [first, await next().enter(nodes[1]), await next().enter(nodes[2])] as const
    const others = await Promise.all(nodes.map((node) => stay(bob, node, all)))
    await begin([...pages, ...others], [ada, bob])
    return { pages, others }
  }

  const losses = (channels: readonly string[]) => channels.map((channel) => `!${channel}`)

  describe.each(KINDS)('a revocation by %s', (kind) => {
    for (const way of WAYS) {
      it.concurrent(
        `through ${way} is told once and within a second, takes whispers and presence, and nothing else`,
        apart(async () => {
          const scene = openScene()
          const { ada, room, news, all } = scene
          const { pages, others } = await enterEverywhere(scene, kind)
          const { revocation, lost } = revocationBy(kind, scene, pages[0])
          const losers = kind === 'channel' ? [...pages, ...others] : pages
          const spared = kind === 'channel' ? [] : others

          const revokedAt = performance.now()
          await revoke(way, revocation)
          await untilAllTold(losers, losses(lost))
          expect(performance.now() - revokedAt).toBeLessThan(1000)

          for (const page of losers) expect(await whisperAt(nodes, page)).toEqual([403, 403, 403])
          if (spared.length > 0) await fence(nodes, spared, room)
          for (const channel of all) await fleet.publish(channel, `on ${channel}`)
          await untilAll([...pages, ...others], `on ${news}`)
          const heard = (channels: readonly string[]) => channels.map((channel) => `on ${channel}`)
          const kept = all.filter((channel) => !lost.includes(channel))
          for (const { changes } of losers) expect(changes).toEqual([...losses(lost), ...heard(kept)].sort())
          for (const { changes } of spared) expect(changes).toEqual([`-${ada}`, ...heard(all)].sort())

          const late = await stay('late', nodes[2], [room])
          await untilTrue(() => late.members.length === 1 + Math.min(spared.length, 1))
          expect(late.members).not.toContain(ada)
        }),
      )
    }

    it.concurrent(
      'puts who comes back to Laravel, at whichever gateway; when Laravel says no, nothing is told of what was missed',
      apart(async () => {
        const scene = openScene()
        const { pages } = await enterEverywhere(scene, kind)
        const { revocation, lost } = revocationBy(kind, scene, pages[0])
        await fleet.revoke(revocation)
        await untilAllTold(pages, losses(lost))
        fleet.ban(scene.ada)
        for (const channel of lost) await fleet.publish(channel, 'secret')
        const before = fleet.asked(scene.ada).length
        for (const [at, page] of pages.entries()) {
          await page.enter(nodes[(at + 1) % 3] as GatewayProcess)
          expect(page.denied).toEqual(lost.map(() => 'forbidden'))
        }
        expect(fleet.asked(scene.ada).slice(before).sort()).toEqual(pages.flatMap(() => lost).sort())
        await fleet.publish(scene.news, 'after')
        await untilAll(pages, 'after')
        for (const { changes } of pages) expect(changes).toEqual([...losses(lost), 'after'].sort())
      }),
    )
  })

  describe('a revocation', () => {
    it.concurrent(
      'reaches pages that are between two streams; what Laravel grants anew counts at every gateway',
      apart(async () => {
        const { ada, bob, room, lounge, all } = openScene()
        const watcher = await stay(bob, nodes[1], all)
        const [lingers, isKept] = await Promise.all([stay(ada, nodes[0], all), stay(ada, nodes[0], all)])
        const pages = [lingers, isKept]
        await Promise.all(pages.map((page) => fleet.untilKnown(page, 2)))
        isKept.close()
        await fleet.untilRecord(isKept, (record) => record?.isLive === false)
        lingers.close()
        await fleet.revoke({ user: ada })
        await watcher.until(`-${ada}`)
        expect(fleet.asked(ada)).toHaveLength(4)

        for (const page of pages) await page.enter(nodes[1])
        expect(fleet.asked(ada)).toHaveLength(8)
        await Promise.all(pages.map((page) => fleet.untilKnown(page, 2)))
        for (const page of pages) {
          expect(await whisperAt(nodes, page)).toEqual([204, 204, 204])
          await page.enter(nodes[0])
        }
        expect(fleet.asked(ada)).toHaveLength(8)
        await fleet.publish(room, 'heard')
        await fleet.publish(lounge, 'heard')
        await untilAll(pages, 'heard', 2)
      }),
    )

    it.concurrent(
      'takes nothing of what Laravel granted after it, when a gateway that stood still hears it late',
      apart(async () => {
        const { ada, bob, all } = openScene()
        const watcher = await stay(bob, nodes[1], all)
        const page = await stay(ada, nodes[0], all)
        await begin([watcher], [ada])
        await fleet.untilKnown(page, 2)
        const { node: late } = remotes[3]
        late.freeze()
        await fleet.revoke({ user: ada })
        await watcher.until(`-${ada}`)
        await page.enter(nodes[1])
        await fleet.untilKnown(page, 2)
        await fleet.ageRevocations(ada)
        late.thaw()
        await fence([late], [watcher], all[0])
        expect(await whisperAt([...nodes, late], page)).toEqual([204, 204, 204, 204])
      }),
    )

    it.concurrent(
      'that a gateway missed because it was cut off from Redis is applied when it is back, once',
      apart(async () => {
        const { node, line } = remotes[0]
        const visit = await visitRemote(node)
        line.cut()
        await revokeUnheard(visit)
        expect(await whisperAt([...nodes, node], visit.page)).toEqual([403, 403, 403, 503])
        line.resume()
        await untilLost(visit)
        await expectApplied(visit)
        expect(visit.page.gaps).toEqual(['relay-lost'])
      }),
    )

    for (const [what, isDeaf] of [
      ['stood still for longer than its lease', false],
      ['stood still for longer than its lease and hears no messages since', true],
    ] as const) {
      it.concurrent(
        `that a gateway missed because it ${what} is applied when it goes on, once`,
        apart(async () => {
          const { node, line } = remotes[isDeaf ? 1 : 2]
          const visit = await visitRemote(node)
          const { page, eyes, scene } = visit
          node.freeze()
          if (isDeaf) line.silence('to-client', (sent) => /psubscribe/i.test(sent))
          await revokeUnheard(visit)
          expect(await whisperAt(nodes, page)).toEqual([403, 403, 403])
          fleet.ban(scene.ada)
          const elsewhere = await comeAs(page, scene.ada, scene.all).enter(nodes[1])
          expect(elsewhere.denied).toEqual(['forbidden', 'forbidden'])
          await untilAll(eyes, `-${scene.ada}`)
          node.thaw()
          // Looked up, not heard, and before its users are said to be back.
          await untilLost(visit)
          line.resume()
          await expectApplied(visit)
        }),
      )
    }

    for (const name of ['private-lounge', 'private-encrypted-lounge']) {
      it.concurrent(
        `by user reaches ${name} of a page that is on its presence channel at another gateway`,
        apart(async () => {
          const { ada, room, news } = openScene()
          const lounge = `${name}.${news}`
          const page = await stay(ada, nodes[0], [room, news])
          const elsewhere = await comeAs(page, ada, [lounge, news]).enter(nodes[1])
          const revokedAt = performance.now()
          await fleet.revoke({ user: ada })
          await Promise.all([page.until(`!${room}`), elsewhere.until(`!${lounge}`)])
          expect(performance.now() - revokedAt).toBeLessThan(1000)
          expect(await whisperAt(nodes, elsewhere)).toEqual([403, 403, 403])
          await fleet.publish(lounge, 'secret')
          await fleet.publish(news, 'after')
          await untilAll([page, elsewhere], 'after')
          expect([page.changes, elsewhere.changes]).toEqual([
            [`!${room}`, 'after'],
            [`!${lounge}`, 'after'],
          ])
        }),
      )
    }

    it.concurrent(
      'by user does not believe what Laravel was about to say of the page at another gateway, and asks again',
      apart(async () => {
        const { ada, bob, room, lounge, news } = openScene()
        const [page, other, eye] = await Promise.all([
          stay(ada, nodes[0], [room, news]),
          stay(bob, nodes[0], [room]),
          stay(bob, nodes[1], [room]),
        ])
        const release = fleet.holdAnswers(lounge)
        const coming = comeAs(page, ada, [lounge, news])
        const entered = coming.enter(nodes[1])
        await untilTrue(() => fleet.asked(ada).includes(lounge))
        fleet.ban(ada)
        await fleet.revoke({ user: ada })
        await page.until(`!${room}`)
        // Said by the first gateway after what it says of the revocation.
        expect(await other.whisper(nodes[0], 'psst')).toBe(204)
        await eye.until(`${bob}: psst`)
        release()
        await entered
        expect(coming.denied).toEqual(['forbidden'])
        expect(fleet.asked(ada).filter((channel) => channel === lounge)).toHaveLength(2)
      }),
    )

    it.concurrent(
      'by user reaches a page with private channels alone, where Laravel has named the user',
      apart(async () => {
        const { ada, bob, news } = openScene()
        const channels = [`private-named.${news}`, news] as const
        const [page, other] = await Promise.all([stay(ada, nodes[0], channels), stay(bob, nodes[1], channels)])
        await fleet.revoke({ user: ada })
        await page.until(`!${channels[0]}`)
        await fleet.publish(channels[0], 'secret')
        await fleet.publish(news, 'after')
        await untilAll([page, other], 'after')
        expect([page.changes, other.changes]).toEqual([
          [`!${channels[0]}`, 'after'],
          ['after', 'secret'],
        ])
      }),
    )

    type Visit = Awaited<ReturnType<typeof visitRemote>>

    /** A page at a gateway that is about to hear nothing, and somebody at each of the others. */
    async function visitRemote(node: GatewayProcess) {
      const scene = openScene()
      const eyes = await watchFrom(nodes, scene.room)
      const page = await stay(scene.ada, node, scene.all)
      await begin(eyes, [scene.ada])
      await fleet.untilKnown(page, 2)
      return { scene, node, page, eyes }
    }

    async function revokeUnheard({ scene: { ada, room }, eyes }: Visit): Promise<void> {
      await fleet.revoke({ user: ada })
      await fleet.publish(room, 'secret')
      await untilAll(eyes, 'secret')
    }

    const untilLost = ({ scene: { room, lounge }, page }: Visit) => untilAllTold([page], losses([room, lounge]))

    async function expectApplied({ scene: { ada, room, lounge, news }, node, page, eyes }: Visit): Promise<void> {
      const everywhere = [...nodes, node]
      await fence(everywhere, eyes, room)
      await fleet.publish(room, 'secret')
      await fleet.publish(news, 'after')
      await Promise.all([page.until('after'), untilAll(eyes, 'secret', 2)])
      expect(page.changes).toEqual([...losses([room, lounge]), 'after'].sort())
      for (const { story } of eyes) expect(story.filter((told) => told !== 'secret')).toEqual([`-${ada}`])
      expect(await whisperAt(everywhere, page)).toEqual([403, 403, 403, 403])
      fleet.ban(ada)
      await page.enter(nodes[0])
      expect(page.denied).toEqual(['forbidden', 'forbidden'])
    }
  })

  describe('messages that are not what gateways say to each other', () => {
    const HUGE = 'x'.repeat(1024 * 1024)
    const DEEP = '['.repeat(100_000)

    /** What they might say, were it said by one of them. */
    const forgeries = ({ room, bob }: Scene) => ({
      'sse:whisper': { channel: room, name: 'client-says', socketId: '1.1', userId: bob, data: 'forged' },
      'sse:leave': { socketId: '1.1' },
      'sse:revoke': { channel: room },
      'sse:presence': { channel: room, version: 1, joined: [{ id: bob, info: null }], left: [] },
    })

    const broken = (text: string): (string | Buffer)[] => [
      ...['', 'null', '5', '"text"', '[]', '{}', '{', HUGE, `{"a":"${HUGE}"}`, DEEP],
      ...[`[${text}]`, `{"__proto__":${text}}`, `{"constructor":{"prototype":${text}}}`, text.slice(0, -1)],
      ...[Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28]), Buffer.from(`${text}\0`), ...junkRequests(20)],
    ]

    async function ignoredBy({ url }: GatewayProcess): Promise<number> {
      const { text } = await ask(`${url}/metrics`)
      const counted = /^echo_sse_messages_ignored_total\{reason="not_ours"\} (\d+)$/m.exec(text)
      return Number(counted?.[1] ?? 0)
    }

    it.concurrent(
      'are ignored and counted: no page hears of them, nobody gains anything, and all goes on',
      apart(async () => {
        const scene = openScene()
        const { ada, bob, room, news, all } = scene
        fleet.ban(bob)
        const pages = await Promise.all(nodes.map((node) => stay(ada, node, all)))
        const stranger = await stay(bob, nodes[0], all)
        const ignoredBefore = await Promise.all(nodes.map(ignoredBy))

        let sent = 0
        const send = async (channel: string, payload: string | Buffer) => {
          await fleet.say(channel, payload)
          sent += 1
        }
        for (const [channel, forgery] of Object.entries(forgeries(scene))) {
          for (const payload of broken(JSON.stringify(forgery))) await send(channel, payload)
        }
        const { 'sse:whisper': whisper, 'sse:presence': change } = forgeries(scene)
        // Public channels carry no whispers.
        await send('sse:whisper', JSON.stringify({ ...whisper, channel: news }))
        // Well-formed, and about channels where nobody is granted anything.
        await fleet.say('sse:presence', JSON.stringify({ ...change, channel: news }))
        for (const channel of [news, '__proto__']) await fleet.revoke({ channel })
        await fleet.say('sse:leave', '{"socketId":"__proto__"}')

        await fence(nodes, pages, room)
        await fleet.publish(news, 'after')
        await untilAll(pages, 'after')
        for (const { story, members, byes } of pages) expect([story, members, byes]).toEqual([['after'], [ada], []])
        expect(await Promise.all(nodes.map(ignoredBy))).toEqual(ignoredBefore.map((count) => count + sent))
        expect(await whisperAt(nodes, stranger)).toEqual([403, 403, 403])
        await stranger.enter(nodes[1])
        expect(stranger.denied).toHaveLength(4)
        expect(await pages[0]?.whisper(nodes[2], 'still here')).toBe(204)
        await untilAll(pages.slice(1), `${ada}: still here`)
      }),
    )
  })
})
