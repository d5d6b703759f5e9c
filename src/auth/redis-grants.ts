import type { Commands } from '../broker/redis-connection.ts'
import { printMember } from '../presence/member.ts'
import type { RedisLease } from '../presence/redis-lease.ts'
import type { Member } from './authorizer.ts'
import type { GrantedChannels, GrantRecord, GrantStore, PastRevocation } from './grant-store.ts'
import { type GrantScripts, withGrantScripts } from './redis-scripts.ts'
import { parseRevocation, type Revocation, withoutRevoked } from './revocation.ts'

export type RedisGrantStoreOptions = {
  /** The presence store starts and stops it. */
  readonly lease: RedisLease
  /** So long a record lives when nobody releases it. */
  readonly keyTtlS: number
}

/** Grants as all nodes see them. What a node has written is worth nothing once its lease has run out. */
export class RedisGrantStore implements GrantStore {
  readonly #lease: RedisLease
  readonly #commands: Commands & GrantScripts
  readonly #keyTtlMs: number

  constructor({ lease, keyTtlS }: RedisGrantStoreOptions) {
    this.#lease = lease
    this.#commands = lease.teach(withGrantScripts)
    this.#keyTtlMs = Math.ceil(keyTtlS * 1000)
  }

  async write(socketId: string, channels: GrantedChannels): Promise<void> {
    const { socket, nodes } = this.#lease.keys
    const printed = printChannels(channels)
    await this.#lease.ask((_, own) => this.#commands.sseGrant(socket(socketId), nodes, own, printed, this.#keyTtlMs))
  }

  async release(socketId: string, keepMs: number): Promise<void> {
    const key = this.#lease.keys.socket(socketId)
    await this.#lease.ask((_, own) => this.#commands.sseRelease(key, own, Math.ceil(keepMs)))
  }

  async forget(socketId: string): Promise<void> {
    const key = this.#lease.keys.socket(socketId)
    await this.#lease.ask(() => this.#commands.sseForget(key))
  }

  async find(socketId: string): Promise<GrantRecord[]> {
    const { nodes, socket, revocations, run } = this.#lease.keys
    const found = await this.#lease.ask(() => this.#commands.sseFindGrants(nodes, socket(socketId), revocations, run))
    return found.map(([live, channels, ...texts]) => {
      const revoked = texts.flatMap((text) => readRevoked(text) ?? [])
      return { channels: withoutRevoked(revoked, socketId, readChannels(channels)), isLive: live === '1' }
    })
  }

  async revoke(revocation: Revocation, keepMs: number, id: string | null): Promise<void> {
    const { revocations } = this.#lease.keys
    const text = JSON.stringify(revocation)
    await this.#lease.ask(() => this.#commands.sseRevoke(revocations, text, Math.ceil(keepMs), id ?? ''))
  }

  async revocations(): Promise<PastRevocation[]> {
    const { revocations } = this.#lease.keys
    const flat = await this.#lease.ask(() => this.#commands.sseRevocations(revocations))
    return flat.flatMap((text, at) => {
      const revocation = at % 2 === 0 ? readRevoked(text) : null
      return revocation === null ? [] : [{ revocation, agoMs: Number(flat[at + 1]) / 1000 }]
    })
  }
}

/** What was revoked, with or without its id before it; null when somebody else has written it. */
function readRevoked(text: string): Revocation | null {
  return parseRevocation(text.replace(/^[\d.]+ /, ''))
}

function readChannels(text: string): GrantedChannels {
  return new Map(JSON.parse(text) as [string, Member | null][])
}

/** A list of pairs: as the keys of an object, some channel names would be more than names. */
function printChannels(channels: GrantedChannels): string {
  const pairs = [...channels].map(
    ([name, member]) => `[${JSON.stringify(name)},${member === null ? 'null' : printMember(member).json}]`,
  )
  return `[${pairs.join(',')}]`
}
