import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../src/config/config.ts'
import { FakeAuthorizer } from './fake-authorizer.ts'
import { type RunningGateway, startGateway } from './gateway.ts'
import { Log } from './log.ts'
import { grantByToken } from './talking-page.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

const LOOK_EVERY_MS = 20

/** `lost`: cut off for longer than its lease. */
export type NodeState = 'well' | 'stalled' | 'lost'

/** A gateway of the model, and the line between it and Redis. */
export class ModelNode {
  readonly name: string
  readonly log: Log
  readonly #gateway: RunningGateway
  readonly #line: TcpProxy
  state: NodeState = 'well'
  /** Its connections have broken: what it says may reach Redis later than within the linger time. */
  isShaken = false
  /** How often whoever is here may have been shown leaving when it was last compared with the model. */
  departures: ReadonlyMap<string, number> = new Map()
  /** Who has gone from it while it was cut off. Should it come back within the linger time, it says that they are here. */
  readonly leavers: { channel: string; user: string; atMs: number }[] = []
  /** How often it had to take another name for a reason that the model knows. */
  excused = 0

  private constructor(name: string, log: Log, line: TcpProxy, gateway: RunningGateway) {
    this.name = name
    this.log = log
    this.#line = line
    this.#gateway = gateway
  }

  static async start(name: string, redisPort: number, config: Partial<Config>): Promise<ModelNode> {
    const line = await startTcpProxy(redisPort)
    const log = new Log()
    const authorizer = new FakeAuthorizer(grantByToken)
    const gateway = await startGateway({ ...config, redis: line.redisUrl }, { authorizer, logger: log.logger })
    return new ModelNode(name, log, line, gateway)
  }

  get url(): string {
    return this.#gateway.url
  }

  /** How often Redis no longer knew it. */
  get forgotten(): number {
    return this.log.at('warn').filter((line) => line.includes('no longer knew this node')).length
  }

  /**
   * It hears what is published. A gateway that learns of a revocation later asks again about whoever came before that, and
   * the others see it.
   */
  async untilReady(deadlineMs: number): Promise<void> {
    while ((await fetch(`${this.url}/ready`)).status !== 200) {
      if (Date.now() > deadlineMs) throw new Error(`${this.name} does not become ready`)
      await sleep(LOOK_EVERY_MS)
    }
  }

  /** Nothing more passes between it and Redis, and nobody is told. */
  freeze(): void {
    this.#line.silence('to-server')
    this.#line.silence('to-client')
  }

  thaw(): void {
    this.#line.resume()
  }

  /** Its connections break, and may come back at once. */
  blink(): void {
    this.#line.cut()
    this.#line.resume()
  }

  /** As a process that is killed: Redis hears nothing from it any more. */
  async crash(): Promise<void> {
    this.#line.cut()
    await this.stop()
  }

  async stop(): Promise<void> {
    await this.#gateway.stop()
    await this.#line.close()
  }
}
