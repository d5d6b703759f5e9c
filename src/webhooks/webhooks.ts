import { createHmac } from 'node:crypto'
import type { Logger } from 'pino'
import type { WebhookEvent, WebhookName } from './event.ts'
import { Outbox, type OutboxTiming, type WebhookOutcome } from './outbox.ts'
import { type Letter, Sender } from './sender.ts'

export type WebhooksOptions = {
  /** Where to; none: nothing is wanted. */
  readonly urls: readonly string[]
  readonly names: readonly WebhookName[]
  /** The application's key, and the secret that signs. */
  readonly key: string
  readonly secret: string
  readonly logger: Logger
  readonly onOutcome?: (outcome: WebhookOutcome, events: number) => void
  /** Of one attempt. Default 10000. */
  readonly timeoutMs?: number
  /** What still waits at the end has so long. Default 2000. */
  readonly stopMs?: number
  readonly timing?: OutboxTiming
}

/** Tells the application what happens on its channels. [https://pusher.com/docs/channels/server_api/webhooks/] */
export class Webhooks {
  readonly #options: WebhooksOptions
  readonly #sender: Sender
  readonly #names: ReadonlySet<WebhookName>
  readonly #outboxes: readonly Outbox[]

  constructor(options: WebhooksOptions) {
    const { urls, names, logger, onOutcome = () => {}, timeoutMs = 10_000, timing } = options
    this.#options = options
    this.#sender = new Sender({ timeoutMs })
    this.#names = new Set(urls.length === 0 ? [] : names)
    this.#outboxes = [...new Set(urls)].map((text) => {
      const url = new URL(text)
      return new Outbox({
        address: url.origin + url.pathname,
        logger,
        onOutcome,
        prepare: (events) => {
          const letter = this.#write(events)
          return () => this.#sender.send(url, letter)
        },
        ...(timing === undefined ? {} : { timing }),
      })
    })
  }

  /** False spares whoever would tell the work of finding out. */
  wants(name: WebhookName): boolean {
    return this.#names.has(name)
  }

  /** Returns at once; what is wanted goes out with the next batch. */
  tell(event: WebhookEvent): void {
    if (!this.wants(event.name)) return
    const json = JSON.stringify(event)
    // Every page of an empty channel misses it, and ten thousand would push everything else out.
    const once = event.name === 'cache_miss'
    for (const outbox of this.#outboxes) outbox.put(json, { once })
  }

  /** Sends what waits, and gives up what does not arrive. */
  async stop(): Promise<void> {
    const { logger, stopMs = 2000 } = this.#options
    const impatience = setTimeout(() => void this.#sender.stop(), stopMs)
    const lost = await Promise.all(this.#outboxes.map((outbox) => outbox.stop()))
    clearTimeout(impatience)
    await this.#sender.stop()
    const events = lost.reduce((sum, each) => sum + each, 0)
    if (events > 0) logger.warn({ events }, 'the gateway stops, and these webhooks have not arrived')
  }

  #write(events: readonly string[]): Letter {
    const { key, secret } = this.#options
    const body = `{"time_ms":${Date.now()},"events":[${events.join(',')}]}`
    return {
      body,
      // Letter by letter: Pusher's libraries look for these spellings.
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'laravel-echo-sse-server',
        'X-Pusher-Key': key,
        'X-Pusher-Signature': createHmac('sha256', secret).update(body).digest('hex'),
      },
    }
  }
}
