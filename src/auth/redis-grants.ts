import { printMember } from '../presence/member.ts'
import type { RedisLease } from '../presence/redis-lease.ts'
import type { Member } from './authorizer.ts'
import type { GrantedChannels, GrantRecord, GrantStore } from './grant-store.ts'

export type RedisGrantStoreOptions = {
  /** The presence store starts and stops it. */
  readonly lease: RedisLease
  /** So long a record lives when nobody releases it. */
  readonly keyTtlS: number
}

/** Grants as all nodes see them. What a node has written is worth nothing once its lease has run out. */
export class RedisGrantStore implements GrantStore {
  readonly #lease: RedisLease
  readonly #keyTtlMs: number

  constructor({ lease, keyTtlS }: RedisGrantStoreOptions) {
    this.#lease = lease
    this.#keyTtlMs = Math.ceil(keyTtlS * 1000)
  }

  async write(socketId: string, channels: GrantedChannels): Promise<void> {
    const key = this.#lease.keys.socket(socketId)
    await this.#lease.ask((commands, own) => commands.sseGrant(key, own, printChannels(channels), this.#keyTtlMs))
  }

  async release(socketId: string, keepMs: number): Promise<void> {
    const key = this.#lease.keys.socket(socketId)
    await this.#lease.ask((commands, own) => commands.sseRelease(key, own, Math.ceil(keepMs)))
  }

  async find(socketId: string): Promise<GrantRecord | null> {
    const { nodes, socket } = this.#lease.keys
    const found = await this.#lease.ask((commands) => commands.sseFindGrant(nodes, socket(socketId)))
    if (found === null) return null
    const [live, channels] = found
    return { channels: new Map(JSON.parse(channels) as [string, Member | null][]), isLive: live === '1' }
  }
}

/** A list of pairs: as the keys of an object, some channel names would be more than names. */
function printChannels(channels: GrantedChannels): string {
  const pairs = [...channels].map(
    ([name, member]) => `[${JSON.stringify(name)},${member === null ? 'null' : printMember(member).json}]`,
  )
  return `[${pairs.join(',')}]`
}
