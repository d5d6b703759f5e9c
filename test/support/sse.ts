import { createParser } from 'eventsource-parser'

/** A frame as a parser that follows the standard reads it; what was not sent is absent. */
export type ReadFrame = { event?: string; id?: string; data: string; retry?: number }

/** Reads a stream, given in the pieces in which it arrived. */
export function readFrames(pieces: string | readonly string[]): ReadFrame[] {
  const frames: ReadFrame[] = []
  let retry: number | undefined
  const parser = createParser({
    onEvent({ event, id, data }) {
      frames.push({
        ...(event === undefined ? {} : { event }),
        ...(id === undefined ? {} : { id }),
        data,
        ...(retry === undefined ? {} : { retry }),
      })
      retry = undefined
    },
    onRetry: (ms) => {
      retry = ms
    },
    onError: (error) => {
      throw error
    },
  })
  for (const piece of typeof pieces === 'string' ? [pieces] : pieces) parser.feed(piece)
  return frames
}
