import type { Grants } from '../auth/grants.ts'
import { parseRevocation } from '../auth/revocation.ts'
import { LEAVES, parseLeave, parseWhisper, REVOCATIONS, WHISPERS } from '../channels/own-traffic.ts'
import { formatPosition, type Position } from '../history/position.ts'
import { whisperFrame } from '../hub/frames.ts'
import type { Hub } from '../hub/hub.ts'
import type { Occupancy } from '../occupancy/occupancy.ts'
import type { Presence } from '../presence/presence.ts'
import { PRESENCE_TRAFFIC } from '../presence/store.ts'

export type OwnTrafficParts = {
  readonly hub: Hub
  readonly presence: Presence
  readonly occupancy: Occupancy
  readonly grants: Grants
}

/** What comes through the broker from other gateways, or from whoever revokes; this gateway's own included. */
export class OwnTraffic {
  readonly #handlers: ReadonlyMap<string, (payload: Buffer, position: Position | null) => boolean>

  constructor({ hub, presence, occupancy, grants }: OwnTrafficParts) {
    this.#handlers = new Map([
      [PRESENCE_TRAFFIC, (payload) => presence.heard(payload)],
      [WHISPERS, (payload) => deliverWhisper(hub, payload)],
      [LEAVES, (payload) => leave(grants, occupancy, payload)],
      [REVOCATIONS, (payload, position) => revoke(grants, payload, position)],
    ])
  }

  /** `position`: where other gateways hear it too, if that is known. False when it is not what is said on this channel. */
  heard(channel: string, payload: Buffer, position: Position | null): boolean {
    const handler = this.#handlers.get(channel)
    return handler === undefined ? SILENT.test(channel) : handler(payload, position)
  }
}

/** Heard by the broker itself; other databases of one Redis have a clock of their own. */
const SILENT = /^sse:(clock(:\d+)?|canary)$/

function deliverWhisper(hub: Hub, payload: Buffer): boolean {
  const whisper = parseWhisper(payload.toString())
  if (whisper === null) return false
  const { channel, event, dataJson, userId, socketId } = whisper
  if (hub.has(channel)) hub.pass(channel, [whisperFrame(channel, event, dataJson, userId)], socketId)
  return true
}

function leave(grants: Grants, occupancy: Occupancy, payload: Buffer): boolean {
  const socketId = parseLeave(payload.toString())
  if (socketId === null) return false
  grants.leave(socketId)
  occupancy.forget(socketId)
  return true
}

function revoke(grants: Grants, payload: Buffer, position: Position | null): boolean {
  const revocation = parseRevocation(payload.toString())
  if (revocation === null) return false
  grants.revoke(revocation, position && formatPosition(position))
  return true
}
