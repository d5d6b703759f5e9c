import { randomBytes } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import type { Broker, BrokerListener } from './broker.ts'

/** The embedded broker: what is published here is heard here, and nowhere else. */
export class MemoryBroker implements Broker {
  readonly kind = 'memory'
  readonly #epoch: number
  readonly #secret = randomBytes(32).toString('base64url')
  #count = 0
  #listener: BrokerListener | null = null

  constructor({ now = Date.now }: { now?: () => number } = {}) {
    // Microseconds, as the clock on Redis counts: a later start is a greater epoch, so ids only grow.
    this.#epoch = now() * 1000 + (randomBytes(2).readUInt16BE() % 1000)
  }

  async start(listener: BrokerListener): Promise<void> {
    this.#listener = listener
    listener.onHole({ epoch: this.#epoch, marker: 0, count: 0 }, 'restart')
  }

  async publish(channels: readonly string[], payload: string): Promise<void> {
    if (this.#listener === null) throw new GatewayError('broker_unavailable')
    const bytes = Buffer.from(payload)
    for (const channel of channels) {
      this.#count += 1
      const position = { epoch: this.#epoch, marker: 0, count: this.#count }
      this.#listener.onMessage({ channel, payload: bytes, position, hasId: true })
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
