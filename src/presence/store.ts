import type { Member } from '../auth/authorizer.ts'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { type ListedMember, printMember } from './member.ts'

/** Where the changes of all presence channels go through the broker, in its order. */
export const PRESENCE_TRAFFIC = `${RESERVED_PREFIX}presence`

/** Who came and who left, in one step. */
export type PresenceChange = {
  readonly channel: string
  /**
   * One more than the version before; anything else means that a change was missed. A channel that was empty, or whose
   * record was lost, begins anew from a number greater than any before.
   */
  readonly version: number
  /** Users who were not there, and users whose info is another now. */
  readonly joined: readonly ListedMember[]
  /** Ids of users who are nowhere any more. */
  readonly left: readonly string[]
}

/** Who is on a channel of the service since a step of this node, and who no longer is. Ids of users. */
export type PresenceNews = {
  readonly channel: string
  readonly joined: readonly string[]
  readonly left: readonly string[]
}

export type PresenceHooks = {
  /**
   * The record of this node is gone (frozen too long, a flush); it has to say everything again. `isAnew`: nor does the
   * word of any other node count, for the store has begun anew with what it knew.
   */
  onForgotten(isAnew: boolean): void
  /** Of each coming and going in the service one node is told, once: the one whose step it was, or who found it undone. */
  onNews?(news: PresenceNews): void
}

export type PresenceSnapshot = {
  /** 0 while nobody is there. */
  readonly version: number
  readonly members: readonly ListedMember[]
  /** Ids of those who are there on this node's word. */
  readonly own: ReadonlySet<string>
}

/** What this node's word is about one channel. Both lists may name users of whom it is true already. */
export type PresenceUpdate = {
  readonly channel: string
  readonly joined: readonly ListedMember[]
  readonly left: readonly string[]
  /** True when nobody of this node is left there. */
  readonly isLast: boolean
}

/**
 * Who is on the presence channels of a service: a user is there as long as at least one node says so. A node's word
 * is worth nothing once its lease has run out; its peers then take its users off.
 * Implementations: memory (one process), Redis.
 */
export interface PresenceStore {
  start(hooks: PresenceHooks): void
  /** Atomic, and harmless when repeated. What it changes is published on PRESENCE_TRAFFIC. Rejects when it may not be done. */
  update(update: PresenceUpdate): Promise<void>
  read(channel: string): Promise<PresenceSnapshot>
  /** Asks whether this node's record is still there; calls `onForgotten` when it is not. Never rejects. */
  verify(): Promise<void>
  /** Stops. What this node has said stays true for `keepMs` more, so that pages can come back elsewhere. */
  stop(keepMs: number): Promise<void>
}

/** The text of a change as it goes through the broker. */
export function printChange({ channel, version, joined, left }: PresenceChange): string {
  const members = joined.map(({ json }) => json).join(',')
  return `{"channel":${JSON.stringify(channel)},"version":${version},"joined":[${members}],"left":${JSON.stringify(left)}}`
}

/** Reads a change; null when it is none. Never throws. */
export function parseChange(text: string): PresenceChange | null {
  try {
    return readChange(JSON.parse(text))
  } catch {
    // No JSON; or [V8] nested so deeply that it can be read, but not printed.
    return null
  }
}

function readChange(change: unknown): PresenceChange | null {
  if (!isObject(change)) return null
  const { channel, version, joined, left } = change
  if (typeof channel !== 'string' || !Number.isSafeInteger(version)) return null
  if (!Array.isArray(joined) || !Array.isArray(left)) return null
  if (!joined.every(isMember) || !left.every((id) => typeof id === 'string')) return null
  return { channel, version: version as number, joined: joined.map(printMember), left }
}

function isMember(value: unknown): value is Member {
  return isObject(value) && typeof value.id === 'string' && Object.hasOwn(value, 'info')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
