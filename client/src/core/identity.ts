import type { ConnectedData, LeaveBody, WhisperBody } from '../../../src/protocol.ts'
import type { Parameter } from '../transports/transport.ts'
import type { EngineOptions } from './listener.ts'

/** Who this page is to the gateway, and what it says under that name. In memory only: a copied tab is somebody else. */
export class Identity {
  readonly #options: EngineOptions
  #socketId: string | null = null
  #key = ''

  constructor(options: EngineOptions) {
    this.#options = options
  }

  get socketId(): string | null {
    return this.#socketId
  }

  get parameters(): Parameter[] {
    return this.#socketId === null ? [] : Object.entries(this.#proof())
  }

  take({ socketId, key }: ConnectedData): void {
    this.#socketId = socketId
    this.#key = key
  }

  forget(): void {
    this.#socketId = null
  }

  /** Rejects when the gateway did not take it. */
  whisper(words: Pick<WhisperBody, 'channel' | 'event' | 'data'>): Promise<void> {
    return this.#post('/whisper', { ...words, ...this.#proof() }, { headers: { 'Content-Type': 'application/json' } })
  }

  /** The others on its presence channels need not wait then. Whether it arrives is seen by nobody. */
  leave(): void {
    if (this.#socketId === null) return
    // A page that is being closed may still send this, and a text needs no permission from another origin first.
    const options = { headers: { 'Content-Type': 'text/plain' }, keepalive: true }
    this.#post('/leave', this.#proof(), options).catch(() => {})
  }

  #proof(): LeaveBody {
    return { socketId: this.#socketId ?? '', key: this.#key }
  }

  async #post(path: string, body: LeaveBody | WhisperBody, options: RequestInit): Promise<void> {
    const { url, withCredentials, headers } = this.#options
    const answer = await fetch(url + path, {
      ...options,
      method: 'POST',
      body: JSON.stringify(body),
      credentials: withCredentials ? 'include' : 'same-origin',
      headers: { ...headers?.(), ...options.headers },
    })
    if (answer.ok) return
    const told = await answer.json().catch(() => null)
    throw new Error(`${path} was refused with ${answer.status}: ${told?.error?.message ?? 'no reason given'}`)
  }
}
