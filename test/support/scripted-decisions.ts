import type { Decision } from '../../src/auth/authorizer.ts'
import type { FakeJudge } from './fake-authorizer.ts'

/** Laravel's answers when the test says, one channel at a time: `authorizer.decides(script.judge)`. */
export class ScriptedDecisions {
  readonly #decisions = new Map<string, Decision>()
  readonly #waiting: { name: string; resolve: (decision: Decision) => void }[] = []

  readonly judge: FakeJudge = ({ channel: { name } }) =>
    this.#decisions.get(name) ?? new Promise((resolve) => this.#waiting.push({ name, resolve }))

  /** Answers what was asked about the channel, or what will be. */
  decide(channel: string, decision: Decision): void {
    this.#decisions.set(channel, decision)
    for (const { name, resolve } of this.#waiting) if (name === channel) resolve(decision)
  }
}
