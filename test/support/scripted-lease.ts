import type { CacheScripts } from '../../src/cache/redis-scripts.ts'
import { GatewayError } from '../../src/errors.ts'
import type { RedisLease } from '../../src/presence/redis-lease.ts'

type Stored = { position: string; payload: Buffer }

/** Redis as a cache sees it: a test says when it does what it was asked, in order, and when it answers. */
export class ScriptedLease {
  readonly stored = new Map<string, Stored>()
  /** How often it was asked to read and to write. */
  reads = 0
  writes = 0
  #asked: ((isAway: boolean) => void)[] = []

  get lease(): RedisLease {
    const commands = { defineCommand: () => {}, ...this.#commands() }
    return {
      ask: (command: (commands: CacheScripts) => Promise<unknown>) =>
        command(commands).catch((cause: unknown) => {
          throw new GatewayError('broker_unavailable', { cause })
        }),
    } as unknown as RedisLease
  }

  /** Does and answers the next of what it was asked. */
  async answer({ isAway = false } = {}): Promise<void> {
    this.#asked.shift()?.(isAway)
    for (let turns = 0; turns < 5; turns += 1) await Promise.resolve()
  }

  get waiting(): number {
    return this.#asked.length
  }

  #commands(): CacheScripts {
    return {
      sseWriteCache: (keys, ...args) => {
        this.writes += 1
        return this.#later(() => {
          for (let index = 0; index < keys; index += 1) {
            const [position, payload] = args.slice(keys + 1 + 2 * index) as [string, Buffer]
            this.stored.set(String(args[index]), { position, payload })
          }
          return keys
        })
      },
      sseReadCacheBuffer: (key) => {
        this.reads += 1
        return this.#later(() => {
          const found = this.stored.get(key)
          return found === undefined ? [null, null, -2] : [Buffer.from(found.position), found.payload, 5000]
        })
      },
    }
  }

  #later<T>(act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#asked.push((isAway) => (isAway ? reject(new Error('away')) : resolve(act())))
    })
  }
}
