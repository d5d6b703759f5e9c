import type { ListedMember } from '../../src/presence/member.ts'
import type { PresenceChange, PresenceSnapshot, PresenceStore, PresenceUpdate } from '../../src/presence/store.ts'

type Hooks = { resolve: (answer: unknown) => void; reject: (error: Error) => void }
type Whose = 'isOurs' | 'isPeers'
type Entry = { member: ListedMember; isOurs: boolean; isPeers: boolean }

/** One question to the store that has not been answered. */
export class Call {
  /** null: it asks who is there. */
  readonly update: PresenceUpdate | null
  readonly #run: () => unknown
  readonly #hooks: Hooks
  #answer: { value: unknown } | null = null

  constructor(update: PresenceUpdate | null, run: () => unknown, hooks: Hooks) {
    this.update = update
    this.#run = run
    this.#hooks = hooks
  }

  /** It is done, and the answer is still on its way. */
  arrive(): void {
    this.#answer ??= { value: this.#run() }
  }

  answer(): void {
    this.arrive()
    this.#hooks.resolve(this.#answer?.value)
  }

  fail(): void {
    this.#hooks.reject(new Error('the store is away'))
  }
}

/**
 * The record of one channel, with our node and a peer. It answers at once, unless a test holds its answers or has it
 * fail; what changes is heard at once, unless the test says that it is lost.
 */
export class ScriptedPresenceStore implements PresenceStore {
  /** Held questions, oldest first. */
  readonly calls: Call[] = []
  readonly updates: PresenceUpdate[] = []
  reads = 0
  verified = 0
  stoppedFor: number | null = null
  isHeld = false
  isAway = false
  /** Nothing of what changes is heard. */
  isMute = false
  onChange: (change: PresenceChange) => void = () => {}
  onForgotten: (isAnew: boolean) => void = () => {}
  readonly #channel: string
  #entries = new Map<string, Entry>()
  #version = 0
  /** Greater than any version there was. */
  #newest = 100

  constructor(channel: string) {
    this.#channel = channel
  }

  start({ onForgotten }: { onForgotten(isAnew: boolean): void }): void {
    this.onForgotten = onForgotten
  }

  update(update: PresenceUpdate): Promise<void> {
    this.updates.push(update)
    return this.#ask(update, () => {
      this.#change(update.joined, update.left, 'isOurs')
    })
  }

  read(): Promise<PresenceSnapshot> {
    this.reads += 1
    return this.#ask(null, () => this.snapshot())
  }

  async verify(): Promise<void> {
    this.verified += 1
  }

  async stop(keepMs: number): Promise<void> {
    this.stoppedFor = keepMs
  }

  /** The oldest held question. */
  next(): Call {
    const call = this.calls.shift()
    if (call === undefined) throw new Error('Nothing was asked of the store.')
    return call
  }

  /** From now on everything is answered at once, what was held first. */
  release(): void {
    this.isHeld = false
    for (const call of this.calls.splice(0)) call.answer()
  }

  peer(joined: readonly ListedMember[], left: readonly string[] = []): void {
    this.#change(joined, left, 'isPeers')
  }

  /** A peer takes our node for dead and takes its users off. */
  reap(): void {
    const ours = [...this.#entries].filter(([, entry]) => entry.isOurs).map(([id]) => id)
    this.#change([], ours, 'isOurs')
  }

  /** Everything is forgotten, and nobody is told. */
  flush(): void {
    this.#entries = new Map()
    this.#version = 0
    this.#newest += 1000
  }

  /** Who is on record on our word. */
  get ours(): string[] {
    return [...this.snapshot().own].sort()
  }

  snapshot(): PresenceSnapshot {
    const entries = [...this.#entries.values()]
    return {
      version: this.#version,
      members: entries.map(({ member }) => member),
      own: new Set(entries.filter(({ isOurs }) => isOurs).map(({ member }) => member.id)),
    }
  }

  #ask<T>(update: PresenceUpdate | null, run: () => T): Promise<T> {
    if (this.isAway) return Promise.reject(new Error('the store is away'))
    return new Promise<T>((resolve, reject) => {
      const call = new Call(update, run, { resolve: (answer) => resolve(answer as T), reject })
      if (this.isHeld) this.calls.push(call)
      else call.answer()
    })
  }

  #change(joined: readonly ListedMember[], left: readonly string[], whose: Whose): void {
    const came = joined.filter((member) => this.#put(member, whose))
    const gone = left.filter((id) => this.#take(id, whose))
    if (came.length === 0 && gone.length === 0) return
    this.#newest += 1
    this.#version = this.#entries.size === 0 ? 0 : this.#newest
    const change = { channel: this.#channel, version: this.#newest, joined: came, left: gone }
    if (!this.isMute) this.onChange(change)
  }

  #put(member: ListedMember, whose: Whose): boolean {
    const known = this.#entries.get(member.id)
    const entry = known ?? { member, isOurs: false, isPeers: false }
    const isNews = known?.member.json !== member.json
    this.#entries.set(member.id, { ...entry, member, [whose]: true })
    return isNews
  }

  #take(id: string, whose: Whose): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    entry[whose] = false
    return !entry.isOurs && !entry.isPeers && this.#entries.delete(id)
  }
}
