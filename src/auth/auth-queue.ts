/** Whose turn is it? A bounded number of calls in flight, shared fairly between the requests that wait. */

/** Resolves a task that was dropped before it began. */
export const DROPPED = Symbol('dropped')

export type AuthQueueOptions = {
  /** Calls in flight over all lanes. */
  readonly concurrency: number
  /** Calls in flight for one lane. */
  readonly perLane: number
}

type Job = { readonly begin: () => Promise<void>; readonly drop: () => void }

export class AuthQueue {
  readonly #concurrency: number
  readonly #perLane: number
  /** Lanes that could begin a job now; the first one is next, and goes to the end after its turn. */
  readonly #turns = new Set<AuthLane>()
  #inFlight = 0

  constructor({ concurrency, perLane }: AuthQueueOptions) {
    this.#concurrency = concurrency
    this.#perLane = perLane
  }

  /** A place in the queue for the questions of one request. */
  lane(): AuthLane {
    const lane: AuthLane = new AuthLane(this.#perLane, () => this.#fill(lane))
    return lane
  }

  get inFlight(): number {
    return this.#inFlight
  }

  #fill(changed: AuthLane): void {
    if (changed.isReady) this.#turns.add(changed)
    // A Set is walked in insertion order, what is added during the walk included: that is the round robin.
    for (const lane of this.#turns) {
      if (this.#inFlight >= this.#concurrency) return
      this.#turns.delete(lane)
      if (!lane.isReady) continue
      this.#inFlight++
      lane.begin().then(() => {
        this.#inFlight--
        this.#fill(lane)
      })
      if (lane.isReady) this.#turns.add(lane)
    }
  }
}

export class AuthLane {
  readonly #limit: number
  readonly #onChange: () => void
  #waiting: Job[] = []
  #running = 0
  #closed = false

  constructor(limit: number, onChange: () => void) {
    this.#limit = limit
    this.#onChange = onChange
  }

  /** Runs the task when its turn comes; `DROPPED` if the lane closes before that. */
  run<T>(task: () => Promise<T>): Promise<T | typeof DROPPED> {
    if (this.#closed) return Promise.resolve(DROPPED)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ begin: () => task().then(resolve, reject), drop: () => resolve(DROPPED) })
      this.#onChange()
    })
  }

  /** Drops what has not begun. What runs keeps its slot: PHP goes on working after a caller has left. */
  close(): void {
    this.#closed = true
    const dropped = this.#waiting
    this.#waiting = []
    for (const job of dropped) job.drop()
  }

  get isReady(): boolean {
    return this.#waiting.length > 0 && this.#running < this.#limit
  }

  /** For the queue: begins the next job of a lane that is ready; the promise resolves when the job has ended. */
  async begin(): Promise<void> {
    this.#running++
    await this.#waiting.shift()?.begin()
    this.#running--
  }
}
