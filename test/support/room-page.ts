import type { ByeData, GapReason } from '../../src/protocol.ts'
import { atEndOfTest } from './at-end.ts'
import { PATIENCE_MS } from './patience.ts'
import { openStream, type SseClient, type SseFrame } from './sse-client.ts'

type Node = { readonly url: string }
export type Identity = { readonly socketId: string; readonly key: string }

/** Users who come and go only to be seen: what was to be told before them has been told. */
const FENCE = 'fence-'
let fences = 0

/**
 * A page of a chat room, over all its streams. It keeps what it was told, in order, and holds every stream to what a
 * list of members allows: nobody joins who is there, nobody leaves who is not, and nobody is told of himself.
 */
export class RoomPage {
  readonly user: string
  /**
   * `+ada` joined, `-ada` left, `ada: …` whispered, `!presence-a` was taken from it, everything else was broadcast.
   * Without fences.
   */
  readonly story: string[] = []
  readonly gaps: GapReason[] = []
  readonly denied: string[] = []
  readonly byes: ByeData[] = []
  identity: Identity | null = null
  readonly #channels: readonly string[]
  readonly #all: string[] = []
  readonly #oddities: string[] = []
  #lists = new Map<string, Set<string>>()
  #stream: SseClient | null = null
  #cursor: string | null = null
  #returns = 0
  #waiting: (() => void)[] = []

  constructor(user: string, ...channels: string[]) {
    this.user = user
    this.#channels = channels
    atEndOfTest(() => {
      if (this.#oddities.length > 0) throw new Error(`${user} was told what cannot be: ${this.#oddities}`)
    })
  }

  /** Who is on its first channel, as far as it was told. */
  get members(): string[] {
    const list = this.#lists.get(this.#channels[0] ?? '') ?? []
    return [...list].filter((id) => !id.startsWith(FENCE)).sort()
  }

  /** Comes, or goes on elsewhere; the stream it had is left when the new one has told everything. */
  async enter(node: Node, ...channels: string[]): Promise<this> {
    const former = this.#stream
    const names = channels.length > 0 ? channels : this.#channels
    const lists = new Map<string, Set<string>>()
    let decided = 0
    this.#stream = await this.#open(node, { channels: names.join(',') }, lists, ({ event }) => {
      if (event === 'subscribed' || event === 'denied') decided += 1
    })
    await this.#untilTrue(() => decided === names.length, 'an answer for each channel')
    this.#lists = lists
    former?.close()
    return this
  }

  /** One long-poll, read to its end; the stream it had is left when the poll is answered. */
  async poll(node: Node, waitS: number): Promise<void> {
    const former = this.#stream
    this.#stream = null
    const wanted = { channels: this.#channels.join(','), mode: 'poll', wait: String(waitS) }
    const answer = await this.#open(node, wanted, this.#lists)
    former?.close()
    await answer.ended
  }

  /** The tab is closed, or the line broke: nobody says anything. */
  close(): void {
    this.#stream?.close()
    this.#stream = null
  }

  /** The same user in the same tab, and a page that knows nothing any more. */
  async reload(node: Node): Promise<void> {
    this.close()
    this.identity = null
    this.#cursor = null
    await this.enter(node)
  }

  /** Comes back after the next goodbye, as late as it was told to. */
  async returnAfterBye(node: Node): Promise<void> {
    const number = this.#returns
    this.#returns += 1
    await this.#untilTrue(() => this.byes.length > number, 'a goodbye')
    await new Promise((resolve) => setTimeout(resolve, this.byes[number]?.retryAfterMs))
    await this.enter(node)
  }

  /** `POST /leave`, which any gateway takes. */
  leave(node: Node): Promise<number> {
    return this.#post(node, '/leave', {})
  }

  whisper(node: Node, data: unknown): Promise<number> {
    return this.#post(node, '/whisper', { channel: this.#channels[0], event: 'client-says', data })
  }

  /** Resolves when it has been told this, so many times in all. */
  async until(told: string, times = 1): Promise<void> {
    await this.#untilTrue(() => this.#all.filter((entry) => entry === told).length >= times, `${told} (${times})`)
  }

  /** What it was told, those who came or went together in a fixed order. */
  get changes(): string[] {
    return this.story.toSorted()
  }

  /** What it is told from now on is another story. */
  startOver(): void {
    this.story.length = 0
    this.#all.length = 0
  }

  async #open(
    { url }: Node,
    parameters: Record<string, string>,
    lists: Map<string, Set<string>>,
    onFrame: (frame: SseFrame) => void = () => {},
  ): Promise<SseClient> {
    const known = { ...this.identity, ...(this.#cursor === null ? {} : { lastEventId: this.#cursor }) }
    const stream = await openStream(`${url}/stream?${new URLSearchParams({ ...parameters, ...known })}`, {
      headers: this.#headers(),
      onFrame: (frame) => {
        this.#take(frame, lists)
        onFrame(frame)
        for (const wake of this.#waiting.splice(0)) wake()
      },
    })
    if (stream.status !== 200) throw new Error(`${this.user} got ${stream.status}`)
    return stream
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.user}` }
  }

  async #post({ url }: Node, path: string, body: object): Promise<number> {
    const headers = { ...this.#headers(), 'content-type': 'application/json' }
    const answer = await fetch(url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ...this.identity, ...body }),
    })
    await answer.text()
    return answer.status
  }

  #take({ event, id, data }: SseFrame, lists: Map<string, Set<string>>): void {
    if (id !== undefined) this.#cursor = id
    if (event === 'connected') this.identity = { socketId: data.socketId, key: data.key }
    if (event === 'gap') this.gaps.push(data.reason)
    if (event === 'denied') this.denied.push(data.code)
    if (event === 'bye') this.byes.push(data)
    if (event === 'subscribed' && data.members !== undefined) {
      lists.set(data.channel, new Set(data.members.map((member: { id: string }) => member.id)))
      if (!lists.get(data.channel)?.has(this.user)) this.#oddities.push('a list without itself')
    }
    if (event === 'revoked') this.#takeAway(data.channel, lists)
    if (event === 'joining' || event === 'leaving') this.#takeChange(event, data.member.id, lists.get(data.channel))
    if (event === 'message') this.#tell(data.userId === undefined ? String(data.data) : `${data.userId}: ${data.data}`)
  }

  #takeChange(event: 'joining' | 'leaving', id: string, list = new Set<string>()): void {
    const isPossible = event === 'joining' ? !list.has(id) : list.has(id)
    if (!isPossible || id === this.user) this.#oddities.push(`${event} ${id} of ${[...list]}`)
    if (event === 'joining') list.add(id)
    else list.delete(id)
    this.#tell(`${event === 'joining' ? '+' : '-'}${id}`)
  }

  #takeAway(channel: string, lists: Map<string, Set<string>>): void {
    lists.delete(channel)
    this.#tell(`!${channel}`)
  }

  #tell(entry: string): void {
    this.#all.push(entry)
    if (!entry.slice(1).startsWith(FENCE)) this.story.push(entry)
  }

  async #untilTrue(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const impatience = setTimeout(
          () => reject(new Error(`${this.user} waited in vain for ${what}. It was told: ${this.#all.join(' ')}`)),
          deadline - Date.now(),
        )
        this.#waiting.push(() => {
          clearTimeout(impatience)
          resolve()
        })
      })
    }
  }
}

