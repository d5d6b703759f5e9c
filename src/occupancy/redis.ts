import type { Commands } from '../broker/redis-connection.ts'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { GatewayError } from '../errors.ts'
import type { RedisLease } from '../presence/redis-lease.ts'
import { type OccupancyScripts, withOccupancyScripts } from './redis-scripts.ts'
import { type OccupancyStore, type OccupancyStoreHooks, type Reported, VACATED_AFTER_MS } from './store.ts'

/** What Redis answers to a step it has not done. */
const FORGOTTEN = 0
const OVERTAKEN = -1

/** What a step has done to a channel. */
const CHANGED = 1
const NEW = 2

/** Channels of one command: Redis does nothing else meanwhile. */
const MAX_CHANNELS = 1000

/** The field beside the channels that holds the number of a node's last step. No channel of a page has this name. */
const STEP = `${RESERVED_PREFIX}step`
/** The same for what it was told last to be vacated. */
const TAKEN = `${RESERVED_PREFIX}taken`

/** The occupancy of a service of many nodes. The presence store starts and stops the lease in whose name it speaks. */
export class RedisOccupancyStore implements OccupancyStore {
  readonly #lease: RedisLease
  readonly #commands: Commands & OccupancyScripts
  #hooks: OccupancyStoreHooks = { onReaped: () => {} }
  /** How much this node has said. */
  #steps = 0
  /** Answers it has had about vacated channels. */
  #takes = 0
  /** Taken, and not yet handed on. */
  readonly #vacated: string[] = []

  constructor({ lease }: { readonly lease: RedisLease }) {
    this.#lease = lease
    this.#commands = lease.teach(withOccupancyScripts)
  }

  start(hooks: OccupancyStoreHooks): void {
    this.#hooks = hooks
  }

  async report(counts: ReadonlyMap<string, number>, vacatedAfterMs: number): Promise<Reported[]> {
    const reported: Reported[] = []
    for (const some of slices([...counts])) reported.push(...(await this.#reportSome(some, vacatedAfterMs)))
    return reported
  }

  async elsewhere(channel: string): Promise<number> {
    const { keys } = this.#lease
    return this.#lease.ask((_, own) => this.#commands.sseElsewhere(keys.occupancy, keys.occupants(own), channel))
  }

  async allElsewhere(prefix: string): Promise<ReadonlyMap<string, number>> {
    const { keys } = this.#lease
    const found = new Map<string, number>()
    for (let cursor = '', next = '0'; cursor !== '0'; cursor = next) {
      const [then, ...pairs] = await this.#lease.ask((_, own) =>
        this.#commands.sseAllElsewhere(keys.occupancy, keys.occupants(own), next, prefix),
      )
      next = then
      for (const [channel, sockets] of pairsOf(pairs)) found.set(channel, sockets)
    }
    return found
  }

  async takeVacated(): Promise<string[]> {
    const { occupancy, vacating, occupants } = this.#lease.keys
    for (;;) {
      const [due, ...channels] = await this.#lease.ask((_, own) =>
        this.#commands.sseVacate(occupancy, vacating, occupants(own), TAKEN, this.#takes),
      )
      // Only now: a call without an answer is put again under its number, and answered as it was.
      this.#takes += 1
      this.#vacated.push(...channels)
      if (due === 0) return this.#vacated.splice(0)
    }
  }

  /** What a dead node has said no longer counts. Does nothing while it lives; harmless when repeated. */
  async reap(incarnation: string): Promise<void> {
    // Dead for good first: from here on it says nothing more.
    if ((await this.#reapSome(incarnation, [])) === null) return
    const key = this.#lease.keys.occupants(incarnation)
    const fields = await this.#lease.ask((commands) => commands.hkeys(key))
    const totals = new Map<string, number>()
    for (const some of slices(fields.filter((field) => field !== STEP && field !== TAKEN))) {
      for (const [channel, total] of (await this.#reapSome(incarnation, some)) ?? []) totals.set(channel, total)
    }
    await this.#lease.ask((commands) => commands.hdel(key, STEP, TAKEN))
    if (totals.size > 0) this.#hooks.onReaped(totals)
  }

  async #reportSome(counts: readonly [string, number][], vacatedAfterMs: number): Promise<Reported[]> {
    let answer: readonly number[] = [OVERTAKEN]
    while (answer[0] === OVERTAKEN) answer = await this.#say(counts, vacatedAfterMs)
    if (answer[0] === FORGOTTEN) {
      await this.#lease.renew().catch((error: unknown) => this.#lease.complain(error))
      throw new GatewayError('broker_unavailable', { message: 'Redis had forgotten this node; say it again.' })
    }
    return counts.map(([channel], index) => {
      const total = answer[1 + 2 * index] ?? 0
      const done = answer[2 + 2 * index]
      return { channel, total, isChanged: done === CHANGED || done === NEW, isNew: done === NEW }
    })
  }

  #say(counts: readonly [string, number][], vacatedAfterMs: number): Promise<number[]> {
    return this.#lease.ask((_, own) => {
      this.#steps += 1
      const what = [own, STEP, this.#steps, Math.ceil(vacatedAfterMs), ...counts.flat()]
      return this.#commands.sseOccupancy(...this.#keysOf(own), ...what)
    })
  }

  /** Totals that have changed; null while the node lives. */
  async #reapSome(incarnation: string, channels: readonly string[]): Promise<Iterable<[string, number]> | null> {
    const what = [incarnation, VACATED_AFTER_MS, ...channels]
    const [isDead, ...pairs] = await this.#lease.ask(() =>
      this.#commands.sseReapOccupancy(...this.#keysOf(incarnation), ...what),
    )
    return isDead === 1 ? pairsOf(pairs) : null
  }

  #keysOf(incarnation: string): [nodes: string, node: string, totals: string, vacating: string] {
    const { nodes, occupants, occupancy, vacating } = this.#lease.keys
    return [nodes, occupants(incarnation), occupancy, vacating]
  }
}

function* slices<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += MAX_CHANNELS) yield items.slice(from, from + MAX_CHANNELS)
}

function* pairsOf(flat: readonly (string | number)[]): Generator<[channel: string, sockets: number]> {
  for (let at = 0; at < flat.length; at += 2) yield [String(flat[at]), Number(flat[at + 1])]
}
