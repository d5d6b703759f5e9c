/** Asks what the gateway has to know, as laravel-echo-server's `init` did, tries it out, and writes it down. */

import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArguments } from '../config/arguments.ts'
import type { Config } from '../config/config.ts'
import { boolean, type OptionTable, option } from '../config/option.ts'
import { OPTIONS, type OptionName } from '../config/options.ts'
import { type Command, EXIT, type Io, tellFaults } from './command.ts'
import { checkLaravel, checkRedis } from './init-checks.ts'
import { writeConfig } from './init-file.ts'
import { NobodyAnswers, Questions } from './init-questions.ts'
import type { Outcome } from './publication.ts'

const FILE = 'laravel-echo-sse.json'
const FORMER_FILE = 'laravel-echo-server.json'
const LOCAL_REDIS = 'redis://127.0.0.1:6379'

const OWN_OPTIONS = {
  yes: option(boolean, false, 'Ask nothing: take the flags, what is found in this folder, and the defaults.'),
} satisfies OptionTable

export const init: Command = {
  usage: '[--yes] [--config FILE] [OPTIONS]',
  summary: `Ask what the gateway has to know, try it out, and write it to ${FILE} (or --config FILE).`,
  groups: ['General', 'Listening', 'Redis', 'Asking Laravel', 'Origins and identity', 'Publishing by HTTP'],
  options: OWN_OPTIONS,
  async run(argv, io) {
    const { flags, positionals, faults } = parseArguments(argv, { ...OPTIONS, ...OWN_OPTIONS })
    const surplus = positionals.map((word) => `\`${word}\` is not expected here; options begin with --.`)
    if (faults.length + surplus.length > 0) return tellFaults(io, [...faults, ...surplus])
    const answered = new Map([...flags].filter(([name]) => name !== 'config' && name !== 'yes'))
    const isSilent = flags.get('yes')?.texts[0] === 'true'
    try {
      const questions = new Questions({ io, flags: answered, isSilent })
      return await askAndWrite(questions, io, flags.get('config')?.texts[0])
    } catch (error) {
      if (!(error instanceof NobodyAnswers)) throw error
      io.err('\nThere are no more answers, so nothing was written; --yes asks nothing.\n')
      return EXIT.failed
    }
  },
}

async function askAndWrite(questions: Questions, io: Io, file: string | undefined): Promise<number> {
  await askForSources(questions, io)
  const found = questions.settle()
  if (!isConfig(found)) return tellFaults(io, found)
  if (found.echoServerClients.length > 0) questions.say(ABOUT_CLIENTS)
  await askForListening(questions, found)
  await tryOut(questions, ['redis'], () => askForRedis(questions, found), checkRedis)
  await tryOut(questions, ['laravelUrl', 'authEndpoint'], () => askForLaravel(questions, found), checkLaravel)
  await askForCredentials(questions, found)

  const config = questions.settle()
  if (!isConfig(config)) return tellFaults(io, config)
  return write(config, questions, io, file)
}

async function write(config: Config, questions: Questions, io: Io, file: string | undefined): Promise<number> {
  for (;;) {
    const path = await askForFile(questions, io, file)
    if (path === null) return EXIT.failed
    try {
      writeConfig(config, resolve(io.cwd, path))
      questions.say(`Written: ${path}. Start the gateway: ${io.program} start --config ${path}`)
      return EXIT.ok
    } catch (error) {
      io.err(`${path} cannot be written: ${(error as Error).message}\n`)
      if (questions.isSilent) return EXIT.failed
    }
  }
}

/** What other files know: of the former server, and of Laravel. */
async function askForSources(questions: Questions, { cwd }: Io): Promise<void> {
  const has = (path: string) => existsSync(resolve(cwd, path))
  if (has(FORMER_FILE) && (await questions.yes(`Take answers from ${FORMER_FILE}?`, true)))
    questions.set('config', FORMER_FILE)
  if (!questions.isOpen('laravel')) return
  const here = has('artisan') && has('.env') ? '.' : ''
  for (;;) {
    const folder = await questions.line('Folder of the Laravel application, whose .env is read (empty: none):', here)
    if (folder === '') return
    if (has(join(folder, '.env'))) return questions.set('laravel', resolve(cwd, folder))
    questions.say(`There is no .env in ${folder}.`)
  }
}

