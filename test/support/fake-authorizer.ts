import type { Authorizer, AuthorizerSession, Credentials, Decision } from '../../src/auth/authorizer.ts'
import { deny } from '../../src/auth/denial.ts'
import type { Channel } from '../../src/channels/channel.ts'

export type FakeQuestion = {
  readonly channel: Channel
  readonly socketId: string
  readonly credentials: Credentials
}

export type FakeJudge = (question: FakeQuestion) => Decision | Promise<Decision>

const LEFT = deny('authorizer_unavailable', { message: 'The caller left.', retryAfterMs: 1_000 })

/** Decides by a function, at once or when a test releases it. Allows everything unless told otherwise. */
export class FakeAuthorizer implements Authorizer {
  /** Every question that was put, in order. */
  readonly questions: FakeQuestion[] = []
  /** Sessions nobody has closed yet. */
  openSessions = 0
  #judge: FakeJudge
  #held: Promise<void> = Promise.resolve()
  readonly #closers = new Set<() => void>()
  #waiters: { count: number; resolve: () => void }[] = []
  #stopped = false

  constructor(judge: FakeJudge = () => ({ allowed: true })) {
    this.#judge = judge
  }

  /** How to decide from now on. */
  decides(judge: FakeJudge): void {
    this.#judge = judge
  }

  /** Takes questions but answers none until the returned function is called. */
  hold(): () => void {
    let release = () => {}
    this.#held = new Promise((resolve) => {
      release = resolve
    })
    return release
  }

  /** Resolves when this many questions have been put in all. */
  async untilQuestions(count: number): Promise<void> {
    if (this.questions.length >= count) return
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }))
  }

  open(credentials: Credentials, socketId: string): AuthorizerSession {
    let isOpen = true
    let leave = () => {}
    const left = new Promise<Decision>((resolve) => {
      leave = () => resolve(LEFT)
    })
    const close = () => {
      if (isOpen) this.openSessions--
      isOpen = false
      this.#closers.delete(close)
      leave()
    }
    this.openSessions++
    this.#closers.add(close)
    if (this.#stopped) close()
    return {
      authorize: (channel) => (isOpen ? Promise.race([left, this.#decide({ channel, socketId, credentials })]) : left),
      close,
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const close of this.#closers) close()
  }

  async #decide(question: FakeQuestion): Promise<Decision> {
    this.questions.push(question)
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.questions.length >= count) resolve()
      return this.questions.length < count
    })
    await this.#held
    try {
      return await this.#judge(question)
    } catch {
      return deny('internal')
    }
  }
}
