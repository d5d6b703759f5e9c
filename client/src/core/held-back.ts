/** How long a page and its reloads poll before a stream is the first thing they try. */
const REMEMBER_MS = 30 * 60_000
/** How long they do before they see whether the path has healed. */
const DOUBT_MS = 5 * 60_000

/** What is known of the way to a gateway: something on it keeps streams back until they end. Kept for this tab. */
export class HeldBack {
  readonly #key: string
  #foundAt: number

  constructor(url: string) {
    this.#key = `echo-sse:held-back:${url}`
    this.#foundAt = stored((storage) => storage.getItem(this.#key))
  }

  get isKnown(): boolean {
    return since(this.#foundAt) < REMEMBER_MS
  }

  /** Long enough ago to try a stream again. */
  get isDoubtful(): boolean {
    return this.isKnown && since(this.#foundAt) > DOUBT_MS
  }

  /** A stream was kept back just now. */
  found(): void {
    this.#foundAt = Date.now()
    stored((storage) => storage.setItem(this.#key, String(this.#foundAt)))
  }

  healed(): void {
    if (this.#foundAt === 0) return
    this.#foundAt = 0
    stored((storage) => storage.removeItem(this.#key))
  }
}

function since(time: number): number {
  return Date.now() - time
}

// Without it, or where it is full or forbidden, it is found out again.
function stored(use: (storage: Storage) => unknown): number {
  try {
    return Number(use(sessionStorage)) || 0
  } catch {
    return 0
  }
}
