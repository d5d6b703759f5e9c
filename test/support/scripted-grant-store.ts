import type { GrantedChannels, GrantRecord, GrantStore, PastRevocation } from '../../src/auth/grant-store.ts'
import type { Revocation } from '../../src/auth/revocation.ts'

/** A store that remembers what it is told, and does as a test wants. */
export class ScriptedGrantStore implements GrantStore {
  /** What it was told, in order: `write 1.1 a,b`, `release 1.1 5000`, `revoke {…} 61000`. */
  readonly diary: string[] = []
  readonly records = new Map<string, GrantRecord>()
  /** What other nodes have heard. */
  past: PastRevocation[] = []
  /** How often it was asked about a socket. */
  questions = 0
  #trouble: 'none' | 'fails' | 'hangs' = 'none'

  /** From now on. */
  behaves(trouble: 'none' | 'fails' | 'hangs'): void {
    this.#trouble = trouble
  }

  /** Another node has written this. */
  knows(socketId: string, channels: [string, string | null][], isLive = true): void {
    const members = channels.map(([name, id]) => [name, id === null ? null : { id, info: {} }] as const)
    this.records.set(socketId, { channels: new Map(members), isLive })
  }

  write(socketId: string, channels: GrantedChannels): Promise<void> {
    return this.#told(`write ${socketId} ${[...channels.keys()].join(',')}`)
  }

  forget(socketId: string): Promise<void> {
    this.records.delete(socketId)
    return this.#told(`forget ${socketId}`)
  }

  release(socketId: string, keepMs: number): Promise<void> {
    return this.#told(`release ${socketId} ${keepMs}`)
  }

  revoke(revocation: Revocation, keepMs: number, id: string | null): Promise<void> {
    return this.#told(`revoke ${JSON.stringify(revocation)} ${keepMs}${id === null ? '' : ` ${id}`}`)
  }

  async find(socketId: string): Promise<GrantRecord[]> {
    this.questions += 1
    await this.#done()
    const record = this.records.get(socketId)
    return record === undefined ? [] : [record]
  }

  async revocations(): Promise<PastRevocation[]> {
    await this.#done()
    return this.past
  }

  #told(line: string): Promise<void> {
    this.diary.push(line)
    return this.#done()
  }

  async #done(): Promise<void> {
    if (this.#trouble === 'fails') throw new Error('The store is away.')
    if (this.#trouble === 'hangs') await new Promise(() => {})
  }
}
