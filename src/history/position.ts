/**
 * Where a message stands in Redis's own order: the `count`-th message after marker `marker` of `epoch`.
 * Every node that heard the marker gives a message the same position, so it serves as `id:` on all of them.
 */
export type Position = { readonly epoch: number; readonly marker: number; readonly count: number }

// A number of at most 16 digits that JavaScript holds exactly.
const POSITION = /^(\d{1,16})\.(\d{1,16})\.(\d{1,16})$/

export function parsePosition(text: string): Position | null {
  const match = POSITION.exec(text)
  if (match === null) return null
  const [epoch, marker, count] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const exact = [epoch, marker, count].every(Number.isSafeInteger)
  return exact ? { epoch, marker, count } : null
}

export function formatPosition({ epoch, marker, count }: Position): string {
  return `${epoch}.${marker}.${count}`
}

/** Negative when `a` comes first. Numbers, not text: 10 follows 9. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.marker - b.marker || a.count - b.count
}

/**
 * Parses what a client sends as its last event id. While a channel of the stream was undecided the id
 * was `start~position`; only up to `start` is everything known to have arrived.
 */
export function parseCursor(id: string): Position | null {
  const tilde = id.indexOf('~')
  return parsePosition(tilde === -1 ? id : id.slice(0, tilde))
}
