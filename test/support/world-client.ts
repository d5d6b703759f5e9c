import { expect } from 'vitest'
import {
  comparePositions,
  formatPosition,
  type Position,
  parseCursor,
  parsePosition,
} from '../../src/history/position.ts'
import type { ReadFrame } from './sse.ts'
import { DENIAL, GRANT } from './stage.ts'
import { type Connection, connect, type GatewayNode, type Published } from './world.ts'

type Got = { readonly channel: string; readonly text: string; readonly order: number; readonly hasId: boolean }
type Told = { readonly channels: string[] | null; readonly position: Position; readonly order: number }
/** Everything after `must` is owed to the client; nothing up to `may` is. */
type Owed = { readonly must: Position; readonly may: Position }

/** A page that comes and goes. It keeps account of what it saw over all its connections. */
export class WorldClient {
  readonly gaps: Told[] = []
  connection: Connection | null = null
  node: GatewayNode | null = null
  readonly #socketId: string
  readonly #refused: readonly string[]
  readonly #owed = new Map<string, Owed>()
  readonly #got: Got[] = []
  /** The newest position seen of each channel: what is not newer has been seen. */
  readonly #newest = new Map<string, Position>()
  /** Seen while another channel was undecided: the next stream goes on from before it. */
  readonly #mayRepeat = new Set<string>()
  #names: string[]
  #fresh: string[] = []
  #cursor: string | null = null
  #order = 0
  #lastPlain: Position | null = null
  #lastPosition: Position | null = null
  #isStuck = false

  constructor(socketId: string, names: readonly string[], refused: readonly string[] = []) {
    this.#socketId = socketId
    this.#names = [...names]
    this.#refused = refused
  }

  /** Comes to this gateway with the newest id it has; an earlier stream is over. */
  connect(node: GatewayNode, { isStuck = false } = {}): void {
    this.drop(1)
    const wanted = {
      names: this.#names,
      fresh: this.#fresh,
      lastEventId: this.#cursor,
      socketId: this.#socketId,
      isStuck,
    }
    this.connection = connect(node, wanted)
    if (this.connection === null) return
    this.node = node
    this.#isStuck = isStuck
    this.#begin(this.connection)
    this.#fresh = []
    this.read()
  }

  /** The stream breaks off; of what was on the way only a part arrives. */
  drop(part: number): void {
    const { connection } = this
    if (connection === null) return
    const frames = connection.outlet.news()
    const arrived = this.#isStuck ? Math.floor(frames.length * part) : frames.length
    for (const frame of frames.slice(0, arrived)) this.#see(frame)
    this.connection = null
    connection.outlet.isOpen = false
    connection.subscriber.close('client')
  }

