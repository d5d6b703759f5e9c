import type { RedisLease } from './redis-lease.ts'
import { parseId } from './redis-news.ts'
import { PRESENCE_TRAFFIC, type PresenceNews } from './store.ts'

/** Of one command: arguments have to fit on the stack. */
const MAX_ARGUMENTS = 10_000

export type RedisReaperHooks = {
  /** Who is not there any more. */
  readonly onNews?: (news: PresenceNews) => void
  /** What else a dead node has left is taken away first: with its last channel here it is forgotten. */
  readonly reapBefore?: ((incarnation: string) => Promise<void>) | undefined
}

/**
 * Takes the users of dead nodes off their channels. Every node does so for every dead one it sees: each channel is
 * done once, by whoever comes first, and what one leaves undone another finds.
 */
export class RedisReaper {
  readonly #lease: RedisLease
  readonly #onNews: (news: PresenceNews) => void
  readonly #reapBefore: (incarnation: string) => Promise<void>
  /** Earlier incarnations of this node, and where they had users. */
  readonly #formers = new Map<string, ReadonlySet<string>>()
  #isBusy = false

  constructor(lease: RedisLease, { onNews = () => {}, reapBefore = async () => {} }: RedisReaperHooks = {}) {
    this.#lease = lease
    this.#onNews = onNews
    this.#reapBefore = reapBefore
  }

  /** Redis may have lost sight of this one, so that nobody else would ever look for what it has left. */
  remember(former: string, channels: ReadonlySet<string>): void {
    this.#formers.set(former, channels)
  }

  /** Never rejects; does nothing while an earlier round goes on. */
  async cleanUp(dead: readonly string[]): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (const [former, channels] of this.#formers) await this.#bury(former, channels)
      for (const incarnation of dead) await this.reap(incarnation)
    } catch {
      // Told by the lease. What is left undone is found again at the next renewal.
    } finally {
      this.#isBusy = false
    }
  }

  async reap(incarnation: string): Promise<void> {
    const { nodes, node } = this.#lease.keys
    await this.#reapBefore(incarnation)
    const channels = await this.#lease.ask((commands) => commands.sseKill(nodes, node(incarnation), incarnation))
    for (const channel of channels) await this.#reapChannel(incarnation, channel)
  }

  async #bury(former: string, channels: ReadonlySet<string>): Promise<void> {
    const { nodes, node } = this.#lease.keys
    const fields = [...channels].flatMap((channel) => [channel, ''])
    for (let from = 0; from < fields.length; from += MAX_ARGUMENTS) {
      const some = fields.slice(from, from + MAX_ARGUMENTS)
      await this.#lease.ask((commands) => commands.hset(node(former), ...some))
    }
    await this.#lease.ask((commands) => commands.zadd(nodes, 'NX', 0, former))
    this.#formers.delete(former)
    await this.reap(former)
  }

  async #reapChannel(incarnation: string, channel: string): Promise<void> {
    const { keys, redisPrefix } = this.#lease
    const fields = await this.#lease.ask((commands) =>
      commands.sseReap(
        keys.nodes,
        keys.node(incarnation),
        keys.presence(channel),
        incarnation,
        redisPrefix + PRESENCE_TRAFFIC,
        channel,
        JSON.stringify(channel),
      ),
    )
    const left = fields.map(parseId).filter((id) => id !== null)
    if (left.length > 0) this.#onNews({ channel, joined: [], left })
  }
}
