import { addressGroup } from '../auth/address.ts'
import { GatewayError } from '../errors.ts'

export type AdmissionLimits = { readonly maxConnections: number; readonly maxConnectionsPerAddress: number }

/** Spread of the time after which a refused client may come back. */
const RETRY_MS = 2000
const RETRY_SPREAD_MS = 3000

/** Counts open streams and refuses the newcomer when there are too many; nobody is thrown out for another. */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #byAddress = new Map<string, number>()
  #total = 0
  #isDraining = false

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** From now on nobody is let in. */
  drain(): void {
    this.#isDraining = true
  }

  /** Lets a stream in and returns what to call when it has ended. Throws a GatewayError otherwise. */
  enter(address: string): () => void {
    if (this.#isDraining) throw new GatewayError('draining')
    if (this.#total >= this.#limits.maxConnections) throw new GatewayError('overloaded')
    const group = addressGroup(address)
    const count = this.#byAddress.get(group) ?? 0
    if (count >= this.#limits.maxConnectionsPerAddress) throw new GatewayError('too_many_connections')
    this.#total += 1
    this.#byAddress.set(group, count + 1)
    let hasLeft = false
    return () => {
      if (hasLeft) return
      hasLeft = true
      this.#leave(group)
    }
  }

  #leave(group: string): void {
    this.#total -= 1
    const count = (this.#byAddress.get(group) ?? 1) - 1
    if (count === 0) this.#byAddress.delete(group)
    else this.#byAddress.set(group, count)
  }
}

/** When a client may come back: each at a time of its own. */
export function retryAfterMs(): number {
  return RETRY_MS + Math.floor(Math.random() * RETRY_SPREAD_MS)
}
