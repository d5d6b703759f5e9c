import type { Readable } from 'node:stream'
import { PATIENCE_MS } from './patience.ts'

/** Hands out the lines of a text as they arrive; what stands after the last line break is the last line. */
export class LineReader {
  #lines: string[] = []
  #rest = ''
  #isOver = false
  #wake = () => {}

  constructor(source: Readable) {
    source.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (this.#rest + chunk).split('\n')
      this.#rest = lines.pop() ?? ''
      this.#lines.push(...lines)
      this.#wake()
    })
    source.on('error', () => {})
    source.on('close', () => {
      if (this.#rest !== '') this.#lines.push(this.#rest)
      this.#isOver = true
      this.#wake()
    })
  }

  /** True when everything that came was read, and more may come. */
  get isWaiting(): boolean {
    return this.#lines.length === 0 && this.#rest === '' && !this.#isOver
  }

  /** The next line; null when the text is over. */
  async next(): Promise<string | null> {
    while (this.#lines.length === 0 && !this.#isOver) await this.#more()
    return this.#lines.shift() ?? null
  }

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const impatience = setTimeout(() => reject(new Error(`Nothing came within ${PATIENCE_MS} ms.`)), PATIENCE_MS)
      this.#wake = () => {
        clearTimeout(impatience)
        resolve()
      }
    })
  }
}
