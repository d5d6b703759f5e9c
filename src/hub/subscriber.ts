import type { Denial, Grant } from '../auth/authorizer.ts'
import type { Channel } from '../channels/channel.ts'
import type { History } from '../history/history.ts'
import { comparePositions, type Position } from '../history/position.ts'
import { type ChannelCursor, type Gap, Replay, type ReplayItem } from '../history/replay.ts'
import type { ByeReason, GapReason } from '../protocol.ts'
import type { Frame } from '../sse/frame.ts'
import type { Batch, Outlet } from '../sse/outlet.ts'
import type { Feed, FeedItem } from './feed.ts'
import { byeFrame, deniedFrame, gapFrame, type MemberList, pingFrame, revokedFrame, subscribedFrame } from './frames.ts'
import { type LastTold, lastFrames } from './last-told.ts'
import { beginsAnew, type StreamStart } from './start.ts'
import { StreamIds } from './stream-ids.ts'

/** Why a stream ended: the closed list of the log, the metric label and the tests. */
export type EndReason = ByeReason | 'client' | 'poll'

/** What a page is told when a channel is granted. */
export type Told = {
  /** Who is on the channel, on presence channels. */
  readonly list?: MemberList
  /** The list is another than this page had: a long-poll need not wait any longer. */
  readonly isNews?: boolean
  /** On cache channels; null when there is none, absent when nobody knows. */
  readonly last?: LastTold | null
}

export type SubscriberHooks = {
  onGranted(subscriber: Subscriber, channel: string): void
  onRevoked(subscriber: Subscriber, channel: string): void
  /** `retryAfterMs`: when it was told to come back; 0 when it was not. */
  onEnded(subscriber: Subscriber, reason: EndReason, retryAfterMs: number): void
  onGap(reason: GapReason): void
  /** Hands over everything that waits for this subscriber. */
  settle(subscriber: Subscriber): void
  /** Something was written that a long-poll need not wait any longer for. */
  onNews?(): void
}

export type SubscriberOptions = {
  history: History
  outlet: Outlet
  socketId: string
  start: StreamStart
  /** Valid channels, once each. Public ones are granted at once, the others wait for `grant` or `deny`. */
  channels: readonly Channel[]
  /** Names of channels the page has just joined: nothing older than now. */
  fresh: ReadonlySet<string>
  /** Public channels whose last event is to be told first: they wait for `grant` as well. */
  recalled?: ReadonlySet<string>
  heartbeatMs: number
  /**
   * Tell nothing before every channel is decided. A long-poll that was full before that would end with an id that
   * still names its start, and so would the next one.
   */
  waitsForDecisions?: boolean
  /** Unsent bytes beyond which the stream ends with `bye slow`. */
  backlogBytes: number
  hooks: SubscriberHooks
}

/** A replay pauses while so many bytes wait for the reader; they do not count as backlog. */
const REPLAY_WINDOW_BYTES = 64 * 1024
/** Items told in one write, and writes in one turn of the event loop, during a replay. */
const REPLAY_SLICE = 64
const REPLAY_SLICES_PER_TURN = 8
/** When a reader that was too slow may come back. */
export const SLOW_RETRY_MS = 1000

/**
 * One page on one stream: its channels, decided or not, and how far they have been told. It is either live (the hub
 * hands it batches) or catching up (it reads the log itself until it stands at the head).
 */
export class Subscriber {
  readonly socketId: string
  readonly outlet: Outlet
  readonly heartbeatMs: number
  /** The hub's index the other way round, so that leaving costs what was joined, not what exists. */
  feeds: readonly Feed[] = []
  /** While live, everything up to here has been told; the hub moves it on. */
  seq: number
  /** When the last frame was written, ms. */
  writtenAtMs = Date.now()
  #state: 'ahead' | 'held' | 'catching-up' | 'live' | 'ended' = 'ahead'
  readonly #options: SubscriberOptions
  readonly #history: History
  readonly #backlogBytes: number
  readonly #onNews: (() => void) | undefined
  readonly #granted = new Map<string, ChannelCursor>()
  readonly #undecided = new Set<string>()
  readonly #ids: StreamIds
  /** Where channels begin to be told, unless the page has just joined them. */
  #startSeq: number
  #replay: Replay | null = null
  /** Bytes of member lists that the reader may not have taken yet: as little its fault as a replay. */
  #listBytes = 0

