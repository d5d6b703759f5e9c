import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Denial, Grant } from '../../src/auth/authorizer.ts'
import { kindOf } from '../../src/channels/channel.ts'
import type { History, HistoryOptions } from '../../src/history/history.ts'
import type { Position } from '../../src/history/position.ts'
import { Hub } from '../../src/hub/hub.ts'
import { startId, startStream } from '../../src/hub/start.ts'
import { type EndReason, Subscriber } from '../../src/hub/subscriber.ts'
import { at, historyOf, laravel } from './history.ts'
import { RecordingOutlet } from './recording-outlet.ts'
import type { ReadFrame } from './sse.ts'

export const GRANT: Grant = { allowed: true }
export const DENIAL: Denial = { allowed: false, status: 403, code: 'forbidden', message: 'No.', retry: false }

export type OpenOptions = {
  lastEventId?: string | null
  fresh?: readonly string[]
  /** Public channels that wait for their last event. */
  recalled?: readonly string[]
  socketId?: string
  backlogBytes?: number
  heartbeatMs?: number
}

/** A page as the hub sees it, with everything that was written to it. */
export type Page = {
  readonly subscriber: Subscriber
  readonly outlet: RecordingOutlet
  /** The id that `connected` would carry. */
  readonly connectedId: string | null
  readonly ended: EndReason[]
}

/** Log, hub and pages without broker, Laravel and HTTP: a test plays those. Markers of epoch 1 begin at 1. */
export class Stage {
  readonly history: History
  readonly hub: Hub
  #position: Position = at('1.1.0')

  constructor(options: Partial<HistoryOptions> = {}) {
    this.history = historyOf(options)
    this.hub = new Hub(this.history)
    this.hole('restart')
  }

  /** A broadcast is heard. Its data is its position unless given. */
  publish(channel: string, { data, socket = null }: { data?: unknown; socket?: string | null } = {}): string {
    this.#position = { ...this.#position, count: this.#position.count + 1 }
    const { epoch, marker, count } = this.#position
    const id = `${epoch}.${marker}.${count}`
    this.hub.deliver(this.history.append(channel, laravel(data ?? id, socket), this.#position, true))
    return id
  }

  /** A message that was heard before the first marker of a connection. */
  publishUnplaced(channel: string, data: unknown): void {
    this.hub.deliver(this.history.append(channel, laravel(data), this.#position, false))
  }

  /** The next marker is heard, as it should. */
  marker(): string {
    this.#position = { ...this.#position, marker: this.#position.marker + 1, count: 0 }
    this.history.advance(this.#position)
    this.hub.headMoved()
    return `${this.#position.epoch}.${this.#position.marker}.0`
  }

  /** The next marker is heard, after something was missed. */
  hole(reason: 'restart' | 'relay-lost' = 'relay-lost'): string {
    const { epoch, marker } = this.#position
    this.#position = { epoch, marker: marker + 1, count: 0 }
    this.history.addHole(this.#position, reason)
    this.hub.holeFound()
    return `${epoch}.${marker + 1}.0`
  }

  /** The end of this turn of the event loop: what was published is handed out. */
  async flush(): Promise<void> {
    await nextTurn()
  }

  /** A request arrives: public channels are granted, others wait for `grant` or `deny`. */
  open(names: readonly string[], options: OpenOptions = {}): Page {
    const page = this.prepare(names, options)
    this.hub.add(page.subscriber)
    page.subscriber.begin()
    return page
  }

  /** The same without its beginning. */
  prepare(names: readonly string[], options: OpenOptions = {}): Page {
    const fresh = new Set(options.fresh ?? [])
    const channels = names.map((name) => ({ name, kind: kindOf(name) }))
    const open = channels.filter(({ name, kind }) => kind === 'public' && !fresh.has(name))
    const start = startStream(
      this.history,
      options.lastEventId ?? null,
      open.map(({ name }) => name),
    )
    const recalled = new Set(options.recalled ?? [])
    const outlet = new RecordingOutlet()
    const ended: EndReason[] = []
    const subscriber = new Subscriber({
      history: this.history,
      outlet,
      socketId: options.socketId ?? '1.1',
      start,
      channels,
      fresh,
      recalled,
      heartbeatMs: options.heartbeatMs ?? 15_000,
      backlogBytes: options.backlogBytes ?? 1024 * 1024,
      hooks: {
        onGranted: (self, channel) => this.hub.join(self, channel),
        onEnded: (self, reason) => {
          this.hub.remove(self)
          ended.push(reason)
        },
        onGap: () => {},
        settle: (self) => this.hub.settle(self),
        onRevoked: (self, channel) => this.hub.leave(self, channel),
      },
    })
    const isUndecided = recalled.size > 0 || channels.some(({ kind }) => kind !== 'public')
    return { subscriber, outlet, connectedId: startId(start, isUndecided), ended }
  }
}

/** The broadcasts among the frames, as `[id, data]`. */
export function broadcastsOf(frames: readonly ReadFrame[]): [string | undefined, unknown][] {
  return frames.filter(({ event }) => event === undefined).map(({ id, data }) => [id, JSON.parse(data).data])
}

/** The frames of one name, their JSON read. */
export function framesNamed(frames: readonly ReadFrame[], name: string): { id: string | undefined; data: unknown }[] {
  return frames.filter(({ event }) => event === name).map(({ id, data }) => ({ id, data: JSON.parse(data) }))
}
