import type { BroadcastData, DeniedData, GapData, MemberData } from '../../../src/protocol.ts'
import type { StreamRequest, TransportName } from '../transports/transport.ts'
import type { LinkState } from './link.ts'
import type { Subscription } from './subscription.ts'

export type Headers = Readonly<Record<string, string>>

export type EngineOptions = {
  /** The gateway's base address, absolute. */
  readonly url: string
  readonly transport?: 'auto' | TransportName | null | undefined
  readonly withCredentials?: boolean | null | undefined
  /** Read for every request. Their names are in lower case. */
  readonly headers?: () => Headers
  /** Keeps a stream open while there is no channel, for its socket id. */
  readonly keepAlive?: boolean | null | undefined
}

/** `channel` is `*` when the gateway, or something before it, wants a login for the whole stream. */
export type AuthFailure = { readonly channel: string; readonly status: number }

/** Why a channel brings nothing; `retry` is true when the engine asks again by itself. */
export type Refusal = Readonly<Pick<DeniedData, 'status' | 'code' | 'message' | 'retry'>>

/** What the page is told. Whatever one of these throws goes to `onError`. */
export type EngineListener = {
  onState(state: LinkState, previous: LinkState): void
  /** The channel is there: for the first time, or after something may have been missed. */
  onSubscribed(subscription: Subscription): void
  onRefused(subscription: Subscription, refusal: Refusal): void
  onMessage(subscription: Subscription, message: BroadcastData): void
  onMember(subscription: Subscription, how: 'joining' | 'leaving', member: MemberData): void
  /** Nothing was broadcast on this cache channel yet, or it is forgotten. */
  onCacheMiss(subscription: Subscription): void
  onGap(gap: GapData): void
  onTransport(transport: TransportName, reason: string): void
  /** There is no stream; the next attempt is made after this time. */
  onRetry(delayMs: number): void
  /** A login is missing. True when there are new headers to try; asked once per batch. */
  onAuthError(failures: readonly AuthFailure[]): Promise<boolean>
  onError(error: Error): void
  log(line: string): void
}

/** What the parts of the engine ask and tell the page. None of it throws or rejects. */
export type Page = EngineOptions & EngineListener

/** Where its requests go, and in whose name: what the headers say at this moment. */
export function nameOf({ url, withCredentials, headers }: Page): Omit<StreamRequest, 'parameters'> {
  return { url, withCredentials, headers: { ...headers?.() } }
}
