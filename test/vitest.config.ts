import { defineConfig } from 'vitest/config'
import { findParts } from './support/parts.ts'
import { PATIENCE_MS } from './support/patience.ts'

const env = { TEST_PARTS: findParts() }
const expect = { poll: { timeout: PATIENCE_MS } }

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          env,
          expect,
          include: ['test/**/*.test.ts'],
          // Left to itself vitest runs one file at a time on two cores, and many of them wait for something.
          maxWorkers: 3,
          testTimeout: 30_000,
          exclude: ['test/e2e/**', '**/node_modules/**'],
          // Most of what a file alone would cost is to load what all of them need.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          env,
          expect,
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['**/vendor/**', '**/node_modules/**'],
          // Each file runs a Redis, a PHP and sometimes a browser of its own, and waits half of the time: three at a time
          // fill two cores.
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
