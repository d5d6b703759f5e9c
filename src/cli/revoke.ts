/** Takes guarded channels away from pages that are open: by Redis, or by HTTP. */

import { type Revocation, readRevocation } from '../auth/revocation.ts'
import { REVOCATIONS } from '../channels/own-traffic.ts'
import { parseArguments } from '../config/arguments.ts'
import { type Config, resolveConfig } from '../config/config.ts'
import { type OptionTable, option, text, url } from '../config/option.ts'
import { OPTIONS } from '../config/options.ts'
import { type Command, EXIT, tellFaults } from './command.ts'
import { readOwn } from './own-options.ts'
import type { Outcome } from './publication.ts'
import { whatIsMissing } from './publish.ts'
import { askRedis, countWatchers } from './publish-redis.ts'
import { describeRefusal, postSigned } from './signed-post.ts'

const OWN_OPTIONS = {
  user: option(
    text('ID'),
    null,
    'Everything of this user; a page is known by its presence channels, while it is on one.',
  ),
  channel: option(text('NAME'), null, 'This channel, for everybody who is on it.'),
  socketId: option(text('ID'), null, 'Everything of the page with this socket id.'),
  http: option(
    url('http:', 'https:'),
    null,
    'Tell the gateway at this address, signed with the app credentials, instead of Redis.',
  ),
} satisfies OptionTable

export const revoke: Command = {
  usage: '[--user ID] [--channel NAME] [--socket-id ID] [OPTIONS]',
  summary: 'Take private and presence channels away from open pages; what fits all that is named.',
  groups: ['General', 'Redis', 'Publishing by HTTP'],
  options: OWN_OPTIONS,
  async run(argv, io) {
    const { flags, positionals, faults: wrongWords } = parseArguments(argv, { ...OPTIONS, ...OWN_OPTIONS })
    const faults = [
      ...wrongWords,
      ...positionals.map((word) => `\`${word}\` is not expected here; options begin with --.`),
    ]
    const { http: base, user, channel, socketId: socket } = readOwn(OWN_OPTIONS, flags, faults)
    const revocation = readRevocation({ user, channel, socket })
    if (revocation === null)
      faults.push('Say what to revoke: --user 7, --channel presence-room.1 or --socket-id 1234.5678.')
    const result = resolveConfig({ flags, faults, env: io.env, cwd: io.cwd })
    if ('faults' in result || revocation === null) return tellFaults(io, 'faults' in result ? result.faults : faults)
    const missing = whatIsMissing(result.config, base)
    if (missing !== null) return tellFaults(io, [missing])

    const tell = base === null ? byRedis(revocation, result.config) : byHttp(revocation, result.config, base)
    const outcome = await tell
    io[outcome.failed ? 'err' : 'out'](`${outcome.sentence}\n`)
    return outcome.failed ? EXIT.failed : EXIT.ok
  },
}

function byRedis(revocation: Revocation, config: Config): Promise<Outcome> {
  return askRedis(config, async (redis) => {
    const watchers = await countWatchers(redis, config)
    const heard = Number(await redis.publish(config.redisPrefix + REVOCATIONS, JSON.stringify(revocation))) - watchers
    const failed = heard <= 0
    const advice = failed ? ' Is a gateway running, on this Redis and with this prefix?' : ''
    return { sentence: `Subscribers on Redis that heard it: ${Math.max(0, heard)}.${advice}`, failed }
  })
}

async function byHttp(revocation: Revocation, config: Config, base: string): Promise<Outcome> {
  const answer = await postSigned({ config, base, resource: 'revoke', body: JSON.stringify(revocation) })
  if ('sentence' in answer) return answer
  return answer.status === 200 ? { sentence: `Accepted by ${base}.`, failed: false } : describeRefusal(base, answer)
}
