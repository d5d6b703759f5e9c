import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { Clock } from '../../src/broker/clock.ts'
import { kindOf } from '../../src/channels/channel.ts'
import type { History, HistoryOptions } from '../../src/history/history.ts'
import { formatPosition, type Position } from '../../src/history/position.ts'
import { Hub } from '../../src/hub/hub.ts'
import { startId, startStream } from '../../src/hub/start.ts'
import { Subscriber } from '../../src/hub/subscriber.ts'
import { Relay } from '../../src/relay/relay.ts'
import { historyOf, laravel } from './history.ts'
import { RecordingOutlet } from './recording-outlet.ts'

/** A message in the order that Redis gave it. Its data is its position. */
export type Published = { readonly channel: string; readonly position: Position; readonly socket: string | null }

type Heard = { marker: { epoch: number; number: number; heard: Clock['heard'] } } | { channel: string; payload: Buffer }

/** One gateway: what has reached it through its relay connection, and what is still on the way. */
export class GatewayNode {
  readonly history: History
  readonly hub: Hub
  readonly clock: Clock
  isConnected = true
  /** How often it had to say that messages may be missing. */
  holes = 0
  #inbox: Heard[] = []

  constructor(bounds: Partial<HistoryOptions>) {
    this.history = historyOf(bounds)
    this.hub = new Hub(this.history)
    const relay = new Relay({
      history: this.history,
      hub: this.hub,
      rules: { maxNameBytes: 200, prefix: '' },
      logger: pino({ level: 'silent' }),
      onHole: () => {
        this.holes += 1
      },
    })
    this.clock = new Clock(relay)
  }

  send(item: Heard): void {
    if (this.isConnected) this.#inbox.push(item)
  }

  hear(count: number): void {
    for (const item of this.#inbox.splice(0, count)) {
      if ('marker' in item) this.clock.marker(item.marker)
      else this.clock.message(item.channel, item.payload)
    }
  }

  cut(): void {
    this.isConnected = false
    this.#inbox = []
    this.clock.lost()
  }
}

export type Connection = {
  readonly subscriber: Subscriber
  readonly outlet: RecordingOutlet
  readonly connectedId: string | null
  /** Where this gateway stood when the request arrived. */
  readonly head: Position
}

/** One Redis and the gateways on it. */
export class World {
  readonly published: Published[] = []
  readonly nodes: GatewayNode[]
  readonly #bounds: Partial<HistoryOptions>
  #position: Position = { epoch: 1, marker: 0, count: 0 }

  constructor(nodeCount: number, bounds: Partial<HistoryOptions>) {
    this.#bounds = bounds
    this.nodes = Array.from({ length: nodeCount }, () => new GatewayNode(bounds))
    this.marker(0)
  }

  node(index: number): GatewayNode {
    return this.nodes[index % this.nodes.length] as GatewayNode
  }

  publish(channel: string, socket: string | null): void {
    this.#position = { ...this.#position, count: this.#position.count + 1 }
    this.published.push({ channel, position: this.#position, socket })
    this.#send({ channel, payload: laravel(formatPosition(this.#position), socket) })
  }

  /** One of the gateways marks the order. */
  marker(sender: number): void {
    this.#position = { ...this.#position, marker: this.#position.marker + 1, count: 0 }
    const { epoch, marker } = this.#position
    this.#send({ marker: { epoch, number: marker, heard: this.node(sender).clock.heard } })
  }

  /** Redis is another one now: everybody is cut off, and the order begins anew. */
  failOver(): void {
    for (const node of this.nodes) node.cut()
    for (const node of this.nodes) node.isConnected = true
    this.#position = { epoch: this.#position.epoch + 1, marker: 0, count: 0 }
  }

  reconnect(index: number): void {
    this.node(index).isConnected = true
  }

  /** Another process takes the place of a gateway; its streams break off. */
  replace(index: number): GatewayNode {
    const node = new GatewayNode(this.#bounds)
    this.nodes[index % this.nodes.length] = node
    return node
  }

  hearAll(): void {
    for (const node of this.nodes) node.hear(Number.POSITIVE_INFINITY)
  }

  /** The end of the turn on every gateway. */
  flush(): Promise<void> {
    return nextTurn()
  }

  #send(item: Heard): void {
    for (const node of this.nodes) node.send(item)
  }
}

export type ConnectOptions = {
  readonly names: readonly string[]
  readonly fresh: readonly string[]
  readonly lastEventId: string | null
  readonly socketId: string
  /** Nothing is taken from the first byte on. */
  readonly isStuck: boolean
}

/** Opens a stream at a gateway as its HTTP side does; null while that has not heard its first marker. */
export function connect({ history, hub }: GatewayNode, options: ConnectOptions): Connection | null {
  if (history.head === null) return null
  const fresh = new Set(options.fresh)
  const channels = options.names.map((name) => ({ name, kind: kindOf(name) }))
  const open = channels.filter(({ name, kind }) => kind === 'public' && !fresh.has(name)).map(({ name }) => name)
  const start = startStream(history, options.lastEventId, open)
  const head = history.head.position
  const outlet = new RecordingOutlet({ weight: 200 })
  outlet.isStuck = options.isStuck
  const subscriber = new Subscriber({
    history,
    outlet,
    socketId: options.socketId,
    start,
    channels,
    fresh,
    heartbeatMs: 15_000,
    backlogBytes: 100_000,
    hooks: {
      onGranted: (self, channel) => hub.join(self, channel),
      onEnded: (self) => hub.remove(self),
      onGap: () => {},
      settle: (self) => hub.settle(self),
      onRevoked: (self, channel) => hub.leave(self, channel),
    },
  })
  hub.add(subscriber)
  subscriber.begin()
  const isUndecided = channels.some(({ kind }) => kind !== 'public')
  return { subscriber, outlet, head, connectedId: startId(start, isUndecided) }
}