/** All of them have been told this. */
export async function untilAll(pages: readonly RoomPage[], told: string, times = 1): Promise<void> {
  await Promise.all(pages.map((page) => page.until(told, times)))
}

export async function untilAllTold(pages: readonly RoomPage[], entries: readonly string[]): Promise<void> {
  await Promise.all(entries.map((entry) => untilAll(pages, entry)))
}

/** All of them know of all these users; what they are told from now on is what a test is about. */
export async function begin(pages: readonly RoomPage[], users: readonly string[]): Promise<void> {
  const unknownTo = (page: RoomPage) => users.filter((user) => user !== page.user && !page.members.includes(user))
  await Promise.all(pages.map((page) => untilAllTold([page], joining(unknownTo(page)))))
  for (const page of pages) page.startOver()
}

/** What is told of those who came, and of those who have gone. */
export const joining = (users: readonly string[]) => users.map((user) => `+${user}`)
export const leaving = (users: readonly string[]) => users.map((user) => `-${user}`)

/**
 * At each of these gateways somebody comes, goes and is gone after the linger time, and all pages have been told so:
 * whatever these gateways were about to say has been said.
 */
export async function fence(nodes: readonly Node[], pages: readonly RoomPage[], channel: string): Promise<void> {
  const comeAndGo = async (node: Node) => {
    fences += 1
    const visitor = new RoomPage(`${FENCE}${fences}`, channel)
    await visitor.enter(node)
    await untilAll(pages, `+${visitor.user}`)
    visitor.close()
    await untilAll(pages, `-${visitor.user}`)
  }
  await Promise.all(nodes.map(comeAndGo))
}

/** The same, one after the other for so long. */
export async function fenceFor(
  durationMs: number,
  nodes: readonly Node[],
  pages: readonly RoomPage[],
  channel: string,
): Promise<void> {
  const until = Date.now() + durationMs
  do await fence(nodes, pages, channel)
  while (Date.now() < until)
}

/** A page at each of these gateways, all of one user, so that none of them tells of another. */
export function watchFrom(nodes: readonly Node[], channel: string): Promise<RoomPage[]> {
  return Promise.all(nodes.map((node) => new RoomPage('eye', channel).enter(node)))
}
