import type { ListedMember } from '../../src/presence/member.ts'
import { type PresenceSnapshot, type PresenceUpdate, printChange } from '../../src/presence/store.ts'

type Entry = { json: string; readonly nodes: Set<string> }
type RoomRecord = { version: number; readonly entries: Map<string, Entry> }

/** How often somebody was nowhere any more, and since when his record has been lost without that. */
type Absence = { times: number; lostAtMs: number | null }

/** What Redis keeps of presence and how it changes, step by step as the scripts of redis-scripts.ts do it. */
export class SimulatedRecord {
  /** Where changes are published, in their order. */
  readonly hearers = new Set<(payload: string) => void>()
  readonly #graceMs: number
  readonly #rooms = new Map<string, RoomRecord>()
  readonly #leases = new Map<string, 'alive' | 'dead'>()
  /** Incarnation → the channels that its heirs have to look through. */
  readonly #channels = new Map<string, Set<string>>()
  readonly #absences = new Map<string, Absence>()
  #nodes = 0
  #clock = 0

  constructor({ graceMs }: { graceMs: number }) {
    this.#graceMs = graceMs
  }

  enrol(): string {
    this.#nodes += 1
    const name = `node${this.#nodes}`
    this.#leases.set(name, 'alive')
    return name
  }

  isAlive(node: string): boolean {
    return this.#leases.get(node) === 'alive'
  }

  /** False when the node was taken for dead. */
  update(node: string, { channel, joined, left, isLast }: PresenceUpdate): boolean {
    if (!this.isAlive(node)) return false
    const room = this.#rooms.get(channel) ?? { version: 0, entries: new Map() }
    this.#rooms.set(channel, room)
    const came = joined.filter((member) => this.#put(room, channel, node, member))
    const gone = left.filter((id) => this.#take(room, channel, node, id))
    const channels = this.#channels.get(node) ?? new Set()
    if (isLast) channels.delete(channel)
    else channels.add(channel)
    this.#channels.set(node, channels)
    this.#tell(channel, room, came, gone)
    return true
  }

  read(node: string, channel: string): PresenceSnapshot {
    const { version = 0, entries = new Map<string, Entry>() } = this.#rooms.get(channel) ?? {}
    const own = [...entries].filter(([, { nodes }]) => nodes.has(node)).map(([id]) => id)
    return { version, members: [...entries].map(([id, { json }]) => ({ id, json })), own: new Set(own) }
  }

  /** Its lease has run out, as far as its peers can see. */
  kill(node: string): void {
    if (this.#leases.has(node)) this.#leases.set(node, 'dead')
  }

  /** A node says what an earlier name of its own has left behind. */
  bury(former: string, channels: ReadonlySet<string>): void {
    if (!this.#leases.has(former)) this.#leases.set(former, 'dead')
    const known = this.#channels.get(former) ?? new Set()
    for (const channel of channels) known.add(channel)
    this.#channels.set(former, known)
  }

  /** One channel of one dead node is done. False when there is nothing left to do. */
  reapOne(): boolean {
    for (const [node, state] of this.#leases) {
      if (state === 'alive') continue
      const [channel] = this.#channels.get(node) ?? []
      if (channel === undefined) this.#leases.delete(node)
      else this.#reap(node, channel)
      return true
    }
    return false
  }

  flush(): void {
    for (const [channel, { entries }] of this.#rooms) {
      for (const id of entries.keys()) this.#absence(channel, id).lostAtMs = Date.now()
    }
    this.#rooms.clear()
    this.#leases.clear()
    this.#channels.clear()
  }

  /** How often somebody may have been shown to leave by now. */
  departures(channel: string, id: string): number {
    const { times, lostAtMs } = this.#absence(channel, id)
    return times + (lostAtMs !== null && Date.now() - lostAtMs >= this.#graceMs ? 1 : 0)
  }

  has(channel: string, id: string): boolean {
    return this.#rooms.get(channel)?.entries.has(id) === true
  }

  members(channel: string): ListedMember[] {
    return [...(this.#rooms.get(channel)?.entries ?? [])].map(([id, { json }]) => ({ id, json }))
  }

  /** What nobody would ever look through, should that node die. */
  unguarded(): string[] {
    const found: string[] = []
    for (const [channel, { entries }] of this.#rooms) {
      for (const [id, { nodes }] of entries) {
        for (const node of nodes) {
          if (!this.isAlive(node) || !this.#channels.get(node)?.has(channel))
            found.push(`${id} on ${channel} of ${node}`)
        }
      }
    }
    return found
  }

  #put(room: RoomRecord, channel: string, node: string, { id, json }: ListedMember): boolean {
    const entry = room.entries.get(id)
    if (entry === undefined) this.#isBack(channel, id)
    room.entries.set(id, { json, nodes: new Set([...(entry?.nodes ?? []), node]) })
    return entry?.json !== json
  }

  #take(room: RoomRecord, channel: string, node: string, id: string): boolean {
    const entry = room.entries.get(id)
    if (entry === undefined || !entry.nodes.delete(node) || entry.nodes.size > 0) return false
    room.entries.delete(id)
    this.#absence(channel, id).times += 1
    return true
  }

  #reap(node: string, channel: string): void {
    this.#channels.get(node)?.delete(channel)
    const room = this.#rooms.get(channel)
    if (room === undefined) return
    const gone = [...room.entries.keys()].filter((id) => this.#take(room, channel, node, id))
    this.#tell(channel, room, [], gone)
  }

  #tell(channel: string, room: RoomRecord, joined: ListedMember[], left: string[]): void {
    if (joined.length + left.length > 0) {
      this.#clock += 1000
      room.version = room.version === 0 ? this.#clock : room.version + 1
      const change = printChange({ channel, version: room.version, joined, left })
      for (const hear of this.hearers) hear(change)
    }
    if (room.entries.size === 0) this.#rooms.delete(channel)
  }

  #absence(channel: string, id: string): Absence {
    const key = `${channel} ${id}`
    const absence = this.#absences.get(key) ?? { times: 0, lostAtMs: null }
    this.#absences.set(key, absence)
    return absence
  }

  #isBack(channel: string, id: string): void {
    const absence = this.#absence(channel, id)
    absence.times = this.departures(channel, id)
    absence.lostAtMs = null
  }
}
