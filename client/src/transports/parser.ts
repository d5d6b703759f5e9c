export type OnFrame = (event: string, data: string, id: string) => void

/**
 * Reads `text/event-stream` chunk by chunk. [HTML, 9.2.6 "Interpreting an event stream"], except that `id` is the
 * frame's own and empty when it has none, and that `retry` is left out: `bye` says the same in its data.
 */
export class Parser {
  readonly #onFrame: OnFrame
  // Holds back characters that were cut in two, and takes a byte order mark away.
  readonly #decoder = new TextDecoder()
  #endedInCr = false
  /** The beginning of a line that goes on in the next chunk. */
  #line = ''
  #event = ''
  #data: string[] = []
  #id = ''

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** Takes bytes, cut anywhere. A block without its blank line at the end is never told. */
  feed(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true })
    if (text === '') return
    // The LF of a CRLF that was cut in two ends no second line.
    const start = this.#endedInCr && text.startsWith('\n') ? 1 : 0
    this.#endedInCr = text.endsWith('\r')
    // Only what is new is searched: a long line comes in many chunks.
    const [first = '', ...lines] = text.slice(start).split(/\r\n|\n|\r/)
    this.#line += first
    for (const line of lines) {
      this.#take(this.#line)
      this.#line = line
    }
  }

  #take(line: string): void {
    if (line === '') {
      this.#dispatch()
      return
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#event = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
  }

  #dispatch(): void {
    const [event, data, id] = [this.#event || 'message', this.#data, this.#id]
    this.#event = ''
    this.#data = []
    this.#id = ''
    if (data.length > 0) this.#onFrame(event, data.join('\n'), id)
  }
}
