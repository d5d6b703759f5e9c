import { AsyncLocalStorage } from 'node:async_hooks'
import { onTestFinished, type TestContext } from 'vitest'

const apartTests = new AsyncLocalStorage<TestContext['onTestFinished']>()

/** Runs after the test that is running. In a hook there is none: whoever opens something there closes it. */
export function atEndOfTest(callback: () => unknown): void {
  const atEnd = apartTests.getStore() ?? onTestFinished
  try {
    atEnd(async () => {
      await callback()
    })
  } catch {
    // Outside of a test.
  }
}

/** For the body of an `it.concurrent`: what it opens is closed at its own end. Vitest knows of one running test only. */
export function apart(body: () => Promise<void>): (context: TestContext) => Promise<void> {
  return ({ onTestFinished }) => apartTests.run(onTestFinished, body)
}
