import type { Revocation } from '../../src/auth/revocation.ts'
import { REFUSAL } from './fake-laravel.ts'
import { type Fleet, type FleetOptions, grantByBearer, PREFIX, type SocketRecord, startFleet, userOf } from './fleet.ts'
import { RoomPage } from './room-page.ts'
import { untilTrue } from './until-true.ts'

type Node = { readonly url: string }

/** Gateways whose Laravel may change its mind about a user, and counts what it is asked. */
export type GrantsFleet = Fleet & {
  /** From now on Laravel says no to this user. */
  ban(user: string): void
  /** What Laravel has decided about this channel it says only when the returned function is called. */
  holdAnswers(channel: string): () => void
  /** The channels that Laravel was asked about for a user, in order. */
  asked(user: string): string[]
  /** As Laravel does: by a message on Redis. */
  revoke(revocation: Partial<Revocation>): Promise<unknown>
  /** What is on record of this user's revocations was said half a minute earlier. */
  ageRevocations(user: string): Promise<unknown>
  /** The gateways have told each other so about the page. */
  untilRecord(page: RoomPage, isSo: (record: SocketRecord | null) => boolean): Promise<unknown>
  /** They all know that the page is on so many guarded channels. */
  untilKnown(page: RoomPage, channels: number): Promise<unknown>
}

const AGE = `
for _, text in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.find(text, ARGV[1], 1, true) then redis.call('ZINCRBY', KEYS[1], -30000000, text) end
end
`

export async function startGrantsFleet(options: FleetOptions = {}): Promise<GrantsFleet> {
  const fleet = await startFleet(options)
  const banned = new Set<string | undefined>()
  const held = new Map<string, Promise<void>>()
  fleet.laravel.answers(async (request) => {
    const reply = banned.has(userOf(request.headers)) ? REFUSAL : grantByBearer(request)
    await held.get(request.channel)
    return reply
  })
  const untilRecord: GrantsFleet['untilRecord'] = (page, isSo) =>
    untilTrue(async () => isSo(await fleet.recordOf(socketIdOf(page))))
  return {
    ...fleet,
    ban: (user) => void banned.add(user),
    holdAnswers: (channel) => {
      let release = () => {}
      held.set(channel, new Promise((resolve) => (release = resolve)))
      return release
    },
    asked: (user) =>
      fleet.laravel.requests.flatMap(({ headers, channel }) => (userOf(headers) === user ? [channel] : [])),
    revoke: (revocation) => fleet.say('sse:revoke', JSON.stringify(revocation)),
    ageRevocations: (user) => fleet.server.cli('EVAL', AGE, '1', `${PREFIX}sse:revocations`, `"user":"${user}"`),
    untilRecord,
    untilKnown: (page, channels) =>
      untilRecord(page, (record) => record?.isLive === true && record.channels.length === channels),
  }
}

/** Channels and users of one test alone. */
export type Scene = {
  readonly room: string
  readonly lounge: string
  readonly news: string
  /** The presence channel, the private and the public one. */
  readonly all: readonly [room: string, lounge: string, news: string]
  readonly ada: string
  readonly bob: string
}

let scenes = 0

export function openScene(): Scene {
  scenes += 1
  const [room, lounge, news] = [`presence-room.${scenes}`, `private-lounge.${scenes}`, `news.${scenes}`]
  return { room, lounge, news, all: [room, lounge, news], ada: `ada${scenes}`, bob: `bob${scenes}` }
}

/** Resolves when all the channels are granted or denied. */
export function stay(user: string, node: Node, channels: readonly string[]): Promise<RoomPage> {
  return new RoomPage(user, ...channels).enter(node)
}

/** Another stream of the same page, or somebody who says that it is. */
export function comeAs({ identity }: RoomPage, user: string, channels: readonly string[]): RoomPage {
  const page = new RoomPage(user, ...channels)
  page.identity = identity
  return page
}

export function socketIdOf({ identity }: RoomPage): string {
  return identity?.socketId ?? ''
}

/** How these gateways answer a whisper of the page on its first channel. */
export function whisperAt(nodes: readonly Node[], page: RoomPage): Promise<number[]> {
  return Promise.all(nodes.map((node) => page.whisper(node, 'psst')))
}
