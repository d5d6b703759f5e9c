import type { BrokerListener, BrokerMessage, HoleReason } from '../../src/broker/broker.ts'
import { formatPosition, type Position } from '../../src/history/position.ts'

/** Writes down what a broker says, one line each: `hole restart 1.1.0`, `a "text" 1.1.1`, `advance 1.2.0`. */
export class BrokerDiary implements BrokerListener {
  readonly lines: string[] = []
  readonly messages: BrokerMessage[] = []
  readonly positions: Position[] = []
  #waiting: (() => void)[] = []

  onMessage(message: BrokerMessage): void {
    this.messages.push(message)
    const place = message.hasId ? formatPosition(message.position) : `in ${formatPosition(message.position)}`
    this.#write(`${message.channel} ${message.payload} ${place}`, message.position)
  }

  onAdvance(position: Position): void {
    this.#write(`advance ${formatPosition(position)}`, position)
  }

  onHole(position: Position, reason: HoleReason): void {
    this.#write(`hole ${reason} ${formatPosition(position)}`, position)
  }

  /** Resolves when this many messages have been heard in all. */
  async untilMessages(count: number): Promise<BrokerMessage[]> {
    while (this.messages.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.messages
  }

  /** The lines that came since the last look. */
  news(): string[] {
    return this.lines.splice(0)
  }

  #write(line: string, position: Position): void {
    this.lines.push(line)
    this.positions.push(position)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
