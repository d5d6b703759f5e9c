import { randomBytes } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { type Broker, type BrokerListener, ONCE_FOR_MS, type Publication } from './broker.ts'

/** The embedded broker: what is published here is heard here, and nowhere else. */
export class MemoryBroker implements Broker {
  readonly kind = 'memory'
  readonly #epoch: number
  readonly #secret = randomBytes(32).toString('base64url')
  readonly #now: () => number
  /** Names of what was published once, and until when they count; the oldest first. */
  readonly #named = new Map<string, number>()
  #count = 0
  #listener: BrokerListener | null = null

  constructor({ now = Date.now }: { now?: () => number } = {}) {
    // Microseconds, as the clock on Redis counts: a later start is a greater epoch, so ids only grow.
    this.#now = now
    this.#epoch = now() * 1000 + (randomBytes(2).readUInt16BE() % 1000)
  }

  async start(listener: BrokerListener): Promise<void> {
    this.#listener = listener
    listener.onHole({ epoch: this.#epoch, marker: 0, count: 0 }, 'restart')
  }

  publish(channels: readonly string[], payload: string): Promise<void> {
    return this.publishAll([{ channels, payload }])
  }

  async publishAll(publications: readonly Publication[]): Promise<void> {
    const listener = this.#listener
    if (listener === null) throw new GatewayError('broker_unavailable')
    for (const publication of publications) if (this.#isNew(publication)) this.#publish(listener, publication)
  }

  #isNew({ once = null }: Publication): boolean {
    const now = this.#now()
    for (const [name, untilMs] of this.#named) {
      if (untilMs > now) break
      this.#named.delete(name)
    }
    if (once === null) return true
    if (this.#named.has(once)) return false
    this.#named.set(once, now + ONCE_FOR_MS)
    return true
  }

  #publish(listener: BrokerListener, { channels, payload }: Publication): void {
    const bytes = Buffer.from(payload)
    for (const channel of channels) {
      this.#count += 1
      const position = { epoch: this.#epoch, marker: 0, count: this.#count }
      listener.onMessage({ channel, payload: bytes, position, hasId: true })
    }
  }

  isReady(): boolean {
    return this.#listener !== null
  }

  async sharedSecret(): Promise<string> {
    return this.#secret
  }

  async stop(): Promise<void> {
    this.#listener = null
  }
}
