import type { Broker, Publication } from '../../src/broker/broker.ts'
import { MemoryBroker } from '../../src/broker/memory.ts'
import { GatewayError } from '../../src/errors.ts'

/** A memory broker that becomes ready when the test says, and takes messages only while the test lets it. */
export class StuckBroker extends MemoryBroker implements Broker {
  isRefusing = false
  /** Resolves when the gateway has begun to wait for its broker: from then on it listens. */
  readonly awaited: Promise<void>
  /** Lets the broker become ready. */
  release: () => void = () => {}
  #tellAwaited: () => void = () => {}
  readonly #released: Promise<void>

  constructor() {
    super()
    this.awaited = new Promise((resolve) => {
      this.#tellAwaited = resolve
    })
    this.#released = new Promise((resolve) => {
      this.release = resolve
    })
  }

  override async start(listener: Parameters<Broker['start']>[0]): Promise<void> {
    this.#tellAwaited()
    await this.#released
    await super.start(listener)
  }

  override async publishAll(publications: readonly Publication[]): Promise<void> {
    if (this.isRefusing) throw new GatewayError('broker_unavailable')
    await super.publishAll(publications)
  }
}
