import type { PresenceChange, PresenceSnapshot, PresenceStore } from './store.ts'
import { RETRY_MS, Timers } from './timers.ts'

export type FollowerOptions = {
  readonly channel: string
  readonly store: PresenceStore
  readonly onSnapshot: (snapshot: PresenceSnapshot) => void
  /** The next change after the snapshot, or after the change before. */
  readonly onChange: (change: PresenceChange) => void
  readonly onError: (error: unknown) => void
}

/** Follows the record of one channel: reads it, then takes change after change; when one is missing it reads again. */
export class Follower {
  readonly #options: FollowerOptions
  readonly #timers = new Timers()
  #version: number | null = null
  #heardMeanwhile: PresenceChange[] = []
  #isReading = false
  #readsAgain = false
  #callOffRetry = () => {}

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** True when it has read the record. */
  get isFollowing(): boolean {
    return this.#version !== null
  }

  /** Reads the record for the first time. */
  begin(): void {
    if (!this.isFollowing && !this.#isReading) this.#read()
  }

  /** A change came through the broker. */
  heard(change: PresenceChange): void {
    if (this.#isReading) this.#heardMeanwhile.push(change)
    else if (this.#version !== null) this.#follow(change, this.#version)
  }

  /** Something may have been missed: reads the record again. */
  refresh(): void {
    if (this.isFollowing) this.#read()
  }

  close(): void {
    this.#timers.stop()
  }

  #follow(change: PresenceChange, version: number): void {
    if (change.version <= version) return
    if (change.version === version + 1) {
      this.#version = change.version
      this.#options.onChange(change)
    } else {
      // One was missed. What is read from now on holds this one too.
      this.#read()
    }
  }

  #read(): void {
    if (this.#timers.isStopped) return
    if (this.#isReading) {
      this.#readsAgain = true
      return
    }
    this.#isReading = true
    this.#readsAgain = false
    this.#heardMeanwhile = []
    this.#callOffRetry()
    const { store, channel, onError } = this.#options
    store.read(channel).then(
      (snapshot) => this.#take(snapshot),
      (error: unknown) => {
        onError(error)
        this.#isReading = false
        this.#callOffRetry = this.#timers.after(RETRY_MS, () => this.#read())
      },
    )
  }

  #take(snapshot: PresenceSnapshot): void {
    if (this.#timers.isStopped) return
    this.#isReading = false
    this.#version = snapshot.version
    this.#options.onSnapshot(snapshot)
    for (const change of this.#heardMeanwhile.splice(0)) this.heard(change)
    if (this.#readsAgain) this.#read()
  }
}
