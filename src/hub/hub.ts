import type { Entry } from '../history/entry.ts'
import type { History } from '../history/history.ts'
import type { ByeReason } from '../protocol.ts'
import type { Frame } from '../sse/frame.ts'
import { Feed } from './feed.ts'
import { Passing } from './passing.ts'
import type { Subscriber } from './subscriber.ts'

/** Subscribers served in one turn of the event loop, and of one channel before another has its turn. */
const TURN = 1024
const SLICE = 512

/**
 * Who listens to what, and the only fan-out loop. What arrives in one turn of the event loop leaves in one write per
 * subscriber: one system call costs more than everything else here together.
 */
export class Hub {
  readonly #history: History
  readonly #feeds = new Map<string, Feed>()
  readonly #subscribers = new Set<Subscriber>()
  readonly #names = new Map<Feed, string>()
  readonly #dirty = new Set<Feed>()
  readonly #ahead = new Set<Subscriber>()
  #isScheduled = false
  #heardSeq = 0
  /** Frames handed to subscribers since the start. */
  delivered = 0

  constructor(history: History) {
    this.#history = history
  }

  get size(): number {
    return this.#subscribers.size
  }

  get channelCount(): number {
    return this.#feeds.size
  }

  has(channel: string): boolean {
    return this.#feeds.has(channel)
  }

  /** Channels that somebody listens to. */
  channels(): IterableIterator<string> {
    return this.#feeds.keys()
  }

  /** Sockets on a channel, each once, however many streams it has. */
  socketsOn(channel: string): ReadonlySet<string> {
    const sockets = new Set<string>()
    for (const { socketId } of this.#feeds.get(channel)?.subscribers ?? []) sockets.add(socketId)
    return sockets
  }

  subscribers(): IterableIterator<Subscriber> {
    return this.#subscribers.values()
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber)
    if (subscriber.isAhead) this.#ahead.add(subscriber)
  }

  join(subscriber: Subscriber, channel: string): void {
    let feed = this.#feeds.get(channel)
    if (feed === undefined) {
      feed = new Feed()
      this.#feeds.set(channel, feed)
      this.#names.set(feed, channel)
    }
    feed.subscribers.add(subscriber)
    // Not pushed: an array that grows by itself keeps room for sixteen more, and most pages have few channels.
    subscriber.feeds = [...subscriber.feeds, feed]
  }

  /** The opposite of `join`. */
  leave(subscriber: Subscriber, channel: string): void {
    const feed = this.#feeds.get(channel)
    if (feed === undefined) return
    this.#withdraw(subscriber, feed)
    subscriber.feeds = subscriber.feeds.filter((other) => other !== feed)
  }

  remove(subscriber: Subscriber): void {
    for (const feed of subscriber.feeds) this.#withdraw(subscriber, feed)
    subscriber.feeds = NONE
    this.#subscribers.delete(subscriber)
    this.#ahead.delete(subscriber)
  }

  /** Hands an entry to everybody on its channel, at the end of this turn. */
  deliver(entry: Entry): void {
    this.headMoved()
    this.#heardSeq = entry.seq
    const feed = this.#feeds.get(entry.channel)
    if (feed === undefined) return
    feed.push(entry)
    this.#dirty.add(feed)
    this.#schedule()
  }

  /**
   * Hands frames to everybody on a channel, in their place among the broadcasts, except to one socket. Nobody is told
   * of them later, so who is still reading the log gets them at once.
   */
  pass(channel: string, frames: readonly Frame[], socket: string | null = null): void {
    const feed = this.#feeds.get(channel)
    if (feed === undefined || frames.length === 0) return
    const items = frames.map((frame) => new Passing(this.#history.pass(), frame, socket))
    for (const item of items) feed.push(item)
    this.#heardSeq = feed.lastSeq
    for (const subscriber of feed.subscribers) if (!subscriber.isLive) subscriber.writeItems(items)
    this.#dirty.add(feed)
    this.#schedule()
  }

  /** Hands a live subscriber everything that waits for it, so that it may leave the fast path. */
  settle(subscriber: Subscriber): void {
    for (const feed of subscriber.feeds) if (this.#dirty.has(feed)) this.#serve(subscriber, feed)
    if (subscriber.isLive) subscriber.seq = Math.max(subscriber.seq, this.#heardSeq)
  }

  headMoved(): void {
    const { head } = this.#history
    if (this.#ahead.size === 0 || head === null) return
    for (const subscriber of this.#ahead) {
      subscriber.headMoved(head.position)
      if (!subscriber.isAhead) this.#ahead.delete(subscriber)
    }
  }

  /** Tells everybody that something is missing. */
  holeFound(): void {
    this.headMoved()
    for (const subscriber of this.#subscribers) subscriber.holeFound()
  }

  endAll(reason: ByeReason, retryAfterMs: () => number): void {
    for (const subscriber of this.#subscribers) subscriber.end(reason, retryAfterMs())
  }

  #withdraw(subscriber: Subscriber, feed: Feed): void {
    feed.subscribers.delete(subscriber)
    if (feed.subscribers.size === 0) this.#forget(feed)
  }

  #forget(feed: Feed): void {
    this.#feeds.delete(this.#names.get(feed) ?? '')
    this.#names.delete(feed)
    this.#dirty.delete(feed)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#flush())
  }

  // Round robin in slices: a channel with many listeners does not hold up the others.
  #flush(): void {
    this.#isScheduled = false
    let left = TURN
    for (const feed of this.#dirty) {
      if (left <= 0) break
      left -= this.#serveSlice(feed)
      this.#dirty.delete(feed)
      if (!feed.isDone) this.#dirty.add(feed)
    }
    if (this.#dirty.size > 0) this.#schedule()
  }

  #serveSlice(feed: Feed): number {
    let served = 1
    for (; served <= SLICE; served += 1) {
      const subscriber = feed.next()
      if (subscriber === null) break
      this.#serve(subscriber, feed)
    }
    return served
  }

  // Brings a subscriber up to everything that has come in on all its channels, so that its ids only grow.
  #serve(subscriber: Subscriber, feed: Feed): void {
    const { seq } = subscriber
    if (!subscriber.isLive || feed.lastSeq <= seq) return
    const others = this.#dirty.size > 1 ? this.#othersOf(subscriber, feed) : NONE
    if (others.length > 0) this.#serveSeveral(subscriber, [feed, ...others])
    else this.#serveOne(subscriber, feed)
    subscriber.seq = Math.max(seq, this.#heardSeq)
  }

  #serveOne(subscriber: Subscriber, feed: Feed): void {
    const made = feed.batchSince(subscriber.seq)
    const { batch, position } = made
    if (batch === null) return
    this.delivered += batch.frames.length
    if (made.suits(subscriber)) subscriber.writeBatch(batch, position)
    else subscriber.writeItems(feed.since(subscriber.seq))
  }

  #serveSeveral(subscriber: Subscriber, feeds: readonly Feed[]): void {
    const items = feeds.flatMap((feed) => feed.since(subscriber.seq)).sort((a, b) => a.seq - b.seq)
    this.delivered += items.length
    subscriber.writeItems(items)
  }

  #othersOf(subscriber: Subscriber, feed: Feed): readonly Feed[] {
    const { feeds, seq } = subscriber
    if (feeds.length === 1) return NONE
    const isDue = (other: Feed) => other !== feed && other.lastSeq > seq
    if (feeds.length <= this.#dirty.size) return feeds.filter((other) => isDue(other) && this.#dirty.has(other))
    return [...this.#dirty].filter((other) => isDue(other) && other.subscribers.has(subscriber))
  }
}

const NONE: readonly Feed[] = []
