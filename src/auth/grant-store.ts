import type { Member } from './authorizer.ts'
import type { Revocation } from './revocation.ts'

/** What a socket has been granted: guarded channels, with who it is on presence channels. */
export type GrantedChannels = ReadonlyMap<string, Member | null>

export type GrantRecord = {
  readonly channels: GrantedChannels
  /** False for what is kept only so that a page that comes back need not be asked about again. */
  readonly isLive: boolean
}

export type PastRevocation = { readonly revocation: Revocation; readonly agoMs: number }

/**
 * What sockets have been granted, as their node tells the others. It serves two purposes: a page that comes back to
 * another node, and whispers sent to another node.
 */
export interface GrantStore {
  /** Everything the socket is granted at this node. What other nodes only keep for its return is forgotten. */
  write(socketId: string, channels: GrantedChannels): Promise<void>
  /**
   * The socket is no longer live at this node, and what it was granted here is forgotten `keepMs` from now; at once when
   * that is 0, or when the socket has gone on at another node.
   */
  release(socketId: string, keepMs: number): Promise<void>
  /** The page says that it is gone: whoever has written, it counts no more. */
  forget(socketId: string): Promise<void>
  /** What the living nodes have written, each for itself, without what was revoked since. */
  find(socketId: string): Promise<readonly GrantRecord[]>
  /**
   * What was written before now and is revoked by this is not found any more; remembered for `keepMs`. `id` is the one its
   * message has in the broker's order, at all nodes: when another node has said the same before, nothing is done. A node
   * that does not know it says null.
   */
  revoke(revocation: Revocation, keepMs: number, id: string | null): Promise<void>
  /** What is remembered, whoever has heard it. */
  revocations(): Promise<readonly PastRevocation[]>
}
