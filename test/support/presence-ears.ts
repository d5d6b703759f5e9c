import { type PresenceChange, parseChange } from '../../src/presence/store.ts'
import { PATIENCE_MS } from './patience.ts'

/** Keeps the changes of presence that were published, and lets a test wait for them. */
export class PresenceEars {
  readonly changes: PresenceChange[] = []
  #waiting: (() => void)[] = []

  hear(payload: string): void {
    const change = parseChange(payload)
    if (change === null) throw new Error(`this is no change: ${payload.slice(0, 200)}`)
    this.changes.push(change)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  on(channel: string): PresenceChange[] {
    return this.changes.filter((change) => change.channel === channel)
  }

  /** Who came (+) and left (-) on a channel, one text a change: `+7 +8`, `-7`. */
  story(channel: string): string[] {
    return this.on(channel).map(({ joined, left }) =>
      [...joined.map(({ id }) => `+${id}`), ...left.map((id) => `-${id}`).sort()].join(' '),
    )
  }

  /** Resolves when the condition holds; it is looked at again after each change. */
  async until(condition: (self: this) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!condition(this)) {
      await new Promise<void>((resolve, reject) => {
        const impatience = setTimeout(
          () => reject(new Error(`Waited in vain for ${condition}. Heard: ${JSON.stringify(this.changes.slice(-5))}`)),
          deadline - Date.now(),
        )
        this.#waiting.push(() => {
          clearTimeout(impatience)
          resolve()
        })
      })
    }
  }
}
