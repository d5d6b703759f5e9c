import { GatewayError } from '../../src/errors.ts'
import type { PresenceSnapshot, PresenceStore, PresenceUpdate } from '../../src/presence/store.ts'
import type { SimulatedRecord } from './simulated-record.ts'

type Request = { run: (() => unknown) | null; answer: unknown; resolve: (answer: unknown) => void; reject: () => void }

/** A node's connection to the record: its commands arrive, and answers come back, when the test says so. */
export class SimulatedStore implements PresenceStore {
  readonly #record: SimulatedRecord
  /** Sent, and not there yet. */
  #sent: Request[] = []
  /** Done, and the answer is on its way. */
  #done: Request[] = []
  #incarnation: string | null = null
  #renewal: Promise<void> | null = null
  #channels = new Set<string>()
  readonly #formers = new Map<string, ReadonlySet<string>>()
  #onForgotten: () => void = () => {}

  constructor(record: SimulatedRecord) {
    this.#record = record
  }

  get incarnation(): string | null {
    return this.#incarnation
  }

  start({ onForgotten }: { onForgotten(): void }): void {
    this.#onForgotten = onForgotten
  }

  async update(update: PresenceUpdate): Promise<void> {
    const isDone = await this.#ask((node) => {
      this.#channels.add(update.channel)
      return () => this.#record.update(node, update)
    })
    if (!isDone) {
      await this.verify()
      throw new GatewayError('broker_unavailable')
    }
    if (update.isLast) this.#channels.delete(update.channel)
  }

  async read(channel: string): Promise<PresenceSnapshot> {
    return this.#ask((node) => () => this.#record.read(node, channel))
  }

  async verify(): Promise<void> {
    await this.#renew().catch(() => {})
  }

  async stop(): Promise<void> {}

  /** So many commands reach the record. */
  arrive(count: number): void {
    for (const request of this.#sent.splice(0, count)) {
      request.answer = request.run?.()
      this.#done.push(request)
    }
  }

  /** So many answers reach the node. */
  answer(count: number): void {
    for (const { resolve, answer } of this.#done.splice(0, count)) resolve(answer)
  }

  /** The connection breaks: what is on its way does not arrive, what was done is not answered. */
  lose(): void {
    const lost = [...this.#done, ...this.#sent]
    this.#done = []
    this.#sent = []
    for (const { reject } of lost) reject()
  }

  /** The node waits for answers no longer, but what it has sent still arrives, in its order. */
  giveUp(): void {
    for (const { reject } of [...this.#done, ...this.#sent]) reject()
  }

  async #ask<T>(command: (node: string) => () => T): Promise<T> {
    if (this.#incarnation === null) await this.#renew()
    return this.#send(command(this.#incarnation ?? ''))
  }

  #send<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#sent.push({
        run,
        answer: undefined,
        resolve: (answer) => resolve(answer as T),
        reject: () => reject(new GatewayError('broker_unavailable')),
      })
    })
  }

  #renew(): Promise<void> {
    this.#renewal ??= this.#renewOnce().finally(() => {
      this.#renewal = null
    })
    return this.#renewal
  }

  async #renewOnce(): Promise<void> {
    if (this.#incarnation === null) await this.#enrol()
    const name = this.#incarnation ?? ''
    if (await this.#send(() => this.#record.isAlive(name))) return this.#bury()
    await this.#enrol()
    this.#formers.set(name, this.#channels)
    this.#channels = new Set()
    this.#onForgotten()
  }

  async #enrol(): Promise<void> {
    this.#incarnation = await this.#send(() => this.#record.enrol())
  }

  async #bury(): Promise<void> {
    for (const [former, channels] of this.#formers) {
      await this.#send(() => this.#record.bury(former, channels))
      this.#formers.delete(former)
    }
  }
}
