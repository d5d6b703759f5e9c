import type { Position } from '../history/position.ts'

/** A message as the broker hands it on. */
export type BrokerMessage = {
  /** Laravel's channel name, without the Redis prefix. */
  readonly channel: string
  readonly payload: Buffer
  readonly position: Position
  /** False for what was heard while the order was not known: it is delivered without an id. */
  readonly hasId: boolean
}

/** One payload for several channels. */
export type Publication = {
  readonly channels: readonly string[]
  readonly payload: string
  /** A name its publisher gave it: what bears the same name is not published again within ONCE_FOR_MS. null for none. */
  readonly once?: string | null
}

/** How long it is remembered that something was published. */
export const ONCE_FOR_MS = 10 * 60_000

/** Why messages may be missing before `position`. */
export type HoleReason = 'restart' | 'relay-lost'

/** Hears everything, in order. Its methods never throw and return at once. */
export type BrokerListener = {
  onMessage(message: BrokerMessage): void
  /** The order goes on at `position`: nothing to tell, but the head stands there. */
  onAdvance(position: Position): void
  /** Messages before `position` may be missing. The first thing a listener hears is such a hole: the start. */
  onHole(position: Position, reason: HoleReason): void
}

/**
 * Carries messages between Laravel, whoever publishes by HTTP, and all gateways of one service.
 * Implementations: memory (one process), Redis.
 */
export interface Broker {
  readonly kind: 'memory' | 'redis'
  /** Resolves when messages are heard and their order is known. Rejects only for what waiting cannot cure. */
  start(listener: BrokerListener): Promise<void>
  /**
   * Publishes one payload on several channels, all or none. Resolves when the broker has it and at least one
   * gateway hears it; rejects with GatewayError `broker_unavailable` otherwise.
   */
  publish(channels: readonly string[], payload: string): Promise<void>
  /** The same for several payloads, next to each other, all or none. What was published `once` already counts as published. */
  publishAll(publications: readonly Publication[]): Promise<void>
  /** True while what is published would be heard here. */
  isReady(): boolean
  /**
   * Text that all gateways of the service share and nobody else knows. `current` is what this gateway uses: it
   * becomes the shared one when the broker has lost its own.
   */
  sharedSecret(current?: string): Promise<string>
  stop(): Promise<void>
}
