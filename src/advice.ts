import type { Services } from './http/app.ts'

/** The first hour: says what is probably wrong. Returns what stops it. */
export function startAdvice(_services: Services): () => void {
  return () => {}
}
