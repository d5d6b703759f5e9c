import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The programs the tests run against. bootstrap.sh knows how each is found and installed. */
export type Part =
  | 'redis'
  | 'nginx'
  | 'chromium'
  | 'firefox'
  | 'webkit'
  | 'curl'
  | 'openssl'
  | 'php'
  | 'phpredis'
  | 'laravel-8'
  | 'laravel-12'
  | 'pusher-sdk'

/** Whether all of these are on this machine. */
export function has(...parts: Part[]): boolean {
  return missing(parts).length === 0
}

/** Where a part is: a program's path, the folder of Laravel 12 or of Pusher's SDK, the autoloader of Laravel 8. */
export function pathOf(part: Part): string {
  const path = found().get(part)
  if (!path) throw new Error(lacking([part]))
  return path
}

/**
 * For `describe.runIf(requirePart('redis', 'nginx'))`. A missing part skips those tests on a developer's machine
 * and fails the file with CI=true, where nothing may be left out unnoticed.
 */
export function requirePart(...parts: Part[]): boolean {
  const lack = missing(parts)
  if (lack.length > 0 && process.env.CI === 'true') throw new Error(lacking(lack))
  return lack.length === 0
}

/** What bootstrap.sh finds, as text. test/vitest.config.ts asks once and hands it to every worker. */
export function findParts(): string {
  return execFileSync('bash', [join(import.meta.dirname, 'bootstrap.sh'), '--parts'], { encoding: 'utf8' })
}

/** The names of all parts that are not here. */
export function missingParts(): Part[] {
  return [...found()].filter(([, path]) => path === '').map(([part]) => part)
}

function missing(parts: Part[]): Part[] {
  return parts.filter((part) => !found().get(part))
}

let parsed: Map<Part, string> | undefined

function found(): Map<Part, string> {
  parsed ??= new Map(
    (process.env.TEST_PARTS ?? findParts())
      .trim()
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([part, path]) => [part as Part, path === undefined || path === '-' ? '' : path]),
  )
  return parsed
}

function lacking(parts: Part[]): string {
  return `Missing on this machine: ${parts.join(', ')}. Run test/support/bootstrap.sh, which installs it or says how.`
}
