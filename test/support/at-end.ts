import { onTestFinished } from 'vitest'

/** Runs after the test that is running. In a hook there is none: whoever opens something there closes it. */
export function atEndOfTest(callback: () => unknown): void {
  try {
    onTestFinished(async () => {
      await callback()
    })
  } catch {
    // Outside of a test.
  }
}
