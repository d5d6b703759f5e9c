/** Publishes one event: by Redis as Laravel's redis driver would, or by HTTP as its pusher driver would. */

import { parseArguments } from '../config/arguments.ts'
import { type Config, resolveConfig } from '../config/config.ts'
import { matching, type OptionTable, option, url } from '../config/option.ts'
import { OPTIONS } from '../config/options.ts'
import { type Command, EXIT, type Io, tellFaults } from './command.ts'
import { readOwn } from './own-options.ts'
import type { Message } from './publication.ts'
import { publishByHttp } from './publish-http.ts'
import { publishByRedis } from './publish-redis.ts'

const OWN_OPTIONS = {
  http: option(
    url('http:', 'https:'),
    null,
    'Publish to the gateway at this address, signed with the app credentials, instead of by Redis.',
  ),
  socketId: option(
    matching('ID', /^\d+\.\d+$/, 'a socket id such as 8123.1'),
    null,
    'Leave out the page with this socket id, as toOthers() does.',
  ),
} satisfies OptionTable

export const publish: Command = {
  usage: 'CHANNEL[,CHANNEL…] EVENT JSON [OPTIONS]   (JSON - reads standard input)',
  summary: 'Publish one event, as Laravel would: by Redis, or by HTTP with --http URL.',
  groups: ['General', 'Redis', 'Publishing by HTTP'],
  options: OWN_OPTIONS,
  async run(argv, io) {
    const { flags, positionals, faults: wrongWords } = parseArguments(argv, { ...OPTIONS, ...OWN_OPTIONS })
    const faults = [...wrongWords]
    const { http: base, socketId } = readOwn(OWN_OPTIONS, flags, faults)
    const message = await readMessage(positionals, socketId, io, faults)
    const result = resolveConfig({ flags, faults, env: io.env, cwd: io.cwd })
    if ('faults' in result || message === null) return tellFaults(io, 'faults' in result ? result.faults : faults)
    const missing = whatIsMissing(result.config, base)
    if (missing !== null) return tellFaults(io, [missing])

    const outcome = await (base === null
      ? publishByRedis(message, result.config)
      : publishByHttp(message, result.config, base))
    io[outcome.failed ? 'err' : 'out'](`${outcome.sentence}\n`)
    return outcome.failed ? EXIT.failed : EXIT.ok
  },
}

async function readMessage(
  positionals: readonly string[],
  socketId: string | null,
  io: Io,
  faults: string[],
): Promise<Message | null> {
  const [names = '', event = '', json = '', ...surplus] = positionals
  const channels = names.split(',').filter((name) => name !== '')
  if (channels.length === 0 || event === '' || json === '' || surplus.length > 0) {
    faults.push(`publish takes three words: CHANNEL EVENT JSON, such as: publish orders OrderShipped '{"id":1}'.`)
    return null
  }
  const data = (json === '-' ? await io.readInput() : json).trim()
  if (isJson(data)) return { channels, event, data, socketId }
  faults.push(`The data must be JSON, got \`${data.slice(0, 80)}\`; a plain text needs quotes of its own: '"text"'.`)
  return null
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** A sentence when neither way is open. */
export function whatIsMissing(config: Config, base: string | null): string | null {
  if (base !== null && config.appSecret === null) {
    return '--http needs --app-id, --app-key and --app-secret, or their variables.'
  }
  if (base === null && config.broker === 'memory') {
    return 'Say where to publish: --redis redis://127.0.0.1:6379, or --http http://127.0.0.1:6001 for a gateway on the memory broker.'
  }
  return null
}
