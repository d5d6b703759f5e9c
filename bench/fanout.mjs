// @ts-check
/** Compares the gateway with a naive server in one run and prints the ratios. See README.md beside this file. */
import { join } from 'node:path'
import { CROWD, compare, gateway, HERE, pick, REDIS_URL, readOptions } from './compare.mjs'
import { buildLoad } from './processes.mjs'

const HELP = `Usage: node bench/fanout.mjs [options]

Runs the same load against the naive server and the gateway, turn and turn about, and prints medians and ratios.

  --scenarios LIST        of burst, single, sparse, steady, crowd (default: all)
  --passes N              passes per server and scenario (default 5; fewer than 5 say little)
  --seconds S             measured seconds per pass (default 2)
  --connections N         connections of the crowd scenario (default 10000)
  --servers LIST          what to run; the first is the baseline (default naive,gateway and every --server)
  --server NAME=COMMAND   another server, or another command for a known name; {port} and {redisPort} are filled in
  --json                  print JSON instead of tables
  --help                  this text
`

const options = readOptions(
  HELP,
  { scenarios: 'burst,single,sparse,steady,crowd', passes: '5', seconds: '2', connections: '10000' },
  { servers: { type: 'string' }, server: { type: 'string', multiple: true, default: [] } },
)

/** @type {Record<string, import('./compare.mjs').Scenario>} */
const SCENARIOS = {
  burst: {
    title: 'burst: 1,000 connections on one channel, up to 16 messages under way',
    load: ['--window', '16'],
    measures: ['deliveriesPerSecond', 'cpuUsPerDelivery', 'latencyP99Ms'],
  },
  single: {
    title: 'single: 1,000 connections on one channel, one message at a time',
    load: ['--window', '1'],
    measures: ['deliveriesPerSecond', 'cpuUsPerDelivery', 'latencyP99Ms'],
  },
  sparse: {
    title: 'sparse: 1,000 channels with one listener each, up to 64 messages under way',
    load: ['--channels', '1000', '--window', '64'],
    measures: ['deliveriesPerSecond', 'cpuUsPerDelivery', 'latencyP99Ms'],
  },
  steady: {
    title: 'steady: 1,000 connections on one channel, 20 messages a second',
    load: ['--rate', '20'],
    measures: ['cpuUsPerDelivery', 'latencyP50Ms', 'latencyP99Ms'],
  },
  crowd: {
    title: `crowd: ${options.connections} connections on one channel; connect, rest, then up to 16 messages under way`,
    load: ['--connections', options.connections, '--settle', '1', '--window', '16'],
    measures: ['connectsPerSecond', 'idleKbPerConnection', 'deliveriesPerSecond', 'cpuUsPerDelivery', 'latencyP99Ms'],
  },
}

/** @type {Record<string, import('./compare.mjs').Server>} */
const SERVERS = {
  naive: { command: ['node', join(HERE, 'naive.mjs'), '{port}', REDIS_URL], readyPath: '/ready' },
  gateway: gateway('--redis', REDIS_URL, ...CROWD),
}

try {
  for (const text of options.server) addServer(text)
  const servers = pick(SERVERS, options.servers?.split(',') ?? Object.keys(SERVERS), 'server')
  const program = buildLoad(HERE)
  await compare({
    options,
    scenarios: SCENARIOS,
    servers,
    load: ({ port, pid, redisPort }) => [
      ...[program, '--port', `${port}`, '--redis-port', `${redisPort}`, '--pid', `${pid}`],
      ...['--seconds', options.seconds],
    ],
  })
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exitCode = 1
}

/** @param {string} text */
function addServer(text) {
  const [, name, command] = /^(\w+)=(.+)$/.exec(text) ?? []
  if (!name || !command) throw new Error(`--server must look like NAME=COMMAND, got \`${text}\``)
  SERVERS[name] = { readyPath: '/ready', ...SERVERS[name], command: command.split(' ') }
}
