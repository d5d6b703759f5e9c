import { vi } from 'vitest'
import { type AuthFailure, Engine, type EngineListener, type EngineOptions } from '../../client/src/core/engine.ts'
import type { LinkState } from '../../client/src/core/link.ts'
import type { TransportName } from '../../client/src/transports/transport.ts'
import { atEndOfTest } from './at-end.ts'

/** The address of the gateway in these tests. */
export const GATEWAY_URL = 'https://gateway.test/sse'

/** A page with an engine that notes what it is told, in a window that a test can put to sleep or close. */
export class EnginePage {
  readonly engine: Engine
  /** What it was told last. */
  state: LinkState = 'disconnected'
  transport: TransportName | null = null
  /** One line per call, without the log. */
  readonly told: string[] = []
  readonly errors: Error[] = []
  readonly log: string[] = []
  /** How long it said it would wait before each attempt. */
  readonly retries: number[] = []
  readonly logins: (readonly AuthFailure[])[] = []
  /** What a login brings; none by itself. */
  logIn: (failures: readonly AuthFailure[]) => Promise<boolean> = async () => false
  readonly window = new EventTarget()
  #waiting: (() => void)[] = []
  readonly document = Object.assign(new EventTarget(), { visibilityState: 'visible' })

  constructor(options: Partial<EngineOptions> = {}, listener: Partial<EngineListener> = {}) {
    vi.stubGlobal('self', globalThis)
    vi.stubGlobal('document', this.document)
    vi.stubGlobal('addEventListener', this.window.addEventListener.bind(this.window))
    vi.stubGlobal('removeEventListener', this.window.removeEventListener.bind(this.window))
    atEndOfTest(() => vi.unstubAllGlobals())
    const own = { ...this.#listener(), ...listener }
    this.engine = new Engine(
      { url: GATEWAY_URL, ...options },
      {
        ...own,
        onState: (state, previous) => {
          this.state = state
          own.onState(state, previous)
        },
        onTransport: (transport, reason) => {
          this.transport = transport
          own.onTransport(transport, reason)
        },
      },
    )
  }

  /** Resolves when what was told is as the test wants it. */
  async until(isSo: (told: readonly string[]) => boolean): Promise<void> {
    while (!isSo(this.told)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Resolves when this line was told so many times. */
  hears(line: string, times = 1): Promise<void> {
    return this.until((told) => told.filter((one) => one === line).length >= times)
  }

  /** What was told since the last time. */
  news(): string[] {
    return this.told.splice(0)
  }

  /** Messages only, as `channel data`. */
  get messages(): string[] {
    return this.told.filter((line) => line.startsWith('message ')).map((line) => line.slice('message '.length))
  }

  fire(name: 'online' | 'pagehide' | 'pageshow'): void {
    this.window.dispatchEvent(new Event(name))
  }

  see(isVisible: boolean): void {
    this.document.visibilityState = isVisible ? 'visible' : 'hidden'
    this.document.dispatchEvent(new Event('visibilitychange'))
  }

  #listener(): EngineListener {
    const note = (line: string) => {
      this.told.push(line)
      for (const resolve of this.#waiting.splice(0)) resolve()
    }
    return {
      onState: (state, previous) => note(`${previous} → ${state}`),
      onSubscribed: ({ name, members }) => note(`subscribed ${name}${members.size ? ` ${[...members.keys()]}` : ''}`),
      onRefused: ({ name }, { status, retry }) => note(`refused ${name} ${status}${retry ? ' for now' : ''}`),
      onMessage: ({ name }, { data }) => note(`message ${name} ${JSON.stringify(data)}`),
      onMember: ({ name }, how, { id }) => note(`${how} ${name} ${id}`),
      onCacheMiss: ({ name }) => note(`cache miss ${name}`),
      onGap: ({ channels, reason }) => note(`gap ${channels} ${reason}`),
      onRetry: (delayMs) => void this.retries.push(delayMs),
      onTransport: (transport, reason) => note(`transport ${transport}: ${reason}`),
      onAuthError: (failures) => {
        this.logins.push(failures)
        return this.logIn(failures)
      },
      onError: (error) => {
        this.errors.push(error)
        note(`error ${error.message}`)
      },
      log: (line) => void this.log.push(line),
    }
  }
}

/** Lets time pass, and everything that was to happen in it. */
export function pass(ms = 0): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(ms)
}
