/** Commands that laravel-echo-server had, and what does their work here. */

import type { Command } from './command.ts'
import { tellFaults } from './command.ts'

export const FORMER_COMMANDS: Readonly<Record<string, Command>> = {
  stop: former(
    'There is no `stop`: the gateway keeps no lock file. End it as it was started, with Ctrl+C, `systemctl stop`, `docker stop` or `kill PID`; it says goodbye to its pages and exits.',
  ),
  'client:add': former(
    'There is no `client:add`: publishers sign. Set --app-id, --app-key and --app-secret (`init` generates them). The `clients` of a laravel-echo-server.json go on to work with start --config laravel-echo-server.json.',
  ),
  'client:remove': former(
    'There is no `client:remove`: take the entry out of `clients` in laravel-echo-server.json and start again, or give the application another secret with --app-secret.',
  ),
}

function former(sentence: string): Command {
  return {
    usage: '',
    summary: sentence,
    groups: [],
    isHidden: true,
    run: async (_argv, io) => tellFaults(io, [sentence]),
  }
}
