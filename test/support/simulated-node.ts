import { expect } from 'vitest'
import { Presence } from '../../src/presence/presence.ts'
import type { Roster } from '../../src/presence/roster.ts'
import type { SimulatedRecord } from './simulated-record.ts'
import { SimulatedStore } from './simulated-store.ts'

export type SimulatedNodeOptions = {
  readonly record: SimulatedRecord
  readonly graceMs: number
  readonly patienceMs: number
}

/** One page of the node on one channel. */
type Visit = { readonly channel: string; readonly userId: string; isTold: boolean }

/** The presence of one gateway; what it tells its pages is held against what they have been told before. */
export class SimulatedNode {
  readonly store: SimulatedStore
  readonly #record: SimulatedRecord
  readonly #presence: Presence
  readonly #visits = new Map<string, Visit>()
  /** Channel → who is on it, as a page would have it that has listened from the beginning. */
  readonly #told = new Map<string, Set<string>>()
  readonly #shownLeaving = new Map<string, number>()
  /** Who was shown on this node's own word, before the record had heard of it. */
  readonly #shownEarly = new Map<string, number>()
  #inbox: string[] | null = []
  /** What was broken first. */
  breach: string | null = null

  constructor({ record, graceMs, patienceMs }: SimulatedNodeOptions) {
    this.#record = record
    this.store = new SimulatedStore(record)
    this.#presence = new Presence({
      store: this.store,
      maxListed: 1000,
      graceMs,
      patienceMs,
      onDifference: (channel, { joined, left }) => {
        for (const { id } of left) this.#seeLeaving(channel, id)
        for (const { id } of joined) this.#seeJoining(channel, id)
      },
      onError: () => {},
    })
    this.#presence.start()
    this.#record.hearers.add(this.#hear)
  }

  /** A page comes, or comes as somebody else, or says other things about the same user. */
  enter(socketId: string, channel: string, userId: string, info: number): void {
    const key = `${channel} ${socketId}`
    const before = this.#visits.get(key)
    const isTold = before?.userId === userId && before.isTold
    const visit = { channel, userId, isTold }
    this.#visits.set(key, visit)
    this.#presence.enter(channel, socketId, { id: userId, info }).then((roster) => {
      if (this.#visits.get(key) === visit) this.#subscribed(visit, roster)
    }, this.#broken)
  }

  leave(socketId: string, channel: string): void {
    this.#visits.delete(`${channel} ${socketId}`)
    this.#presence.leave(channel, socketId)
  }

  /** So many changes come through the relay connection. */
  hear(count: number): void {
    for (const payload of this.#inbox?.splice(0, count) ?? []) {
      if (!this.#presence.heard(Buffer.from(payload))) this.#broken(`not understood: ${payload}`)
    }
  }

  /** The relay connection breaks: what is published is not heard. */
  cut(): void {
    this.#inbox = null
  }

  /** It is back; that something may be missing is found out at once. */
  reconnect(): void {
    if (this.#inbox !== null) return
    this.#inbox = []
    this.#presence.refresh().catch(this.#broken)
  }

  /** The process is gone, and says nothing to anybody. */
  async crash(): Promise<void> {
    this.#record.hearers.delete(this.#hear)
    this.#visits.clear()
    await this.#presence.stop(0)
    this.store.lose()
  }

  /** Who is on the channel by way of this node. */
  users(channel: string): string[] {
    return [...this.#visits.values()].filter((visit) => visit.channel === channel).map(({ userId }) => userId)
  }

  get channels(): Set<string> {
    return new Set([...this.#visits.values()].map(({ channel }) => channel))
  }

  roster(channel: string): Roster | undefined {
    return this.#presence.roster(channel)
  }

  /** What a page of this node has, and what the node would tell one that came now. */
  lists(channel: string): { told: string[]; listed: unknown } {
    const told = [...(this.#told.get(channel) ?? [])].sort()
    return { told, listed: JSON.parse(this.roster(channel)?.list('').json ?? '[]') }
  }

  readonly #hear = (payload: string): void => void this.#inbox?.push(payload)

  readonly #broken = (reason: unknown): void => {
    this.breach ??= String(reason)
  }

  #seeJoining(channel: string, id: string): void {
    const told = this.#told.get(channel) ?? new Set()
    if (told.has(id)) this.#broken(`${id} joins ${channel} and is there already`)
    if (this.#isSubscribed(channel, id)) this.#broken(`${id} is shown joining ${channel} to itself`)
    this.#told.set(channel, told.add(id))
    if (!this.users(channel).includes(id) || this.#record.has(channel, id)) return
    const key = `${channel} ${id}`
    this.#shownEarly.set(key, (this.#shownEarly.get(key) ?? 0) + 1)
  }

  #seeLeaving(channel: string, id: string): void {
    const key = `${channel} ${id}`
    const times = (this.#shownLeaving.get(key) ?? 0) + 1
    this.#shownLeaving.set(key, times)
    if (this.#told.get(channel)?.delete(id) !== true) this.#broken(`${id} leaves ${channel} and was not there`)
    if (this.#isSubscribed(channel, id)) this.#broken(`${id} is shown leaving ${channel} to itself`)
    const may = this.#record.departures(channel, id) + (this.#shownEarly.get(key) ?? 0)
    if (times > may) this.#broken(`${id} is shown leaving ${channel} ${times} times and has left ${may} times`)
  }

  #subscribed(visit: Visit, roster: Roster): void {
    const { channel, userId } = visit
    if (!roster.has(userId)) this.#broken(`${userId} is on ${channel} and not on the list it gets`)
    if (roster !== this.roster(channel)) this.#broken(`${userId} gets a list of ${channel} that nobody follows`)
    visit.isTold = true
  }

  #isSubscribed(channel: string, id: string): boolean {
    return [...this.#visits.values()].some((visit) => visit.channel === channel && visit.userId === id && visit.isTold)
  }

  /** A room that nobody listens to is closed; whoever comes later begins anew. */
  forgetEmpty(): void {
    for (const channel of [...this.#told.keys()]) if (this.roster(channel) === undefined) this.#told.delete(channel)
    expect(this.breach).toBeNull()
  }
}
