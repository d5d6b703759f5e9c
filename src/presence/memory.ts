import type { ListedMember } from './member.ts'
import {
  PRESENCE_TRAFFIC,
  type PresenceChange,
  type PresenceHooks,
  type PresenceNews,
  type PresenceSnapshot,
  type PresenceStore,
  type PresenceUpdate,
  printChange,
} from './store.ts'

type Room = { version: number; readonly members: Map<string, ListedMember> }

export type MemoryPresenceOptions = {
  /** How a change reaches whoever listens to the broker. */
  readonly publish: (channel: string, payload: string) => Promise<void>
}

/** The presence of a service that is one process: nobody else has a word in it. */
export class MemoryPresenceStore implements PresenceStore {
  readonly #publish: MemoryPresenceOptions['publish']
  readonly #rooms = new Map<string, Room>()
  /** The newest version of any channel, so that a channel that begins anew begins above its own last one. */
  #version = 0
  #onNews: (news: PresenceNews) => void = () => {}

  constructor({ publish }: MemoryPresenceOptions) {
    this.#publish = publish
  }

  start({ onNews = () => {} }: PresenceHooks): void {
    this.#onNews = onNews
  }

  async update({ channel, joined, left }: PresenceUpdate): Promise<void> {
    const room = this.#rooms.get(channel) ?? { version: this.#version, members: new Map() }
    const arrived = joined.map(({ id }) => id).filter((id) => !room.members.has(id))
    const came = joined.filter(({ id, json }) => room.members.get(id)?.json !== json)
    for (const member of came) room.members.set(member.id, member)
    const gone = left.filter((id) => room.members.delete(id))
    if (room.members.size === 0) this.#rooms.delete(channel)
    else this.#rooms.set(channel, room)
    if (came.length === 0 && gone.length === 0) return
    room.version += 1
    this.#version = Math.max(this.#version, room.version)
    if (arrived.length + gone.length > 0) this.#onNews({ channel, joined: arrived, left: gone })
    const change: PresenceChange = { channel, version: room.version, joined: came, left: gone }
    await this.#publish(PRESENCE_TRAFFIC, printChange(change))
  }

  async read(channel: string): Promise<PresenceSnapshot> {
    const room = this.#rooms.get(channel)
    if (room === undefined) return { version: 0, members: [], own: new Set() }
    return { version: room.version, members: [...room.members.values()], own: new Set(room.members.keys()) }
  }

  async verify(): Promise<void> {}

  /** Nobody else could say later that they are gone. */
  async stop(): Promise<void> {
    for (const [channel, { members }] of this.#rooms) this.#onNews({ channel, joined: [], left: [...members.keys()] })
    this.#rooms.clear()
  }
}
