import { Alarm } from '../core/alarm.ts'
import type { Engine } from '../core/engine.ts'
import type { LinkState } from '../core/link.ts'
import type { TransportName } from '../transports/transport.ts'
import { Dispatcher } from './dispatcher.ts'

export type ConnectionState = 'initialized' | 'connecting' | 'connected' | 'unavailable' | 'failed' | 'disconnected'

/** From then on pusher-js calls it unavailable, and goes on trying. */
const UNAVAILABLE_MS = 10_000

/** The connection in the words of pusher-js, and some of our own. */
export class Connection extends Dispatcher {
  state: ConnectionState = 'initialized'
  /** In the words of Echo, which tell a first attempt from a later one. */
  status: LinkState = 'disconnected'
  /** Null before there is one. */
  transport: TransportName | null = null
  /** Why it is this transport. */
  reason = ''
  readonly #engine: Engine
  readonly #unavailable = new Alarm()

  /** @internal */
  constructor(engine: Engine) {
    super()
    this.#engine = engine
  }

  get socket_id(): string | undefined {
    return this.#engine.socketId ?? undefined
  }

  /** When the gateway was last heard, ms since 1970; 0 before. */
  get lastEventAt(): number {
    return this.#engine.lastEventAt
  }

  /** @internal */
  turn(status: LinkState): void {
    this.status = status
    this.#unavailable.clear()
    const isTrying = status === 'connecting' || status === 'reconnecting'
    if (isTrying) this.#unavailable.set(UNAVAILABLE_MS, () => this.#become('unavailable'))
    this.#become(isTrying ? 'connecting' : status)
    this.emit('status')
  }

  /** @internal */
  use(transport: TransportName, reason: string): void {
    this.transport = transport
    this.reason = reason
    this.emit('transport_change', { transport, reason })
  }

  #become(current: ConnectionState): void {
    const previous = this.state
    if (current === previous) return
    this.state = current
    this.emit('state_change', { previous, current })
    this.emit(current, current === 'connected' ? { socket_id: this.socket_id } : undefined)
  }
}
