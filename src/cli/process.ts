/** How the process ends, and what does not end it. */

import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'

/** Nothing that clients, Laravel or Redis send may end the process; what slips through is a bug to be read in the log. */
export function outliveErrors(logger: Logger): void {
  process.on('uncaughtException', (error) => logger.error({ err: error }, 'uncaught exception; the gateway goes on'))
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'unhandled rejection; the gateway goes on'))
}

type Ending = {
  /** Resolves when everything is closed. */
  readonly stop: (signal: string) => Promise<void>
  /** The process exits after so long, closed or not. */
  readonly withinMs: number
  readonly logger: Logger
}

/** The first signal stops in good order and exits with 0; a second one, or too much time, exits with 1. */
export function endBySignal({ stop, withinMs, logger }: Ending): void {
  closeWithGrace(
    {
      delay: withinMs,
      logger: false,
      skip: ['uncaughtException', 'unhandledRejection', 'beforeExit'],
      onSecondSignal: (signal) => logger.warn(`second ${signal}, exiting at once`),
      onTimeout: () => logger.warn(`not stopped after ${withinMs} ms, exiting`),
    },
    async ({ signal = 'shutdown' }) => {
      logger.info(`${signal} received, stopping`)
      try {
        await stop(signal)
        logger.info('stopped')
      } catch (error) {
        logger.error({ err: error }, 'stopping failed')
        throw error
      }
    },
  )
}
