import { type Broadcast, parseBroadcast } from '../channels/broadcast.ts'
import { encodeFrame, Frame } from '../sse/frame.ts'
import { formatPosition, type Position } from './position.ts'

export type EntryOptions = {
  /** This node's own count of what it heard; orders entries and holes. */
  seq: number
  position: Position
  /** False for what was heard inside a hole: its place in the order is not known to other nodes. */
  hasId: boolean
  channel: string
  payload: Buffer
  receivedAtMs: number
  /** Called when the message turns out not to be Laravel's, which is known only once somebody needs it. */
  onMalformed?: (() => void) | undefined
}

/** Bookkeeping that an entry costs beside its payload, measured on Node 20: about this many bytes. */
const OVERHEAD_BYTES = 300

/** One message of the log. It is parsed and encoded when the first subscriber needs it, once. */
export class Entry {
  readonly seq: number
  readonly position: Position
  readonly hasId: boolean
  readonly channel: string
  readonly receivedAtMs: number
  readonly sizeBytes: number
  /** Set when the log has let go of it. */
  dropped = false
  #payload: Buffer | null
  #frame: Frame | null = null
  #socket: string | null = null
  readonly #onMalformed: (() => void) | undefined

  constructor(options: EntryOptions) {
    this.seq = options.seq
    this.position = options.position
    this.hasId = options.hasId
    this.channel = options.channel
    this.receivedAtMs = options.receivedAtMs
    this.#payload = options.payload
    this.#onMalformed = options.onMalformed
    this.sizeBytes = options.payload.length + OVERHEAD_BYTES
  }

  /** The frame every subscriber shares; null when the message is not Laravel's. */
  get frame(): Frame | null {
    this.#encode()
    return this.#frame
  }

  /** The connection that shall not receive it. */
  get socket(): string | null {
    this.#encode()
    return this.#socket
  }

  /** The frame with an id of its own, for a stream that still has an undecided channel. */
  frameWithId(id: string): Frame | null {
    const shared = this.frame
    if (shared === null || !this.hasId) return shared
    const text = shared.bytes.toString()
    return new Frame(`id: ${id}${text.slice(text.indexOf('\n'))}`)
  }

  #encode(): void {
    if (this.#payload === null) return
    const broadcast = parseBroadcast(this.#payload)
    this.#payload = null
    if (broadcast === null) {
      this.#onMalformed?.()
      return
    }
    this.#socket = broadcast.socket
    const data = dataOf(this.channel, broadcast)
    this.#frame = new Frame(encodeFrame(this.hasId ? { id: formatPosition(this.position), data } : { data }))
  }
}

function dataOf(channel: string, { eventJson, dataJson }: Broadcast): string {
  return `{"channel":${JSON.stringify(channel)},"event":${eventJson},"data":${dataJson}}`
}
