import type { PusherOptions } from '../pusher/options.ts'
import type { Axios } from './interceptors.ts'

export type EchoOptions = PusherOptions & {
  readonly key?: string | null | undefined
  /** Before event names without a leading dot. Default `App.Events`; false for none. */
  readonly namespace?: string | false | null | undefined
  /** Default false: `X-Socket-ID` goes with the requests of the libraries that are there, so that `toOthers()` works. */
  readonly withoutInterceptors?: boolean | undefined
  /** An imported axios, besides the global one. */
  readonly axios?: Axios | undefined
  /** Also with `fetch` to the page's own origin. Default false. */
  readonly interceptFetch?: boolean | undefined
}

export type ConnectionStatus = 'connected' | 'disconnected' | 'connecting' | 'reconnecting' | 'failed'
