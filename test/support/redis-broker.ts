import { RedisBroker } from '../../src/broker/redis.ts'
import { type Config, defaultConfig } from '../../src/config/config.ts'
import { atEndOfTest } from './at-end.ts'
import { Log } from './log.ts'
import { RecordingListener } from './recording-listener.ts'

export type ListeningBroker = {
  readonly broker: RedisBroker
  readonly ears: RecordingListener
  readonly log: Log
  /** How often it said that its relay connection was lost. */
  readonly lost: () => number
  /** What `start` gave; the test waits for it, or for its failure. */
  readonly started: Promise<void>
}

/** Markers every 100 ms, and 600 ms until something that does not come back means something. */
export const QUICK = { markerIntervalMs: 100, readyTimeoutMs: 600 }

/** A broker that is starting; it stops with the test. */
export function openBroker(overrides: Partial<Config>): ListeningBroker {
  const log = new Log()
  const ears = new RecordingListener()
  let lost = 0
  const broker = new RedisBroker(defaultConfig({ ...QUICK, ...overrides }), {
    logger: log.logger,
    onLost: () => {
      lost += 1
    },
  })
  atEndOfTest(() => broker.stop())
  return { broker, ears, log, lost: () => lost, started: broker.start(ears) }
}

/** A broker that hears. */
export async function startBroker(overrides: Partial<Config>): Promise<ListeningBroker> {
  const opened = openBroker(overrides)
  await opened.started
  return opened
}
