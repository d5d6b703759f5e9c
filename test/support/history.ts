import { History, type HistoryOptions } from '../../src/history/history.ts'
import { type Position, parsePosition } from '../../src/history/position.ts'

/** A position from its text. */
export function at(text: string): Position {
  const position = parsePosition(text)
  if (position === null) throw new Error(`${text} is not a position`)
  return position
}

/** A log with room for everything, unless told otherwise. */
export function historyOf(options: Partial<HistoryOptions> = {}): History {
  const unbounded = { maxMessages: 1e9, maxChannelBytes: 1e9, maxBytes: 1e9, maxAgeMs: 1e9 }
  return new History({ ...unbounded, ...options })
}

/** A message as Laravel's Redis driver writes it. */
export function laravel(data: unknown, socket: string | null = null, event = 'App\\Events\\E'): Buffer {
  return Buffer.from(JSON.stringify({ event, data, socket }))
}
