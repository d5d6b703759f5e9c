import type { BrokerListener, BrokerMessage, HoleReason } from '../../src/broker/broker.ts'
import { comparePositions, formatPosition, type Position } from '../../src/history/position.ts'
import { PATIENCE_MS } from './patience.ts'

export type HeardMessage = {
  readonly channel: string
  readonly payload: string
  readonly bytes: Buffer
  /** null for what came without one. */
  readonly id: string | null
  readonly position: Position
}

export type HeardHole = { readonly position: Position; readonly reason: HoleReason }

/** Keeps what a broker tells, and lets a test wait for it. Positions may not go back within an epoch. */
export class RecordingListener implements BrokerListener {
  readonly messages: HeardMessage[] = []
  readonly holes: HeardHole[] = []
  readonly advances: Position[] = []
  /** Everything in order, in words: `orders hello`, `hole restart`, `advance`. */
  readonly log: string[] = []
  #head: Position | null = null
  #waiting: (() => void)[] = []

  get head(): Position | null {
    return this.#head
  }

  onMessage({ channel, payload, position, hasId }: BrokerMessage): void {
    const text = payload.toString()
    this.messages.push({
      channel,
      payload: text,
      bytes: payload,
      position,
      id: hasId ? formatPosition(position) : null,
    })
    this.#move(position, `${channel} ${text}`)
  }

  onAdvance(position: Position): void {
    this.advances.push(position)
    this.#move(position, 'advance')
  }

  onHole(position: Position, reason: HoleReason): void {
    this.holes.push({ position, reason })
    this.#move(position, `hole ${reason}`)
  }

  /** Resolves when the condition holds; it is looked at again after each thing heard. */
  async until(condition: (self: this) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!condition(this)) {
      await new Promise<void>((resolve, reject) => {
        const impatience = setTimeout(
          () => reject(new Error(`Waited in vain for ${condition}. Heard: ${this.log.slice(-20).join(', ')}`)),
          deadline - Date.now(),
        )
        this.#waiting.push(() => {
          clearTimeout(impatience)
          resolve()
        })
      })
    }
  }

  untilMessages(count: number): Promise<void> {
    return this.until(({ messages }) => messages.length >= count)
  }

  untilHoles(count: number): Promise<void> {
    return this.until(({ holes }) => holes.length >= count)
  }

  #move(position: Position, what: string): void {
    if (this.#head?.epoch === position.epoch && comparePositions(position, this.#head) < 0) {
      throw new Error(`${formatPosition(position)} came after ${formatPosition(this.#head)}`)
    }
    this.#head = position
    this.log.push(what)
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