async function askForListening(questions: Questions, found: Config): Promise<void> {
  const { logLevel, allowOrigins, sources } = found
  if (questions.isOpen('logLevel')) {
    const isOn = await questions.yes('Run in development mode, with a log line for everything?', logLevel === 'debug')
    if (isOn !== (logLevel === 'debug')) questions.set('logLevel', isOn ? 'debug' : 'info')
  }
  await questions.option('port', 'Which port to serve from?', found)
  if (await questions.yes('Will pages use https?', true)) questions.say(ABOUT_TLS)
  if (!questions.isOpen('allowOrigins') || sources.allowOrigins.layer === 'file') return
  if (await questions.yes("Do pages listen whose origin is neither Laravel's nor the gateway's?", false))
    await questions.option('allowOrigins', 'Which origins, with commas between?', found, allowOrigins.join(','))
}

async function askForRedis(questions: Questions, found: Config): Promise<void> {
  if (found.redisSentinels.length === 0 && found.redisCluster.length === 0) {
    const proposal = found.redis ?? LOCAL_REDIS
    await questions.option('redis', 'Which Redis does Laravel broadcast through?', found, proposal)
  }
  const { layer, label } = found.sources.redisPrefix
  const where = layer === 'default' ? '' : ` (${label})`
  await questions.option('redisPrefix', `Laravel's Redis key prefix${where}?`, found)
}

async function askForLaravel(questions: Questions, found: Config): Promise<void> {
  await questions.option('laravelUrl', 'Where is Laravel asked about private channels?', found)
  await questions.option('authEndpoint', "Laravel's authorization route?", found)
}

/** Once more while it fails and somebody wants to say it otherwise. */
async function tryOut(
  questions: Questions,
  names: readonly OptionName[],
  ask: () => Promise<void>,
  check: (config: Config) => Promise<Outcome>,
): Promise<void> {
  for (;;) {
    await ask()
    const config = questions.settle()
    const outcome = isConfig(config) ? await check(config) : { sentence: config.join('\n'), failed: true }
    questions.say(outcome.sentence)
    const canChange = !questions.isSilent && names.some((name) => questions.isOpen(name))
    if (!outcome.failed || !canChange || !(await questions.yes('Answer again?', true))) return
  }
}

async function askForCredentials(questions: Questions, { appSecret, usesDefaultCredentials }: Config): Promise<void> {
  const isSet = appSecret !== null && !usesDefaultCredentials
  if (isSet || !questions.isOpen('appSecret')) return
  if (!(await questions.yes('Generate id, key and secret for those who publish by HTTP?', false))) return
  const [id = '', key = '', secret = ''] = [8, 16, 16].map((bytes) => randomBytes(bytes).toString('hex'))
  questions.set('appId', id)
  questions.set('appKey', key)
  questions.set('appSecret', secret)
  questions.say(`For Laravel's .env:\nPUSHER_APP_ID=${id}\nPUSHER_APP_KEY=${key}\nPUSHER_APP_SECRET=${secret}`)
}

/** A name that is free, or that may be used again. */
async function askForFile(questions: Questions, io: Io, file = FILE): Promise<string | null> {
  let path = file
  for (;;) {
    path = await questions.line('Where to write all this?', path)
    // A link that leads nowhere is there as well.
    if (lstatSync(resolve(io.cwd, path), { throwIfNoEntry: false }) === undefined) return path
    if (questions.isSilent) {
      io.err(`${path} is there already; name another file with --config, or remove it.\n`)
      return null
    }
    if (await questions.yes(`${path} is there already. Write over it?`, false)) return path
  }
}

function isConfig(settled: Config | readonly string[]): settled is Config {
  return !Array.isArray(settled)
}

const ABOUT_TLS =
  'The gateway itself speaks plain HTTP, to a proxy on the same machine: nginx/gateway.conf is a configuration for nginx with TLS.'
const ABOUT_CLIENTS = `The clients of ${FORMER_FILE} publish without a signature, which only that file itself allows: start --config ${FORMER_FILE}. In the new file publishers sign, with id, key and secret.`
