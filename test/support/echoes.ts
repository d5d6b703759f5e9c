import Echo25 from 'laravel-echo'
import { vi } from 'vitest'
import { SseConnector } from '../../client/src/echo/connector.ts'
import { Echo } from '../../client/src/echo/echo.ts'
import type { EchoOptions } from '../../client/src/echo/options.ts'
import { Pusher } from '../../client/src/pusher.ts'
import { atEndOfTest } from './at-end.ts'

type Callback = (...args: never[]) => unknown

/** What every Echo has. */
export type AnyChannel = {
  listen(event: string, callback: Callback): AnyChannel
  stopListening(event: string, callback?: Callback): AnyChannel
  notification(callback: Callback): AnyChannel
  listenForWhisper(event: string, callback: Callback): AnyChannel
  stopListeningForWhisper(event: string, callback?: Callback): AnyChannel
  listenToAll(callback: Callback): AnyChannel
  stopListeningToAll(callback?: Callback): AnyChannel
  subscribed(callback: Callback): AnyChannel
  error(callback: Callback): AnyChannel
  on(event: string, callback: Callback): AnyChannel
  whisper(event: string, data: unknown): AnyChannel
  here(callback: Callback): AnyChannel
  joining(callback: Callback): AnyChannel
  leaving(callback: Callback): AnyChannel
}

export type AnyEcho = {
  channel(name: string): AnyChannel
  private(name: string): AnyChannel
  encryptedPrivate(name: string): AnyChannel
  join(name: string): AnyChannel
  listen(channel: string, event: string, callback: Callback): AnyChannel
  leave(name: string): void
  leaveChannel(name: string): void
  leaveAllChannels(): void
  socketId(): string | undefined
  connectionStatus(): string
  disconnect(): void
  readonly connector: {
    readonly channels: Record<string, unknown>
    onConnectionChange(callback: (status: string) => unknown): () => void
  }
}

export type Plug = {
  readonly name: string
  create(options: EchoOptions): AnyEcho
  /** `connectionStatus` came with 2.3.0. */
  readonly hasStatus: boolean
  /** The real Echo refuses encrypted channels of a broadcaster that is not its own. */
  readonly hasEncryption: boolean
  /** It maps what pusher-js calls its states. */
  readonly saysReconnecting: boolean
}

type RealEcho = new (options: object) => AnyEcho

// Two names for one package of the npm registry; neither has types that can be found here.
const load = async (name: string) => ((await import(name)) as { default: RealEcho | { default: RealEcho } }).default
const classOf = (found: RealEcho | { default: RealEcho }): RealEcho => ('default' in found ? found.default : found)
const Echo119 = classOf(await load('laravel-echo-1.19'))
const Echo230 = classOf(await load('laravel-echo-2.3.0'))

function withPusher(Real: RealEcho): Plug['create'] {
  return (options) => new Real({ broadcaster: 'reverb', key: 'key', Pusher, ...options })
}

function withConnector(Real: RealEcho): Plug['create'] {
  return (options) => new Real({ broadcaster: SseConnector, ...options })
}

const all = { hasStatus: true, hasEncryption: true, saysReconnecting: true }

/** Every way to have an Echo over this client. */
export const PLUGS: readonly Plug[] = [
  { ...all, name: 'our Echo', create: (options) => new Echo(options) as unknown as AnyEcho },
  { ...all, name: 'laravel-echo 2.5.0 with our Pusher', create: withPusher(Echo25 as never), saysReconnecting: false },
  { ...all, name: 'laravel-echo 2.3.0 with our Pusher', create: withPusher(Echo230), saysReconnecting: false },
  { ...all, name: 'laravel-echo 1.19 with our Pusher', create: withPusher(Echo119), hasStatus: false },
  {
    ...all,
    name: 'laravel-echo 2.5.0 with SseConnector',
    create: withConnector(Echo25 as never),
    hasEncryption: false,
  },
  { ...all, name: 'laravel-echo 2.3.0 with SseConnector', create: withConnector(Echo230), hasEncryption: false },
]

/** A page with an Echo at a gateway, whose user Laravel knows by a token. */
export function openEcho(plug: Plug, url: string, options: EchoOptions = {}): AnyEcho {
  vi.stubGlobal('self', globalThis)
  const echo = plug.create({ url, transport: 'fetch', bearerToken: 'ada', ...options })
  atEndOfTest(() => {
    echo.disconnect()
    vi.unstubAllGlobals()
  })
  return echo
}

export type Ear = ((...args: unknown[]) => void) & {
  /** All that was heard, of each call the arguments. */
  readonly heard: unknown[][]
  /** The first argument of the next call that was not asked for yet. */
  next(): Promise<unknown>
}

/** A callback whose calls can be waited for. */
export function ear(): Ear {
  const heard: unknown[][] = []
  let told = 0
  let wake = () => {}
  const callback = (...args: unknown[]) => {
    heard.push(args)
    wake()
  }
  const next = async () => {
    while (heard.length === told)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    told += 1
    return heard[told - 1]?.[0]
  }
  return Object.assign(callback, { heard, next })
}
