import type { LeaveBody, WhisperBody } from '../../../src/protocol.ts'
import { reasonOf, send } from '../transports/send.ts'
import { nameOf, type Page } from './listener.ts'

/** Who this page is to the gateway, and what it says under that name. In memory only: a copied tab is somebody else. */
export class Identity {
  proof: LeaveBody | null = null
  readonly #page: Page

  constructor(page: Page) {
    this.#page = page
  }

  whisper(words: Pick<WhisperBody, 'channel' | 'event' | 'data'>): void {
    this.#post('/whisper', words, 'application/json').catch(this.#page.onError)
  }

  /** The others on its presence channels need not wait then. Whether it arrives is seen by nobody. */
  leave(): void {
    // A text needs no permission from another origin first.
    this.#post('/leave', {}, 'text/plain').catch(() => {})
  }

  async #post(path: string, body: object, type: string): Promise<void> {
    const name = nameOf(this.#page)
    const answer = await send(name.url + path, name, {
      method: 'POST',
      body: JSON.stringify({ ...body, ...this.proof }),
      headers: { 'Content-Type': type },
      // A page that is being closed may still send this.
      keepalive: path === '/leave',
    })
    if (!answer.ok) throw new Error(`${path} was refused with ${answer.status}: ${await reasonOf(answer)}`)
  }
}
