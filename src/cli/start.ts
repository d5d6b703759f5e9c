/** Runs the gateway until a signal ends it. */

import { pino } from 'pino'
import { type Config, loadConfig } from '../config/config.ts'
import { GROUPS } from '../config/options.ts'
import { usedSettings, whereToLook } from './banner.ts'
import { type Command, EXIT, tellFaults } from './command.ts'
import { endBySignal, outliveErrors } from './process.ts'

/** What laravel-echo-server's start read without being told. */
const FORMER_FILE = 'laravel-echo-server.json'

/** What closing sockets may take beyond the goodbyes. */
const STOP_MARGIN_MS = 2000

export const start: Command = {
  usage: '[OPTIONS]',
  summary: 'Run the gateway.',
  groups: GROUPS.map(({ title }) => title),
  async run(argv, io) {
    const result = loadConfig({ argv, env: io.env, cwd: io.cwd, fallbackFile: FORMER_FILE })
    if ('faults' in result) return tellFaults(io, result.faults)
    const { config } = result
    const logger = pino({ level: config.logLevel })
    logger.info({ settings: usedSettings(config) }, `starting with the ${config.broker} broker`)
    for (const note of config.notes) logger.info(note)

    // The other commands need none of what the gateway is made of.
    const { createGateway } = await import('../gateway.ts')
    const gateway = await createGateway(config, logger)
    outliveErrors(logger)
    endBySignal({ stop: (signal) => gateway.stop(signal), withinMs: config.drainMs + STOP_MARGIN_MS, logger })
    try {
      const { urls } = await gateway.start()
      io.out(whereToLook(config, urls, io.program))
      return null
    } catch (error) {
      logger.fatal({ err: error }, whyNotStarted(error, config))
      await gateway.stop('shutdown')
      return EXIT.failed
    }
  },
}

function whyNotStarted(error: unknown, { host, port, socket }: Config): string {
  const where = socket ?? `${host}:${port}`
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return `${where} is taken by another process; stop it or choose another ${socket === null ? '--port' : '--socket'}.`
    case 'EACCES':
      return `This user may not listen on ${where}; choose another --port or --socket.`
    case 'EADDRNOTAVAIL':
      return `${host} is not an address of this machine; choose another --host.`
    default:
      return `The gateway could not start: ${error instanceof Error ? error.message : String(error)}`
  }
}
