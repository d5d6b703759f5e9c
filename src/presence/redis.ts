import { GatewayError } from '../errors.ts'
import type { ListedMember } from './member.ts'
import type { RedisLease } from './redis-lease.ts'
import { parseId, RedisNews } from './redis-news.ts'
import { RedisReaper } from './redis-reaper.ts'
import {
  PRESENCE_TRAFFIC,
  type PresenceHooks,
  type PresenceNews,
  type PresenceSnapshot,
  type PresenceStore,
  type PresenceUpdate,
} from './store.ts'

/** What Redis answers to a step it has not done. */
const FORGOTTEN = 0
const OVERTAKEN = -1

export type RedisPresenceStoreOptions = {
  readonly lease: RedisLease
  /** Takes away what else a dead node has left, before it is forgotten. */
  readonly reapBefore?: (incarnation: string) => Promise<void>
}

/** The presence of a service of many nodes. It starts and stops the lease in whose name it speaks. */
export class RedisPresenceStore implements PresenceStore {
  readonly #lease: RedisLease
  readonly #reaper: RedisReaper
  readonly #news = new RedisNews()
  #onNews: (news: PresenceNews) => void = () => {}
  /** Where this node has users. */
  #channels = new Set<string>()
  /** How much this node has said. */
  #steps = 0

  constructor({ lease, reapBefore }: RedisPresenceStoreOptions) {
    this.#lease = lease
    this.#reaper = new RedisReaper(lease, { onNews: (news) => this.#onNews(news), reapBefore })
  }

  start({ onForgotten, onNews = () => {} }: PresenceHooks): void {
    this.#onNews = onNews
    this.#lease.start({
      onForgotten: (former, isAnew) => {
        this.#reaper.remember(former, this.#channels)
        this.#channels = new Set()
        this.#news.forgotten()
        onForgotten(isAnew)
      },
      onStep: (dead) => void this.#reaper.cleanUp(dead),
    })
  }

  async update(update: PresenceUpdate): Promise<void> {
    const found = await this.#sayOnce(update)
    if (typeof found === 'number') {
      await this.verify()
      throw new GatewayError('broker_unavailable', { message: 'Redis had forgotten this node; say it again.' })
    }
    if (update.isLast) this.#channels.delete(update.channel)
    const news = this.#news.read(update, found)
    if (news.joined.length + news.left.length > 0) this.#onNews(news)
  }

  async #sayOnce(update: PresenceUpdate): Promise<typeof FORGOTTEN | string> {
    try {
      let answer: number | string = OVERTAKEN
      // By a step on another channel, when Redis did not know the script and was sent it after that.
      while (answer === OVERTAKEN) answer = await this.#say(update)
      return typeof answer === 'string' ? answer : FORGOTTEN
    } catch (error) {
      this.#news.lost(update)
      throw error
    }
  }

  #say({ channel, joined, left, isLast }: PresenceUpdate): Promise<number | string> {
    const { keys, redisPrefix } = this.#lease
    return this.#lease.ask((commands, incarnation) => {
      // Before the answer: it may be lost, and the step be done.
      this.#channels.add(channel)
      this.#steps += 1
      return commands.ssePresence(
        keys.nodes,
        keys.node(incarnation),
        keys.presence(channel),
        keys.run,
        incarnation,
        redisPrefix + PRESENCE_TRAFFIC,
        channel,
        JSON.stringify(channel),
        isLast ? 'last' : '',
        this.#steps,
        joined.length,
        ...joined.flatMap(({ id, json }) => [JSON.stringify(id), json]),
        ...left.map((id) => JSON.stringify(id)),
      )
    })
  }

  async read(channel: string): Promise<PresenceSnapshot> {
    const snapshot = await this.#read(channel)
    if (snapshot !== null) return snapshot
    await this.verify()
    const again = await this.#read(channel)
    if (again === null) throw new GatewayError('broker_unavailable', { message: 'Redis has begun anew; try again.' })
    return again
  }

  /** null when Redis has begun anew, and nobody has noticed yet. */
  #read(channel: string): Promise<PresenceSnapshot | null> {
    const { nodes, run, presence } = this.#lease.keys
    return this.#lease.ask(async (commands, incarnation) => {
      // In this order: whoever is forgotten in between must not be believed.
      const [record, forgotten] = await Promise.all([
        commands.hgetall(presence(channel)),
        commands.sseForgotten(nodes, run),
      ])
      return forgotten && parseSnapshot(record, incarnation, new Set(forgotten))
    })
  }

  async verify(): Promise<void> {
    await this.#lease.renew().catch((error: unknown) => this.#lease.complain(error))
  }

  async stop(keepMs: number): Promise<void> {
    await this.#lease.leave(keepMs)
    const { incarnation } = this.#lease
    // Whoever wants to be gone at once does not wait for a peer to notice.
    if (keepMs <= 0 && incarnation !== null) await this.#reaper.reap(incarnation).catch(() => {})
    this.#lease.stop()
  }
}

function parseSnapshot(
  record: Record<string, string>,
  incarnation: string,
  forgotten: ReadonlySet<string>,
): PresenceSnapshot {
  const members: ListedMember[] = []
  const own = new Set<string>()
  for (const [field, value] of Object.entries(record)) {
    const id = field === 'v' ? null : parseId(field)
    const end = value.indexOf('\n')
    // Somebody else has written this.
    if (id === null || end < 0) continue
    const nodes = value.slice(0, end).split(' ')
    if (nodes.every((node) => forgotten.has(node))) continue
    members.push({ id, json: value.slice(end + 1) })
    if (nodes.includes(incarnation)) own.add(id)
  }
  return { version: Number(record.v ?? 0), members, own }
}
