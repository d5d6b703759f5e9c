import type { ModelNode } from './model-node.ts'
import { RoomView } from './room-view.ts'
import { openStream, type SseClient } from './sse-client.ts'

type Stream = { readonly client: SseClient; readonly view: RoomView; readonly node: ModelNode; isOver: boolean }

export type ModelPageOptions = {
  readonly user: string
  /** Something has come. */
  readonly onNews: () => void
  /** What no page may be told. */
  readonly onBreach: (what: string) => void
}

/** One tab: its identity, the channels it wants, and the stream it listens to. */
export class ModelPage {
  readonly user: string
  readonly #onNews: () => void
  readonly #onBreach: (what: string) => void
  #identity: { readonly socketId: string; readonly key: string } | null = null
  #cursor: string | undefined
  #stream: Stream | null = null
  channels: readonly string[] = []
  /** The record is known to have it on all its channels. */
  isEstablished = false
  /** Since when only time speaks for it, and for how long; null when a gateway does. */
  away: { readonly sinceMs: number; readonly limitMs: number } | null = null
  /** How often users may have been shown leaving before its stream began. */
  baseline: ReadonlyMap<string, number> = new Map()

  constructor({ user, onNews, onBreach }: ModelPageOptions) {
    this.user = user
    this.#onNews = onNews
    this.#onBreach = onBreach
  }

  get node(): ModelNode | null {
    return this.#stream?.node ?? null
  }

  get view(): RoomView | null {
    return this.#stream?.view ?? null
  }

  /** A new stream takes the place of the old one as soon as it is there. */
  async moveTo(node: ModelNode, channels: readonly string[] = this.channels): Promise<void> {
    const former = this.#stream
    this.channels = channels
    this.baseline = node.departures
    this.#stream = await this.#open(node)
    if (former !== null) this.#end(former)
  }

  /** The line breaks, or the tab is closed: nobody says anything. */
  drop(): void {
    if (this.#stream !== null) this.#end(this.#stream)
    this.#stream = null
  }

  /** `POST /leave`, to any gateway. */
  async leave({ url }: ModelNode): Promise<void> {
    const stream = this.#stream
    // It is told goodbye, and does not come back.
    if (stream !== null) stream.isOver = true
    const answer = await fetch(`${url}/leave`, {
      method: 'POST',
      headers: { ...this.#headers(), 'content-type': 'application/json' },
      body: JSON.stringify(this.#identity),
    })
    // A gateway whose connections have just been broken cannot pass it on; the page is gone nevertheless.
    if (answer.status !== 204 && answer.status !== 503) {
      this.#onBreach(`${this.user} may not leave: ${answer.status} ${await answer.text()}`)
    }
    this.drop()
  }

  /** Its gateway is about to end its stream. */
  expectGoodbye(): void {
    if (this.#stream !== null) this.#stream.isOver = true
  }

  /** True once every channel it wants was granted to the stream it has. */
  get isSubscribed(): boolean {
    return this.view?.channels.join() === [...this.channels].sort().join()
  }

  async #open(node: ModelNode): Promise<Stream> {
    const cursor = this.#cursor === undefined ? {} : { lastEventId: this.#cursor }
    const query = new URLSearchParams({ channels: this.channels.join(','), ...this.#identity, ...cursor })
    const view = new RoomView()
    let stream: Stream | null = null
    const client = await openStream(`${node.url}/stream?${query}`, {
      headers: this.#headers(),
      onFrame: (frame) => {
        if (stream?.isOver === true) return
        if (frame.event === 'connected') this.#identity = { socketId: frame.data.socketId, key: frame.data.key }
        if (frame.id !== undefined) this.#cursor = frame.id
        view.take(frame)
        for (const breach of view.breaches.splice(0)) this.#onBreach(`${this.user} at ${node.name}: ${breach}`)
        this.#onNews()
      },
    })
    stream = { client, view, node, isOver: false }
    this.#watchEnd(stream)
    if (client.status === 200) await client.next('connected')
    return stream
  }

  #watchEnd(stream: Stream): void {
    const { client, node } = stream
    if (client.status !== 200) this.#onBreach(`${this.user} got ${client.status} from ${node.name}`)
    client.ended.then(() => {
      if (!stream.isOver) this.#onBreach(`the stream of ${this.user} ended: ${client.text.slice(-300)}`)
    })
  }

  #end(stream: Stream): void {
    stream.isOver = true
    stream.client.close()
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.user}` }
  }
}
