import { vi } from 'vitest'
import { PATIENCE_MS } from './patience.ts'

/** Resolves when this holds; for what there is no event to wait for. */
export async function untilTrue(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(condition, { interval: 20, timeout: PATIENCE_MS })
}
