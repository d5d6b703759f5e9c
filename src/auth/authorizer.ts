import type { Channel } from '../channels/channel.ts'

/** Who asks: what the caller sent, and where the call came from as far as we trust it. */
export type Credentials = {
  /** The caller's request headers, names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The caller's address: the rightmost one that is not a trusted proxy. */
  readonly address: string
  /** Scheme and host (with port, if it has one) under which the caller reached us. */
  readonly protocol: 'http' | 'https'
  readonly host: string
}

/** Who somebody is on a presence channel; on a private one, where Laravel says so, whose page it is. Ids are compared as strings. */
export type Member = { readonly id: string; readonly info: unknown }

export type Grant = { readonly allowed: true; readonly member?: Member; readonly sharedSecret?: string }

export type Denial = {
  readonly allowed: false
  /** An HTTP status: Laravel's own for 401, 403, 419, 429; ours otherwise. */
  readonly status: number
  /** A code of errors.ts. */
  readonly code: string
  /** A sentence the page may show. */
  readonly message: string
  /** True when the same question may get another answer later. */
  readonly retry: boolean
  readonly retryAfterMs?: number
  /** What was behind it, for the log alone: a reason of a closed list, and what came with it. */
  readonly cause?: string
}

export type Decision = Grant | Denial

/** The questions of one request. They share a place in the queue and are dropped together. */
export interface AuthorizerSession {
  /** Puts one guarded channel to the authorizer. Never rejects: what fails is a denial. */
  authorize(channel: Channel): Promise<Decision>
  /** The caller has left. Questions not sent yet are dropped; their promises resolve to a denial. */
  close(): void
}

/** Decides who may listen to guarded channels. Public channels are never put to it. */
export interface Authorizer {
  open(credentials: Credentials, socketId: string): AuthorizerSession
  stop(): Promise<void>
}
