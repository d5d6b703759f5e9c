import type { Logger } from 'pino'
import type { BrokerListener, BrokerMessage, HoleReason } from '../broker/broker.ts'
import { isCacheChannel } from '../cache/last-events.ts'
import { looksLikeBroadcast } from '../channels/broadcast.ts'
import { type ChannelRules, parseChannel, RESERVED_PREFIX } from '../channels/channel.ts'
import type { History } from '../history/history.ts'
import { comparePositions, type Position } from '../history/position.ts'
import type { Hub } from '../hub/hub.ts'

/** Why a message was passed over: the closed list of the metric label. */
export type IgnoredReason = 'not_laravel' | 'malformed' | 'invalid_channel' | 'other_prefix' | 'not_ours'

export type RelayOptions = {
  history: History
  hub: Hub
  rules: ChannelRules
  logger: Logger
  /** Hears what gateways say to each other, and where, if all of them know that; false when it makes no sense. */
  onOwnTraffic?: (channel: string, payload: Buffer, position: Position | null) => boolean
  onReceived?: () => void
  /** A broadcast on a cache channel. */
  onCacheable?: (channel: string, payload: Buffer, position: Position) => void
  onHole?: (reason: HoleReason) => void
  onIgnored?: (reason: IgnoredReason, channel: string) => void
}

/** A line about ignored messages is written at most so often. */
const COMPLAIN_EVERY_MS = 60_000
/** When the order breaks off backwards, everybody comes back within this time. */
const SPREAD_MS = 2000

/** What happens to a message: the broker hears it, the log keeps it, the hub delivers it. */
export class Relay implements BrokerListener {
  readonly #options: RelayOptions
  #ignored = 0
  #complainedAtMs = 0

  constructor(options: RelayOptions) {
    this.#options = options
  }

  onMessage({ channel, payload, position, hasId }: BrokerMessage): void {
    const { history, hub, onReceived, onCacheable, onOwnTraffic } = this.#options
    if (channel.startsWith(RESERVED_PREFIX)) {
      this.onAdvance(position)
      if (onOwnTraffic?.(channel, payload, hasId ? position : null) === false) this.#ignore('not_ours', channel)
      return
    }
    const reason = this.#whyIgnored(channel, payload)
    if (reason === null) {
      onReceived?.()
      const entry = history.append(channel, payload, position, hasId)
      // Before it is delivered: whoever asks for the last event then, has missed nothing.
      if (onCacheable !== undefined && isCacheChannel(channel) && entry.frame !== null) {
        onCacheable(channel, payload, position)
      }
      hub.deliver(entry)
      return
    }
    this.#ignore(reason, channel)
    this.onAdvance(position)
  }

  onAdvance(position: Position): void {
    this.#options.history.advance(position)
    this.#options.hub.headMoved()
  }

  onHole(position: Position, reason: HoleReason): void {
    const { history, hub, logger, onHole } = this.#options
    const { head } = history
    if (head !== null && comparePositions(position, head.position) < 0) this.#startOver()
    history.addHole(position, reason)
    // The first hole is the start of the log.
    if (head !== null) {
      onHole?.(reason)
      logger.warn({ reason }, 'messages may be missing: subscribers are told of a gap')
    }
    hub.holeFound()
  }

  // The new order counts from behind the old one (a clock set back): ids would go back too, so the streams end
  // and come back with a cursor that is told of the gap.
  #startOver(): void {
    this.#options.hub.endAll('expired', () => 1000 + Math.floor(Math.random() * SPREAD_MS))
    this.#options.history.clear()
  }

  #whyIgnored(channel: string, payload: Buffer): IgnoredReason | null {
    if (!looksLikeBroadcast(payload)) return 'not_laravel'
    if (this.#options.hub.has(channel)) return null
    return 'invalid' in parseChannel(channel, this.#options.rules) ? 'invalid_channel' : null
  }

  #ignore(reason: IgnoredReason, channel: string): void {
    this.#ignored += 1
    this.#options.onIgnored?.(reason, channel)
    const now = Date.now()
    if (now - this.#complainedAtMs < COMPLAIN_EVERY_MS) return
    this.#complainedAtMs = now
    this.#options.logger.warn(
      { reason, ignored: this.#ignored },
      'messages on Redis that are not Laravel broadcasts are ignored',
    )
  }
}
