/** Prints docs/configuration.md, which is made from the table of options and from nothing else. */

import { flagOf, type Option, variablesOf } from '../config/option.ts'
import { GROUPS } from '../config/options.ts'
import { type Command, EXIT } from './command.ts'
import { showDefault } from './help.ts'

export const configDocs: Command = {
  usage: '',
  summary: 'Print docs/configuration.md.',
  groups: [],
  isHidden: true,
  async run(_argv, io) {
    io.out(configurationMarkdown())
    return EXIT.ok
  },
}

/** The whole of docs/configuration.md. */
export function configurationMarkdown(): string {
  return `${INTRODUCTION}${GROUPS.map(({ title, options }) => section(title, options)).join('\n')}`
}

const INTRODUCTION = `# Configuration

<!-- Made from src/config/options.ts by \`npm run docs\`; change it there. -->

Every option can be given in three places, and Laravel's own \`.env\` answers some of them. The first that has a value wins:

1. a flag: \`--redis-prefix shop_\` or \`--redis-prefix=shop_\`
2. an environment variable: \`REDIS_PREFIX=shop_\`; an empty one, or \`null\`, counts as unset
3. the JSON file of \`--config\`: \`{ "redisPrefix": "shop_" }\`, or the \`laravel-echo-server.json\` of laravel-echo-server as it is
4. the \`.env\` of the application in \`--laravel DIR\`: REDIS_*, APP_URL, APP_NAME, PUSHER_APP_* or REVERB_APP_*
5. the default

Sizes are bytes and may be written \`64k\`, \`1m\`, \`2g\`. Lists are separated by commas; their flags may also be repeated. Switches
are \`--try-page\`, \`--no-try-page\`, \`--try-page=false\`; in variables \`true\` or \`false\`. A wrong value, an unknown flag or an unknown key
stops the start with exit code 2, after all of them were named.

What \`--laravel DIR\` gives: the Redis server (REDIS_URL, else REDIS_HOST, REDIS_PORT, REDIS_SCHEME, REDIS_DB, REDIS_USERNAME,
REDIS_PASSWORD) when BROADCAST_CONNECTION or BROADCAST_DRIVER is \`redis\`; the key prefix (REDIS_PREFIX, else what
\`config/database.php\` derives from APP_NAME); the Laravel URL (APP_URL); the credentials of \`pusher\` or of \`reverb\`, whichever
is in use. A password found there is sent to the server found there and to no other.

A \`laravel-echo-server.json\` counts with the LARAVEL_ECHO_SERVER_* variables of the environment and of the \`.env\` of the current folder. \`start\` takes the one in the
current folder by itself when neither --config, --laravel nor any option of Redis's address is given. \`init\` asks, tries out and writes a file of our own.

`

function section(title: string, options: Readonly<Record<string, Option>>): string {
  const rows = Object.entries(options).map(([name, option]) => row(name, option))
  return [
    `## ${title}`,
    '',
    '| flag | environment | JSON key | default | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function row(name: string, option: Option): string {
  const { kind, help, unit, defaultNote } = option
  const flag = kind.isSwitch ? flagOf(name, option) : `${flagOf(name, option)} ${kind.placeholder}`
  const shown = showDefault(option)
  const isWord = defaultNote !== undefined || ['none', 'empty', 'on', 'off'].includes(shown)
  const defaultValue = `${isWord ? shown : `\`${shown}\``}${unit === 'ms' || unit === 's' ? ` ${unit}` : ''}`
  const variables = variablesOf(name, option).map((variable) => `\`${variable}\``)
  return `| ${[`\`${flag}\``, variables.join(', '), `\`${name}\``, defaultValue, help].map(cell).join(' | ')} |`
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
