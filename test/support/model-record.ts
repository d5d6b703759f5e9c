import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { presenceKeys } from '../../src/presence/redis-keys.ts'

export type ExpectedRecord = {
  /** Channel → user → on how many nodes. */
  readonly channels: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Nodes that are alive. */
  readonly nodes: number
}

const LOOK_EVERY_MS = 20

/** What Redis keeps of presence, as it is and as it should be. */
export class ModelRecord {
  readonly #redis: Redis
  readonly #prefix: string

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis
    this.#prefix = prefix
  }

  /** Nothing tells of the record but the record: it is looked at until it is right. */
  async untilTrue(expected: () => ExpectedRecord, deadlineMs: number): Promise<void> {
    for (;;) {
      const wrong = await this.#difference(expected())
      if (wrong === null) return
      if (Date.now() > deadlineMs) throw new Error(`Redis has another record: ${wrong}`)
      await sleep(LOOK_EVERY_MS)
    }
  }

  async #difference({ channels, nodes }: ExpectedRecord): Promise<string | null> {
    const found = await this.#read()
    const wanted: string[] = []
    for (const [channel, users] of channels) {
      for (const [user, count] of users)
        wanted.push(`${user} on ${channel} by ${count}, and all of them would be noticed`)
    }
    const [isText, shouldText] = [found.entries.sort().join('; '), wanted.sort().join('; ')]
    if (isText !== shouldText) return `${isText} instead of ${shouldText}`
    return found.nodes === nodes ? null : `${found.nodes} nodes instead of ${nodes}`
  }

  async #read(): Promise<{ entries: string[]; nodes: number }> {
    const keys = presenceKeys({ redisPrefix: this.#prefix, redisCluster: [] })
    const start = keys.presence('')
    const entries: string[] = []
    for (const key of await this.#redis.keys(`${start}*`)) {
      const channel = key.slice(start.length)
      for (const [field, value] of Object.entries(await this.#redis.hgetall(key))) {
        if (field === 'v') continue
        const nodes = value.slice(0, value.indexOf('\n')).split(' ')
        const guarded = await Promise.all(nodes.map((node) => this.#redis.hexists(keys.node(node), channel)))
        const isNoticed = guarded.every((is) => is === 1) ? 'and all of them would be noticed' : 'not all noticed'
        entries.push(`${JSON.parse(field)} on ${channel} by ${nodes.length}, ${isNoticed}`)
      }
    }
    return { entries, nodes: await this.#redis.zcard(keys.nodes) }
  }
}
