export type OnFrame = (event: string, data: string, id: string) => void

/**
 * Reads `text/event-stream` chunk by chunk. [HTML, 9.2.6 "Interpreting an event stream"], except that `id` is the
 * frame's own and empty when it has none, and that `retry` is left out: `bye` says the same in its data.
 * What it returns takes bytes, cut anywhere. A block without its blank line at the end is never told.
 */
export function parser(onFrame: OnFrame): (bytes: Uint8Array) => void {
  // Holds back characters that were cut in two, and takes a byte order mark away.
  const decoder = new TextDecoder()
  let endedInCr = false
  /** The beginning of a line that goes on in the next chunk. */
  let unfinished = ''
  let event = ''
  let data: string[] = []
  let id = ''

  function take(line: string): void {
    if (line === '') {
      if (data.length > 0) onFrame(event || 'message', data.join('\n'), id)
      event = id = ''
      data = []
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
  }

  return (bytes) => {
    const text = decoder.decode(bytes, { stream: true })
    if (text === '') return
    // The LF of a CRLF that was cut in two ends no second line.
    const start = endedInCr && text.startsWith('\n') ? 1 : 0
    endedInCr = text.endsWith('\r')
    // Only what is new is searched: a long line comes in many chunks.
    const [first = '', ...lines] = text.slice(start).split(/\r\n|\n|\r/)
    unfinished += first
    for (const line of lines) {
      take(unfinished)
      unfinished = line
    }
  }
}
