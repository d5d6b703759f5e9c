/** Sockets that have just gone from a channel, and may be about to come back. */
export class Gone {
  readonly #sockets = new Map<string, Map<string, number>>()
  readonly #channels = new Map<string, Set<string>>()

  /** Sockets that have just gone from a channel. */
  from(channel: string): Iterable<string> {
    return this.#channels.get(channel) ?? NOBODY
  }

  /** Channels from which somebody has just gone. */
  channels(): Iterable<string> {
    return this.#channels.keys()
  }

  add(channel: string, socketId: string, untilMs: number): void {
    const untils = this.#sockets.get(socketId) ?? new Map<string, number>()
    this.#sockets.set(socketId, untils.set(channel, untilMs))
    const sockets = this.#channels.get(channel) ?? new Set<string>()
    this.#channels.set(channel, sockets.add(socketId))
  }

  delete(channel: string, socketId: string): void {
    const untils = this.#sockets.get(socketId)
    if (untils?.delete(channel) !== true) return
    if (untils.size === 0) this.#sockets.delete(socketId)
    const sockets = this.#channels.get(channel)
    sockets?.delete(socketId)
    if (sockets?.size === 0) this.#channels.delete(channel)
  }

  /** The socket does not come back. Answers where it was. */
  forget(socketId: string): readonly string[] {
    const channels = [...(this.#sockets.get(socketId)?.keys() ?? NOBODY)]
    for (const channel of channels) this.delete(channel, socketId)
    return channels
  }

  /** Whoever has not come back by now is gone for good. Answers from where. */
  expire(nowMs: number): ReadonlySet<string> {
    const channels = new Set<string>()
    for (const [socketId, untils] of this.#sockets) {
      for (const [channel, untilMs] of untils) {
        if (untilMs > nowMs) continue
        this.delete(channel, socketId)
        channels.add(channel)
      }
    }
    return channels
  }
}

const NOBODY: readonly string[] = []
