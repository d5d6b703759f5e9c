import { comparePositions, parsePosition } from '../../src/history/position.ts'
import type { GapData } from '../../src/protocol.ts'
import { openStream, type SseClient, type SseFrame } from './sse-client.ts'

export type Visit = { readonly mode?: 'stream' | 'poll'; readonly headers?: Record<string, string> }

/**
 * A page that goes from one connection to the next, on whatever gateway, with the id of the last frame it read. It
 * drops what is not newer than what it has had on the channel, as pages do while ids are `start~position`.
 */
export class Traveller {
  /** The data of every broadcast, without the repeated ones. */
  readonly seen: unknown[] = []
  readonly gaps: GapData[] = []
  /** `resume` of each connection. */
  readonly resumes: string[] = []
  readonly denied: string[] = []
  /** Frames that had been had before. */
  repeated = 0
  cursor: string | null = null
  stream: SseClient | null = null
  readonly #channels: string
  readonly #newest = new Map<string, string>()

  constructor(channels: readonly string[]) {
    this.#channels = channels.join(',')
  }

  /** Leaves where it is and comes to another gateway. */
  async moveTo({ url }: { url: string }, { mode = 'stream', headers = {} }: Visit = {}): Promise<SseClient> {
    this.stream?.close()
    const query = new URLSearchParams({ channels: this.#channels, mode })
    if (this.cursor !== null) query.set('lastEventId', this.cursor)
    this.stream = await openStream(`${url}/stream?${query}`, { headers })
    const connected = await this.read()
    this.resumes.push(connected.data.resume)
    return this.stream
  }

  /** Reads one frame; with a name, up to the next frame of that name. */
  async read(event?: string): Promise<SseFrame> {
    if (this.stream === null) throw new Error('Not connected.')
    for (;;) {
      const frame = await this.stream.next()
      this.#take(frame)
      if (event === undefined || frame.event === event) return frame
    }
  }

  /** Reads until so many broadcasts have been seen in all. */
  async untilSeen(count: number): Promise<void> {
    while (this.seen.length < count) await this.read()
  }

  leave(): void {
    this.stream?.close()
    this.stream = null
  }

  #take({ event, id, data }: SseFrame): void {
    if (id !== undefined) this.cursor = id
    if (event === 'gap') this.gaps.push(data)
    if (event === 'denied') this.denied.push(data.channel)
    if (event !== 'message') return
    if (id === undefined || this.#isNew(data.channel, id)) this.seen.push(data.data)
    else this.repeated += 1
  }

  #isNew(channel: string, id: string): boolean {
    const position = parsePosition(id.slice(id.indexOf('~') + 1))
    const newest = parsePosition(this.#newest.get(channel) ?? '')
    if (position === null) throw new Error(`${id} is no id`)
    if (newest !== null && newest.epoch === position.epoch && comparePositions(position, newest) <= 0) return false
    this.#newest.set(channel, id.slice(id.indexOf('~') + 1))
    return true
  }
}
