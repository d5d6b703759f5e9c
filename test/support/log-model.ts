import fc from 'fast-check'
import type { Entry } from '../../src/history/entry.ts'
import type { History } from '../../src/history/history.ts'
import { comparePositions, type Position } from '../../src/history/position.ts'
import { historyOf } from './history.ts'

export const CHANNELS = ['a', 'b', 'c', 'd']

/** What can happen to a log. */
export type LogStep =
  | { do: 'append'; channel: string; bytes: number }
  /** A message that is not kept, such as another application's: only its place is taken. */
  | { do: 'ignore' }
  | { do: 'marker' }
  | { do: 'hole'; isNewEpoch: boolean; unplaced: string[] }
  | { do: 'wait'; ms: number }

/** Something that was heard, as anybody would write it down who has room for all of it. */
export type Heard = { entry: Entry; channel: string; position: Position; isKept: boolean; isForgotten: boolean }
export type HoleHeard = { position: Position; seq: number }

const channel = fc.constantFrom(...CHANNELS)

export const logStep: fc.Arbitrary<LogStep> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('append' as const), channel, bytes: fc.nat(600) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ignore' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('marker' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('hole' as const),
      isNewEpoch: fc.boolean(),
      unplaced: fc.array(channel, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(12) }) },
)

const BOUNDS = { maxMessages: 3, maxChannelBytes: 2000, maxBytes: 4000, maxAgeMs: 20 }

/** A log with tiny bounds, and beside it the plainest account of what it should hold. */
export class LogModel {
  readonly history: History
  readonly heard: Heard[] = []
  readonly holes: HoleHeard[] = []
  /** Every place anybody may come back with. */
  readonly cursors: Position[] = []
  #position: Position = { epoch: 1, marker: 4, count: 0 }
  #nowMs = 0

  constructor() {
    this.history = historyOf({ ...BOUNDS, now: () => this.#nowMs })
    this.#hole(1, [])
  }

  apply(step: LogStep): void {
    if (step.do === 'append') this.#append(step.channel, step.bytes)
    else if (step.do === 'ignore') this.#advance({ ...this.#position, count: this.#position.count + 1 })
    else if (step.do === 'marker') this.#advance({ ...this.#position, marker: this.#position.marker + 1, count: 0 })
    else if (step.do === 'hole') this.#hole(this.#position.epoch + (step.isNewEpoch ? 1 : 0), step.unplaced)
    else this.#wait(step.ms)
  }

  /** What a stream on these channels that has seen everything up to the cursor still has to hear of. */
  after(cursor: Position, channels: readonly string[]): Heard[] {
    return this.heard.filter((one) => channels.includes(one.channel) && comparePositions(one.position, cursor) > 0)
  }

  holesAfter(cursor: Position): HoleHeard[] {
    return this.holes.filter(({ position }) => comparePositions(position, cursor) > 0)
  }

  #append(channel: string, bytes: number): void {
    this.#position = { ...this.#position, count: this.#position.count + 1 }
    this.#keep(channel, Buffer.alloc(bytes), true)
  }

  #keep(channel: string, payload: Buffer, hasId: boolean): void {
    const entry = this.history.append(channel, payload, this.#position, hasId)
    this.heard.push({ entry, channel, position: this.#position, isKept: true, isForgotten: false })
    this.cursors.push(this.#position)
    const own = () => this.kept().filter((one) => one.channel === channel)
    while (own().length > BOUNDS.maxMessages || bytesOf(own()) > BOUNDS.maxChannelBytes) this.#drop(own()[0])
    while (bytesOf(this.kept()) > BOUNDS.maxBytes) this.#drop(this.kept()[0])
  }

  #advance(position: Position): void {
    this.#position = position
    this.cursors.push(position)
    this.history.advance(position)
  }

  #hole(epoch: number, unplaced: readonly string[]): void {
    this.#position = { epoch, marker: epoch === this.#position.epoch ? this.#position.marker + 2 : 1, count: 0 }
    this.cursors.push(this.#position)
    const { seq } = this.history.addHole(this.#position, 'relay-lost')
    this.holes.push({ position: this.#position, seq })
    for (const channel of unplaced) this.#keep(channel, Buffer.alloc(10), false)
  }

  #wait(ms: number): void {
    this.#nowMs += ms
    this.history.sweep()
    for (const one of this.kept()) if (one.entry.receivedAtMs < this.#nowMs - BOUNDS.maxAgeMs) this.#drop(one)
  }

  kept(): Heard[] {
    return this.heard.filter((one) => one.isKept)
  }

  #drop(one: Heard | undefined): void {
    if (one === undefined) throw new Error('The model has nothing left to drop.')
    one.isKept = false
    one.isForgotten = !this.kept().some(({ channel }) => channel === one.channel)
  }
}

export function bytesOf(list: readonly Heard[]): number {
  return list.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)
}
