import { Agent, request } from 'undici'

/** A batch as it is sent, attempt after attempt. */
export type Letter = { readonly headers: Readonly<Record<string, string>>; readonly body: string }

export type SenderOptions = {
  /** From connecting to the status of the answer. */
  readonly timeoutMs: number
}

/** Of an answer nothing is wanted but its status; so much is read to keep the connection. */
const MAX_ANSWER_BYTES = 16_384

/** Posts to the application: no redirect followed, TLS verified. */
export class Sender {
  readonly #agent: Agent
  readonly #timeoutMs: number

  constructor({ timeoutMs }: SenderOptions) {
    this.#timeoutMs = timeoutMs
    // Our own timer covers the call up to its status.
    this.#agent = new Agent({
      headersTimeout: 0,
      bodyTimeout: timeoutMs,
      connect: { timeout: timeoutMs, rejectUnauthorized: true },
    })
  }

  /** Answers why it has not arrived, or null. Never rejects. */
  async send(url: URL, { headers, body }: Letter): Promise<string | null> {
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), this.#timeoutMs)
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: { ...headers, ...loginOf(url) },
        body,
        signal: timeout.signal,
      })
      // Nobody waits for the rest: it may take its time, or never end.
      answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => {})
      return answer.statusCode >= 200 && answer.statusCode < 300 ? null : `it answered ${answer.statusCode}`
    } catch (error) {
      return timeout.signal.aborted ? `no answer within ${this.#timeoutMs} ms` : codeOf(error)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Breaks off what is under way. */
  async stop(): Promise<void> {
    await this.#agent.destroy()
  }
}

// undici passes over what a URL says before the @.
function loginOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const login = Buffer.from(`${decoded(username)}:${decoded(password)}`)
  return { Authorization: `Basic ${login.toString('base64')}` }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'unknown error'
}
