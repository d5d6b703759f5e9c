import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What the gauges read when they are asked. */
export type Readings = {
  streams(): number
  channels(): number
  historyMessages(): number
  historyBytes(): number
  backlogBytes(): number
  delivered(): number
  isReady(): boolean
  members(): number
}

const PREFIX = 'echo_sse_'

/** Everything that is counted. Labels come from closed lists, never from channels, users, addresses or origins. */
export class Metrics {
  readonly registry = new Registry()
  readonly opened = this.#counter('streams_opened_total', 'Streams and long-polls opened.', ['mode', 'resume'])
  readonly ended = this.#counter('streams_ended_total', 'Streams and long-polls ended, by reason.', ['reason'])
  readonly refused = this.#counter('requests_refused_total', 'Requests refused, by code.', ['code'])
  readonly denied = this.#counter('channels_denied_total', 'Channels refused on a stream, by code.', ['code'])
  readonly revoked = this.#counter('channels_revoked_total', 'Channels withdrawn from open streams, by code.', ['code'])
  readonly whispers = this.#counter('whispers_total', 'Whispers sent to this gateway, by outcome.', ['outcome'])
  readonly received = this.#counter('broadcasts_received_total', 'Broadcasts heard from the broker.', [])
  readonly ignored = this.#counter('messages_ignored_total', 'Messages heard and passed over, by reason.', ['reason'])
  readonly gaps = this.#counter('gaps_total', 'Gap frames written, by reason.', ['reason'])
  readonly holes = this.#counter('broker_holes_total', 'Times the order of the broker broke off.', ['reason'])
  readonly relayLost = this.#counter('relay_lost_total', 'Times the relay connection was lost.', [])
  readonly published = this.#counter('published_total', 'Publishes by HTTP, by outcome.', ['outcome'])
  readonly webhooks = this.#counter('webhooks_total', 'Webhook events, once per address, by outcome.', ['outcome'])
  readonly authDecisions = this.#counter('auth_decisions_total', 'Questions about guarded channels, by answer.', [
    'reason',
  ])
  readonly authSeconds = new Histogram({
    name: `${PREFIX}auth_call_seconds`,
    help: 'How long calls to Laravel take.',
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  })

  constructor(readings: Readings) {
    collectDefaultMetrics({ register: this.registry })
    this.#gauge('streams', 'Streams and long-polls open.', readings.streams)
    this.#gauge('channels', 'Channels somebody listens to.', readings.channels)
    this.#gauge('history_messages', 'Messages in the log.', readings.historyMessages)
    this.#gauge('history_bytes', 'Bytes in the log.', readings.historyBytes)
    this.#gauge('backlog_bytes', 'Unsent bytes of all streams.', readings.backlogBytes)
    this.#gauge('members', 'Connections of this gateway on presence channels.', readings.members)
    this.#gauge('ready', '1 while the gateway is ready.', () => Number(readings.isReady()))
    const delivered = this.#counter('deliveries_total', 'Broadcasts handed to streams.', [])
    delivered.collect = () => {
      delivered.reset()
      delivered.inc(readings.delivered())
    }
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Collected<Label> {
    return new Counter({
      name: PREFIX + name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
    }) as Collected<Label>
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: PREFIX + name,
      help,
      registers: [this.registry],
      collect: () => gauge.set(read()),
    })
  }
}

type Collected<Label extends string> = Counter<Label> & { collect?: () => void }