  /** Listens to one more channel, from now on, in a new stream. */
  join(name: string, node: GatewayNode): void {
    if (this.#names.includes(name)) return
    this.#names.push(name)
    this.#fresh.push(name)
    this.connect(node)
  }

  /** Laravel's answer is there. */
  decide(name: string): void {
    if (this.#refused.includes(name)) this.connection?.subscriber.deny(name, DENIAL)
    else this.connection?.subscriber.grant(name, GRANT)
    this.read()
  }

  decideAll(): void {
    for (const name of this.#names) if (name.startsWith('private-')) this.decide(name)
  }

  /** Stops reading: what is written piles up. */
  stick(): void {
    if (this.connection === null) return
    this.#isStuck = true
    this.connection.outlet.isStuck = true
  }

  unstick(): void {
    if (this.connection === null) return
    this.#isStuck = false
    this.connection.outlet.isStuck = false
    this.connection.outlet.drain()
    this.read()
  }

  ping(): void {
    this.connection?.subscriber.ping(1)
    this.read()
  }

  read(): void {
    if (this.connection === null || this.#isStuck) return
    for (const frame of this.connection.outlet.news()) this.#see(frame)
    if (this.connection.subscriber.isEnded) this.connection = null
  }

  /** Every answer has come, so the stream has to be an ordinary one now. */
  expectPlain(): void {
    expect(this.connection?.subscriber).toMatchObject({ isPlain: true, isLive: true })
  }

  /** Nothing is missing unless a gap said so; nothing came twice, nothing came that was not meant for it. */
  check(published: readonly Published[]): void {
    for (const one of published) {
      const owed = this.#owed.get(one.channel)
      if (owed !== undefined) this.#checkOne(one, owed)
    }
  }

  #checkOne({ channel, position, socket }: Published, { must, may }: Owed): void {
    const text = formatPosition(position)
    const about = `${this.#socketId}: ${text} on ${channel}`
    const got = this.#got.filter((one) => one.channel === channel && one.text === text)
    const isForOthers = socket === this.#socketId || this.#refused.includes(channel)
    // What has no id belongs to the gap before it: it cannot be recognized when it comes again.
    const withId = got.filter(({ hasId }) => hasId)
    expect(withId.length, `${about} came twice`).toBeLessThanOrEqual(1)
    if (isForOthers) expect(got, `${about} is not for this page`).toEqual([])
    if (comparePositions(position, may) <= 0) expect(withId, `${about} is older than the stream`).toEqual([])
    if (isForOthers || got.length > 0 || comparePositions(position, must) <= 0) return
    const next = this.#got.find((one) => one.channel === channel && one.hasId && isAfter(one.text, position))
    const gap = this.gaps.find(
      (told) => told.channels?.includes(channel) !== false && comparePositions(told.position, position) >= 0,
    )
    if (gap === undefined) throw new Error(`${about} is missing, and no gap says so`)
    if (next !== undefined && gap.order > next.order) throw new Error(`${about} is missing, and the gap came late`)
  }

  #begin({ connectedId, head }: Connection): void {
    this.#lastPlain = null
    const start = connectedId === null ? head : (parseCursor(connectedId) as Position)
    const [earlier, later] = comparePositions(start, head) < 0 ? [start, head] : [head, start]
    for (const name of this.#names) {
      const must = this.#fresh.includes(name) ? later : start
      if (!this.#owed.has(name)) this.#owed.set(name, { must, may: earlier })
    }
    this.#lastPosition = start
    if (connectedId !== null) this.#seeId(connectedId)
    else this.#startOver(start)
  }

  // This gateway has not heard of the order our cursor is of: it tells a gap and goes on from where it stands, which may
  // be before what we have seen elsewhere.
  #startOver(head: Position): void {
    for (const { text } of this.#got) this.#mayRepeat.add(text)
    for (const [name, { must, may }] of this.#owed) {
      this.#owed.set(name, { must, may: comparePositions(head, may) < 0 ? head : may })
    }
  }

  #see(frame: ReadFrame): void {
    this.#order += 1
    if (frame.id !== undefined) this.#seeId(frame.id)
    if (frame.event === 'gap') this.#seeGap(frame)
    else if (frame.event === undefined) this.#seeBroadcast(frame)
  }

  #seeId(id: string): void {
    this.#cursor = id
    this.#lastPosition = placeOf(id)
    if (id.includes('~')) return
    if (this.#lastPlain !== null) expect(comparePositions(placeOf(id), this.#lastPlain)).toBeGreaterThan(0)
    this.#lastPlain = placeOf(id)
  }

  #seeGap({ data }: ReadFrame): void {
    const { channels } = JSON.parse(data) as { channels: string[] | null }
    this.gaps.push({ channels, position: this.#lastPosition as Position, order: this.#order })
  }

  #seeBroadcast({ id, data }: ReadFrame): void {
    const { channel, data: text } = JSON.parse(data) as { channel: string; data: string }
    const newest = this.#newest.get(channel)
    if (id !== undefined) {
      expect(formatPosition(placeOf(id)), 'a message has another place at this gateway').toBe(text)
      if (newest !== undefined && !isAfter(text, newest)) {
        const isRepeated = this.#got.some((one) => one.channel === channel && one.text === text && one.hasId)
        if (isRepeated) expect(this.#mayRepeat, `${this.#socketId}: ${text} on ${channel} came again`).toContain(text)
        return
      }
      if (id.includes('~')) this.#mayRepeat.add(text)
      this.#newest.set(channel, placeOf(id))
    }
    this.#got.push({ channel, text, order: this.#order, hasId: id !== undefined })
  }
}

/** What a client compares: the part after the tilde. */
function placeOf(id: string): Position {
  return parsePosition(id.split('~').at(-1) as string) as Position
}

function isAfter(text: string, position: Position): boolean {
  return comparePositions(placeOf(text), position) > 0
}
