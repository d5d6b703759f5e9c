import { type Logger, pino } from 'pino'
import type { Authorizer } from '../../src/auth/authorizer.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { encodeBroadcast } from '../../src/channels/broadcast.ts'
import { type Config, defaultConfig } from '../../src/config/config.ts'
import { createGateway, type Gateway } from '../../src/gateway.ts'
import { atEndOfTest } from './at-end.ts'
import { FakeAuthorizer } from './fake-authorizer.ts'

export type RunningGateway = {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  readonly url: string
  readonly port: number
  readonly gateway: Gateway
  /** Grants everything unless told otherwise; not asked when the test brings an authorizer of its own. */
  readonly authorizer: FakeAuthorizer
  /** Publishes as Laravel does; `socket` is the connection that shall not hear it. */
  publish(channel: string, event: string, data?: unknown, socket?: string | null): Promise<void>
  /** Ends everything. May be called twice; a test that ends calls it by itself. */
  stop(): Promise<void>
}

export type StartParts = { broker?: Broker; authorizer?: Authorizer; logger?: Logger }

/** A whole gateway inside this process on a free port, with the memory broker unless a test configures another. */
export async function startGateway(
  overrides: Partial<Config> = {},
  { logger = pino({ level: 'silent' }), broker, authorizer }: StartParts = {},
): Promise<RunningGateway> {
  const fake = new FakeAuthorizer()
  const config = defaultConfig({ port: 0, drainMs: 0, ...overrides })
  const gateway = await createGateway(config, logger, {
    authorizer: authorizer ?? fake,
    ...(broker === undefined ? {} : { broker }),
  })
  atEndOfTest(() => gateway.stop())
  const { urls } = await gateway.start()
  const url = (urls[0] ?? '').replace(/\/$/, '')
  return {
    url,
    port: Number(url.split(':').at(-1)),
    gateway,
    authorizer: fake,
    publish: (channel, event, data = {}, socket = null) =>
      gateway.services.broker.publish([channel], encodeBroadcast(event, JSON.stringify(data), socket)),
    stop: () => gateway.stop(),
  }
}