  constructor(options: SubscriberOptions) {
    this.#options = options
    this.#history = options.history
    this.#backlogBytes = options.backlogBytes
    this.#onNews = options.hooks.onNews
    this.socketId = options.socketId
    this.outlet = options.outlet
    this.heartbeatMs = options.heartbeatMs
    this.seq = options.start.seq
    this.#startSeq = options.start.seq
    const { recalled } = options
    for (const { name, kind } of options.channels) {
      if (kind !== 'public' || recalled?.has(name) === true) this.#undecided.add(name)
    }
    this.#ids = new StreamIds(options.start, { isPlain: this.#undecided.size === 0 })
    if (!options.start.isAhead) this.#beginTelling()
  }

  /** True when the hub may hand over what is new. */
  get isLive(): boolean {
    return this.#state === 'live'
  }

  /** True while this node has not heard as much as the client has. */
  get isAhead(): boolean {
    return this.#state === 'ahead'
  }

  get isEnded(): boolean {
    return this.#state === 'ended'
  }

  /** True when the frames that everybody shares are right for this stream too. */
  get isPlain(): boolean {
    return this.#ids.isPlain
  }

  /** True when every channel is granted or denied. */
  get isDecided(): boolean {
    return this.#undecided.size === 0
  }

  /** Grants the public channels and begins to tell what was missed. */
  begin(): void {
    const { start, channels } = this.#options
    // The first id of such a stream: it names the head the stream goes on from.
    if (start.isForeign) this.#tellGap(null, 'restart', start.position)
    for (const { name, kind } of channels) {
      if (kind === 'public' && !this.#undecided.has(name)) this.#add(name, { allowed: true })
    }
    this.#catchUp()
  }

  /** Channels it has been granted. */
  granted(): IterableIterator<string> {
    return this.#granted.keys()
  }

  isGranted(channel: string): boolean {
    return this.#granted.has(channel)
  }

  /** True when the page is new to a channel of this stream, or may have lost sight of it. */
  beginsAnew(channel: string): boolean {
    const { start, fresh } = this.#options
    return beginsAnew(this.#history, start, fresh, channel)
  }

  /** Laravel has allowed the channel, or nobody need to. */
  grant(channel: string, grant: Grant, told: Told = {}): void {
    if (this.isEnded || !this.#undecided.has(channel)) return
    this.#leaveLive()
    this.#undecided.delete(channel)
    this.#add(channel, grant, told)
    this.#decided()
  }

  /** The channel is refused, for now or for good. The stream lives on. */
  deny(channel: string, denial: Denial): void {
    if (this.isEnded) return
    this.#writeNews([deniedFrame(channel, denial)])
    // A name that nobody was asked about changes nothing, and it is refused before the stream begins.
    if (!this.#undecided.delete(channel)) return
    if (mayBeGrantedLater(denial) && this.#isReturning(channel)) this.#tellGap([channel], 'denied', this.#head())
    this.#leaveLive()
    this.#decided()
  }

  /** The channel is withdrawn: nothing more of it is told. The stream lives on. */
  revoke(channel: string, denial: Denial): void {
    if (this.isEnded || !this.#granted.has(channel)) return
    this.#leaveLive()
    if (this.isEnded) return
    this.#granted.delete(channel)
    this.#replay?.leave(channel)
    this.#options.hooks.onRevoked(this, channel)
    this.#writeNews([revokedFrame(channel, denial)])
    this.#catchUp()
  }

  /** Tells what there is although a channel is still undecided: a long-poll's time is up. */
  tellNow(): void {
    if (this.#state !== 'held') return
    this.#state = 'catching-up'
    this.#catchUp()
  }

  /** This node has heard more: a cursor that was ahead may have been reached. */
  headMoved(head: Position): void {
    const { position } = this.#options.start
    if (this.#state !== 'ahead' || comparePositions(head, position) < 0) return
    const place = this.#history.locate(position)
    if (place.kind === 'at') this.#startSeq = place.seq
    this.seq = this.#startSeq
    for (const cursor of this.#granted.values()) cursor.seq = Math.max(cursor.seq, this.seq)
    this.#beginTelling()
    this.#catchUp()
  }

  /** Something is missing on all channels; the log knows where. */
  holeFound(): void {
    this.#leaveLive()
    this.#catchUp()
  }

  /** The fast path: a batch that many subscribers share, up to `position`. Only while live and plain. */
  writeBatch(batch: Batch, position: Position | null): void {
    if (!this.#hasRoom()) return
    // Whispers alone do not put off the ping: it brings the id without which the cursor would grow old.
    if (position !== null) {
      this.#ids.toldUpTo(position)
      this.writtenAtMs = batch.madeAtMs
    }
    this.outlet.writeBatch(batch)
    if (this.#onNews !== undefined) this.#onNews()
  }

  /** The slow path: with this stream's own ids, without what it sent itself. */
  writeItems(items: readonly FeedItem[]): void {
    if (this.isEnded) return
    const frames = items.flatMap((item) => this.#itemFrame(item) ?? [])
    if (frames.length === 0 || !this.#hasRoom()) return
    if (items.some(({ hasId }) => hasId)) this.writtenAtMs = Date.now()
    this.outlet.write(frames)
    this.#options.hooks.onNews?.()
  }

  /** Tells that the stream lives and how far it has come. */
  ping(timeMs: number): void {
    if (this.isEnded) return
    if (this.isLive) this.#options.hooks.settle(this)
    if (this.isEnded) return
    const { head } = this.#history
    const isAtHead = this.isLive && head !== null && this.seq === head.seq
    this.#write([pingFrame({ time: timeMs }, isAtHead ? this.#ids.next(head.position) : null)])
  }

  /** Says goodbye and ends the stream. */
  end(reason: ByeReason, retryAfterMs: number): void {
    if (this.isEnded) return
    this.outlet.end(byeFrame({ reason, retryAfterMs }))
    this.close(reason, retryAfterMs)
  }

  /** The stream is over; nothing more is written. */
  close(reason: EndReason, retryAfterMs = 0): void {
    if (this.isEnded) return
    this.#state = 'ended'
    this.#options.hooks.onEnded(this, reason, retryAfterMs)
  }

  #beginTelling(): void {
    const isHeld = this.#options.waitsForDecisions === true && this.#undecided.size > 0
    this.#state = isHeld ? 'held' : 'catching-up'
  }

  #decided(): void {
    if (this.#state === 'held' && this.#undecided.size === 0) {
      // Nothing was told yet, so the ids can be plain from the first one on.
      this.#ids.becomePlain()
      this.#state = 'catching-up'
    }
    this.#catchUp()
  }

  #add(name: string, grant: Grant, { list, isNews = false, last }: Told = {}): void {
    if (this.isEnded) return
    const { start, fresh } = this.#options
    const isNew = fresh.has(name) || start.isForeign
    const seq = isNew ? start.headSeq : this.#history.startOf(name, start.position, this.#startSeq)
    const cursor = { channel: name, seq }
    this.#granted.set(name, cursor)
    // A replay that waits for its reader goes on by itself, from now on with this channel.
    this.#replay?.join(cursor)
    const frames = [subscribedFrame(name, grant, list)]
    if (last !== undefined) {
      const skipsTo = this.isAhead ? start.position : null
      frames.push(...lastFrames(last, { history: this.#history, socketId: this.socketId, cursor, skipsTo }))
    }
    for (const { chunk } of frames) this.#listBytes += chunk.length
    // A poll that was full of last events would end with an id that still names its start, and so would the next one.
    this.#write(frames, { isRepeated: true })
    if (isNews || frames.length > 1) this.#options.hooks.onNews?.()
    this.#options.hooks.onGranted(this, name)
  }

  // While live the channels are told together; from here on each has a cursor of its own again. What waits is handed
  // over first: the hub moves `seq` on only where it serves us, and what is not in the log could not be read from it.
  #leaveLive(): void {
    if (this.#state !== 'live') return
    this.#options.hooks.settle(this)
    if (this.isEnded) return
    for (const cursor of this.#granted.values()) cursor.seq = this.seq
    this.#replay = null
    this.#state = 'catching-up'
  }

  #catchUp(): void {
    if (this.#state !== 'catching-up' || this.#replay !== null) return
    this.#replay = new Replay(this.#history, [...this.#granted.values()], this.seq)
    this.#pump()
  }

  #pump(): void {
    for (let slice = 0; this.#replay !== null && this.#state === 'catching-up'; slice += 1) {
      if (this.outlet.pendingBytes >= REPLAY_WINDOW_BYTES) {
        this.outlet.onceDrained(() => this.#pump())
        return
      }
      if (slice === REPLAY_SLICES_PER_TURN) {
        setImmediate(() => this.#pump())
        return
      }
      const frames = this.#framesOf(this.#replay.take(REPLAY_SLICE, REPLAY_WINDOW_BYTES))
      if (frames.length > 0) this.#writeNews(frames)
      // Not before the reader has taken it: once live, what still waits counts as backlog.
      if (this.#replay.isAtHead && this.outlet.pendingBytes < REPLAY_WINDOW_BYTES) this.#goLive()
    }
  }

  #goLive(): void {
    this.#replay = null
    this.#listBytes = 0
    this.seq = this.#history.head?.seq ?? this.seq
    this.#state = 'live'
    if (this.isPlain || this.#undecided.size > 0) return
    // The last channel is decided and told: from here on ids are plain, and this is the first.
    this.#ids.becomePlain()
    this.ping(Date.now())
  }

  // A channel the page had before: the ids go on without it, so what it missed would not be told another time.
  #isReturning(channel: string): boolean {
    const { start, fresh } = this.#options
    return start.resume !== 'fresh' && !start.isForeign && !fresh.has(channel)
  }

  #head(): Position {
    return this.#history.head?.position ?? this.#options.start.position
  }

  #tellGap(channels: string[] | null, reason: GapReason, position: Position): void {
    this.#options.hooks.onGap(reason)
    this.#writeNews([gapFrame({ channels, reason }, this.#ids.next(position))])
  }

  #framesOf(items: readonly ReplayItem[]): Frame[] {
    const frames: Frame[] = []
    for (const item of items) {
      const frame = 'gap' in item ? this.#gapFrame(item.gap) : this.#itemFrame(item.entry)
      if (frame !== null) frames.push(frame)
    }
    return frames
  }

  #gapFrame({ position, channels, reason }: Gap): Frame {
    this.#options.hooks.onGap(reason)
    return gapFrame({ channels, reason }, this.#ids.next(position))
  }

  #itemFrame(item: FeedItem): Frame | null {
    if (item.socket !== null && item.socket === this.socketId) return null
    if (!item.hasId) return item.frame
    const id = this.#ids.next(item.position)
    return this.isPlain || id === null ? item.frame : item.frameWithId(id)
  }

  #hasRoom(): boolean {
    if (this.outlet.pendingBytes <= this.#backlogBytes + this.#listBytes) return true
    this.end('slow', SLOW_RETRY_MS)
    return false
  }

  #writeNews(frames: readonly Frame[]): void {
    this.#write(frames)
    this.#options.hooks.onNews?.()
  }

  #write(frames: readonly Frame[], options?: { readonly isRepeated?: boolean }): void {
    this.writtenAtMs = Date.now()
    this.outlet.write(frames, options)
  }
}

// Laravel was away, or the login has to be renewed: the page will ask again. A 403 is an answer.
export function mayBeGrantedLater({ retry, status }: Denial): boolean {
  return retry || status === 401 || status === 419
}
