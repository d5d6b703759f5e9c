import type { WebhookEvent } from '../../src/webhooks/event.ts'
import { atEndOfTest } from './at-end.ts'
import { FakeLaravel, type FakeScript } from './fake-laravel.ts'
import { PATIENCE_MS } from './patience.ts'

/** What an answer to a webhook usually is. */
export const TAKEN = { status: 200, body: 'ok' }

/** The application's route for webhooks, over real HTTP. */
export class WebhookReceiver {
  readonly server: FakeLaravel
  readonly url: string

  private constructor(server: FakeLaravel) {
    this.server = server
    this.url = `${server.url}/webhooks`
  }

  static async start(script: FakeScript = TAKEN): Promise<WebhookReceiver> {
    const server = await FakeLaravel.start(script)
    atEndOfTest(() => server.close())
    return new WebhookReceiver(server)
  }

  /** Body by body, attempts that were refused too. */
  batches(): WebhookEvent[][] {
    return this.server.requests.map(({ body }) => (JSON.parse(body) as { events: WebhookEvent[] }).events)
  }

  /** What was told, in order. */
  events(): WebhookEvent[] {
    return this.batches().flat()
  }

  /** Resolves when this holds for what was told; it is looked at again with each body. */
  async until(condition: (events: WebhookEvent[]) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!condition(this.events())) {
      const more = this.server.untilRequests(this.server.requests.length + 1).then(() => true)
      if (!(await Promise.race([more, outOfPatience(deadline - Date.now())]))) {
        throw new Error(`Waited in vain for ${condition}. Told: ${JSON.stringify(this.events().slice(-5))}`)
      }
    }
  }
}

function outOfPatience(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
