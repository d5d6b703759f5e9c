import { setTimeout as sleep } from 'node:timers/promises'
import type { Channel } from '../channels/channel.ts'
import { type AuthLane, DROPPED } from './auth-queue.ts'
import type { AuthorizerSession, Decision } from './authorizer.ts'
import { deny } from './denial.ts'
import type { DecisionReason, Judgement } from './laravel-answer.ts'

/** How one question ended, in words that may be logged: ids and codes, no header, no body, nobody's data. */
export type DecisionEvent = {
  readonly channel: string
  readonly socketId: string
  readonly address: string
  readonly allowed: boolean
  /** The status of the denial; 200 for a grant. */
  readonly status: number
  readonly reason: DecisionReason
  readonly detail: string | undefined
  /** Calls to Laravel it took; 0 when it was decided here. */
  readonly tries: number
  readonly durationMs: number
}

/** Waits; rejects as soon as the signal is aborted. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>

export type LaravelSessionOptions = {
  readonly lane: AuthLane
  /** Calls to Laravel per question, the first one included. */
  readonly tries: number
  /** A decision that needs no call, if there is one. */
  readonly decideHere: (channel: Channel) => Judgement | null
  /** One call to Laravel. */
  readonly ask: (channel: Channel) => Promise<Judgement>
  readonly onDecision: (event: Omit<DecisionEvent, 'socketId' | 'address'>) => void
  readonly onClose: (session: LaravelSession) => void
  readonly wait: Wait
}

export const waitFor: Wait = (ms, signal) => sleep(ms, undefined, { signal, ref: false })

// Longer than this nobody waits for a channel: the page is told when to come back instead.
const MAX_RETRY_AFTER_MS = 60_000

const LEFT = deny('authorizer_unavailable', {
  message: 'The caller left before Laravel had answered.',
  retryAfterMs: 1_000,
})

/** The questions of one request: each waits its turn, is asked, perhaps asked again, and answered once. */
export class LaravelSession implements AuthorizerSession {
  readonly #options: LaravelSessionOptions
  readonly #closing = new AbortController()
  readonly #left: Promise<Decision>

  constructor(options: LaravelSessionOptions) {
    this.#options = options
    this.#left = new Promise((resolve) => {
      this.#closing.signal.addEventListener('abort', () => resolve(LEFT), { once: true })
    })
  }

  authorize(channel: Channel): Promise<Decision> {
    if (this.#closing.signal.aborted) return this.#left
    // The race keeps a grant that comes too late from anybody who has left.
    return Promise.race([this.#left, this.#decide(channel).catch(() => deny('internal'))])
  }

  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#options.lane.close()
    this.#options.onClose(this)
  }

  async #decide(channel: Channel): Promise<Decision> {
    const { decideHere, onDecision } = this.#options
    const startedAt = performance.now()
    const local = decideHere(channel)
    const { judgement, tries } = local === null ? await this.#ask(channel) : { judgement: local, tries: 0 }
    if (judgement === DROPPED || this.#closing.signal.aborted) return LEFT
    const { decision, reason, detail } = judgement
    const status = decision.allowed ? 200 : decision.status
    const durationMs = performance.now() - startedAt
    onDecision({ channel: channel.name, allowed: decision.allowed, status, reason, detail, tries, durationMs })
    return decision.allowed ? decision : { ...decision, cause: detail === undefined ? reason : `${reason}: ${detail}` }
  }

  async #ask(channel: Channel): Promise<{ judgement: Judgement | typeof DROPPED; tries: number }> {
    const { lane, ask, decideHere, wait } = this.#options
    for (let tries = 1; ; tries++) {
      // Each try takes its own turn: a question that waits for Laravel to recover holds no slot.
      const judgement = await lane.run(async () => decideHere(channel) ?? (await ask(channel)))
      if (judgement === DROPPED || judgement.askAgain === undefined || tries >= this.#options.tries) {
        return { judgement, tries }
      }
      const waitMs = judgement.askAgain.afterMs ?? backOffMs(tries)
      if (waitMs > MAX_RETRY_AFTER_MS) return { judgement, tries }
      const stayed = await wait(waitMs, this.#closing.signal).then(
        () => true,
        () => false,
      )
      if (!stayed) return { judgement: DROPPED, tries }
    }
  }
}

/** 150–300 ms, then 300–600 ms: jittered, so that questions that failed together do not return together. */
function backOffMs(tries: number): number {
  return 300 * 2 ** (tries - 1) * (0.5 + Math.random() / 2)
}
