import { comparePositions, type Position } from '../history/position.ts'

/** A broadcast of a cache channel. */
export type CachedEvent = {
  /** Laravel's message as it came. */
  readonly payload: Buffer
  readonly position: Position
}

/** The last broadcast of a cache channel. */
export type LastEvent = CachedEvent & {
  /** How long it is kept from now on, s. */
  readonly ttlS: number
}

/**
 * Remembers the last broadcast of every cache channel, for all gateways of the service.
 * Implementations: memory (one process), Redis.
 */
export interface LastEvents {
  /** A broadcast came on a cache channel. Returns at once. */
  heard(channel: string, payload: Buffer, position: Position): void
  /**
   * Nothing that this gateway has heard on the channel by now is newer. null when there is none, or it is too old.
   * Rejects with GatewayError `broker_unavailable`.
   */
  read(channel: string): Promise<LastEvent | null>
  stop(): Promise<void>
}

const CACHE_CHANNEL = /^(private-encrypted-|private-|presence-)?cache-/

/** Channels whose last event a new page is told first. [https://pusher.com/docs/channels/using_channels/cache-channels/] */
export function isCacheChannel(name: string): boolean {
  return CACHE_CHANNEL.test(name)
}

/** Positions of two epochs say nothing about each other. */
export function isNewer(one: Position, other: Position): boolean {
  return one.epoch === other.epoch && comparePositions(one, other) > 0
}
