import type { SseFrame } from './sse-client.ts'

/** A broadcast that shows how far a stream has been told. */
export const FENCE = 'Fence'

type List = { readonly me: string; readonly members: Set<string> }

/** The presence channels as one stream tells of them. What no page may ever be told is kept as a breach. */
export class RoomView {
  readonly breaches: string[] = []
  /** Channel → the newest fence that was seen there. */
  readonly fences = new Map<string, number>()
  readonly #lists = new Map<string, List>()
  readonly #leavings = new Map<string, number>()
  readonly #story: string[] = []

  /** Who is on the channel; null while the stream does not have it. */
  members(channel: string): string[] | null {
    const list = this.#lists.get(channel)
    return list === undefined ? null : [...list.members].sort()
  }

  get channels(): string[] {
    return [...this.#lists.keys()].sort()
  }

  /** How often somebody was shown leaving. */
  leavings(): ReadonlyMap<string, number> {
    return this.#leavings
  }

  take(frame: SseFrame): void {
    const { event, data } = frame
    if (event === 'subscribed') this.#subscribed(data.channel, data.me, data.members)
    else if (event === 'joining') this.#joining(data.channel, data.member.id)
    else if (event === 'leaving') this.#leaving(data.channel, data.member.id)
    else if (event === 'revoked') this.#revoked(data.channel)
    else if (event === 'denied') this.#breach(`denied ${frame.text}`)
    else if (event === 'message') this.fences.set(data.channel, data.data)
  }

  describe(): string {
    const lists = [...this.#lists].map(([channel, { me, members }]) => `${channel} as ${me}: ${[...members].sort()}`)
    return `${lists.join('; ')} after ${this.#story.slice(-12).join(' ')}`
  }

  #subscribed(channel: string, me: string, members: { id: string }[]): void {
    this.#story.push(`=${channel}:${members.map(({ id }) => id)}`)
    if (this.#lists.has(channel)) this.#breach(`${channel} came twice`)
    const ids = new Set(members.map(({ id }) => id))
    if (ids.size !== members.length) this.#breach(`somebody is listed twice on ${channel}`)
    if (!ids.has(me)) this.#breach(`${me} is not on its own list of ${channel}`)
    this.#lists.set(channel, { me, members: ids })
  }

  #joining(channel: string, id: string): void {
    this.#story.push(`+${channel}:${id}`)
    const list = this.#lists.get(channel)
    if (list === undefined) this.#breach(`${id} joins ${channel}, which the stream does not have`)
    else if (list.members.has(id)) this.#breach(`${id} joins ${channel} and is there already`)
    if (list?.me === id) this.#breach(`${id} is shown itself joining ${channel}`)
    list?.members.add(id)
  }

  #leaving(channel: string, id: string): void {
    this.#story.push(`-${channel}:${id}`)
    const list = this.#lists.get(channel)
    if (list === undefined) this.#breach(`${id} leaves ${channel}, which the stream does not have`)
    else if (!list.members.delete(id)) this.#breach(`${id} leaves ${channel} and was not there`)
    if (list?.me === id) this.#breach(`${id} is shown itself leaving ${channel}`)
    const key = `${channel} ${id}`
    this.#leavings.set(key, (this.#leavings.get(key) ?? 0) + 1)
  }

  #revoked(channel: string): void {
    this.#story.push(`!${channel}`)
    if (!this.#lists.delete(channel)) this.#breach(`${channel} is revoked, which the stream does not have`)
  }

  #breach(what: string): void {
    this.breaches.push(what)
  }
}
