import type { Position } from '../history/position.ts'
import type { BrokerListener } from './broker.ts'

/** A numbered mark that a gateway put into Redis's order. */
export type Marker = {
  readonly epoch: number
  readonly number: number
  /** What its sender heard in the interval that began at marker `interval`; null when it had not heard one whole. */
  readonly heard: { readonly interval: number; readonly count: number } | null
}

type Unplaced = { readonly channel: string; readonly payload: Buffer }

const MARKER = /^(\d{1,16}) (\d{1,16}) (?:(\d{1,16}) (\d{1,16})|-)$/
// Messages that wait for the first marker of a connection; the hole tells of them anyway when they grow too many.
const MAX_UNPLACED_BYTES = 16 * 1024 * 1024
const UNPLACED_OVERHEAD_BYTES = 100

/** Reads a marker's payload; null when it is none. Every node must judge alike, so only the text counts. */
export function parseMarker(text: string): Marker | null {
  const match = MARKER.exec(text)
  if (match === null) return null
  const [epoch, number, interval, count] = match.slice(1).map(Number) as [number, number, number, number]
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(number)) return null
  return { epoch, number, heard: match[3] === undefined ? null : { interval, count } }
}

/**
 * Turns the stream of messages and markers of one relay connection into positions and holes.
 * Pure: it is told what was heard and tells the listener what that means.
 */
export class Clock {
  readonly #listener: BrokerListener
  #position: Position | null = null
  /** True from a (re)subscription to its first marker. */
  #isWaiting = true
  #unplaced: Unplaced[] = []
  #unplacedBytes = 0
  /** The last interval heard from marker to marker. */
  #heard: Marker['heard'] = null
  /** True when this interval was heard from its marker on. */
  #isWhole = false

  constructor(listener: BrokerListener) {
    this.#listener = listener
  }

  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** What the next marker shall say about the last finished interval. */
  get heard(): Marker['heard'] {
    return this.#heard
  }

  /** The relay connection was closed: whatever was published meanwhile is missing. */
  lost(): void {
    this.#isWaiting = true
    this.#isWhole = false
    this.#heard = null
  }

  message(channel: string, payload: Buffer): void {
    if (this.#isWaiting || this.#position === null) {
      this.#keepUnplaced({ channel, payload })
      return
    }
    const { epoch, marker, count } = this.#position
    const position = { epoch, marker, count: count + 1 }
    this.#position = position
    this.#listener.onMessage({ channel, payload, position, hasId: true })
  }

  marker(marker: Marker): void {
    const before = this.#position
    if (before === null || this.#isWaiting) {
      this.#resume(marker, before)
    } else if (marker.epoch !== before.epoch) {
      this.#hole(marker, 'restart')
    } else if (marker.number === before.marker + 1) {
      this.#tick(marker, before)
    } else if (marker.number > before.marker) {
      this.#hole(marker, 'relay-lost')
    }
    // A number that was heard before says nothing; positions never go back within an epoch.
  }

  #resume(marker: Marker, before: Position | null): void {
    this.#isWaiting = false
    this.#hole(marker, before === null || marker.epoch !== before.epoch ? 'restart' : 'relay-lost')
    const unplaced = this.#unplaced
    this.#unplaced = []
    this.#unplacedBytes = 0
    const position = positionOf(marker)
    for (const { channel, payload } of unplaced) {
      this.#listener.onMessage({ channel, payload, position, hasId: false })
    }
  }

  #tick(marker: Marker, before: Position): void {
    const own = this.#isWhole ? { interval: before.marker, count: before.count } : null
    const theirs = marker.heard
    const known = this.#heard
    // Two nodes that counted differently cannot agree on positions: one of them has missed something.
    const disagrees =
      theirs !== null && known !== null && theirs.interval === known.interval && theirs.count !== known.count
    this.#heard = own
    this.#isWhole = true
    this.#position = positionOf(marker)
    if (disagrees) this.#listener.onHole(this.#position, 'relay-lost')
    else this.#listener.onAdvance(this.#position)
  }

  #hole(marker: Marker, reason: 'restart' | 'relay-lost'): void {
    this.#heard = null
    this.#isWhole = true
    this.#position = positionOf(marker)
    this.#listener.onHole(this.#position, reason)
  }

  #keepUnplaced(message: Unplaced): void {
    this.#unplacedBytes += message.payload.length + UNPLACED_OVERHEAD_BYTES
    if (this.#unplacedBytes <= MAX_UNPLACED_BYTES) this.#unplaced.push(message)
  }
}

function positionOf(marker: Marker): Position {
  return { epoch: marker.epoch, marker: marker.number, count: 0 }
}
