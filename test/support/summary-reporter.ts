import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import { missingParts } from './parts.ts'

/**
 * The last words of a run: which tests could not run because a part is missing, and one line that a script can read:
 * `N passed, N failed, N skipped`.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0
    // A file that could not be loaded and an error outside of tests are failures without a test.
    let failed = unhandledErrors.length
    let skipped = 0
    const notRun = new Set<string>()

    for (const module of modules) {
      const tests = [...module.children.allTests()]
      const failedHere = tests.filter((test) => test.result().state === 'failed').length
      failed += failedHere === 0 && !module.ok() ? 1 : failedHere
      passed += tests.filter((test) => test.result().state === 'passed').length
      for (const test of tests) {
        if (test.result().state !== 'skipped') continue
        skipped++
        notRun.add(`${module.relativeModuleId}: ${test.fullName.split(' > ')[0]}`)
      }
    }

    const missing = missingParts()
    if (missing.length > 0) console.log(partsNotice(missing, notRun))
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
}

function partsNotice(missing: string[], notRun: Set<string>): string {
  const bar = '!'.repeat(100)
  return [
    bar,
    `NOT EVERYTHING WAS TESTED. Missing on this machine: ${missing.join(', ')}.`,
    'test/support/bootstrap.sh says how to get it. Tests that did not run:',
    ...[...notRun].map((title) => `  ${title}`),
    bar,
  ].join('\n')
}
