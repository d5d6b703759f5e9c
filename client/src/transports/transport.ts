export type TransportName = 'eventsource' | 'fetch' | 'poll'

export type Parameter = readonly [name: string, value: string]

/** One request to the gateway. */
export type StreamRequest = {
  /** The gateway's base address, absolute. */
  readonly url: string
  /** Names may repeat: a channel whose name holds a comma has a parameter of its own. */
  readonly parameters: readonly Parameter[]
  readonly headers: Readonly<Record<string, string>>
  readonly withCredentials?: boolean | null | undefined
}

/** Why an answer ended. Without a status: the line broke, or the answer came to its end. */
export type StreamEnd = {
  /** The status of a refusal; 200 when the answer was none of the gateway's (a login page, a captive portal). */
  readonly status?: number
  readonly retryAfterMs?: number | undefined
  /** What the gateway said about a refusal. */
  readonly message?: string | undefined
  /** The answer was read to its end. */
  readonly isWhole?: boolean
}

export type TransportListener = {
  /** The head of an answer is there. */
  onAnswer(): void
  /** `id` is empty when the frame carries none. */
  onFrame(event: string, data: string, id: string): void
  /** Called once, and never after `close`. */
  onEnd(end: StreamEnd): void
}

/** Ends it. */
export type Close = () => void

/** One way to read the gateway's frames. Nothing of it throws; whatever goes wrong is an end. */
export type Transport = (request: StreamRequest, listener: TransportListener) => Close
