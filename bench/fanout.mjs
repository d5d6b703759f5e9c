// @ts-check
/** Compares the gateway with a naive server in one run and prints the ratios. See README.md beside this file. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildLoad, canPin, runLoad, startRedis, startServer, stopAll } from './processes.mjs'
import { summarize, table } from './report.mjs'

/** @typedef {{ command: string[], readyPath?: string }} Server */
/** @typedef {{ title: string, load: string[], measures: string[] }} Scenario */

const HERE = dirname(fileURLToPath(import.meta.url))
const GATEWAY = join(HERE, '..', 'dist', 'main.js')

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

const options = readOptions()

/** @type {Record<string, Scenario>} */
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

/** @type {Record<string, Server>} */
const SERVERS = {
  naive: { command: ['node', join(HERE, 'naive.mjs'), '{port}', 'redis://127.0.0.1:{redisPort}'], readyPath: '/ready' },
  gateway: {
    command: [
      ...['node', GATEWAY, 'start', '--host', '127.0.0.1', '--port', '{port}', '--log-level', 'warn'],
      ...['--redis', 'redis://127.0.0.1:{redisPort}'],
      // All the load comes from one address.
      ...['--max-connections', '20000', '--max-connections-per-address', '20000'],
    ],
    readyPath: '/ready',
  },
}

try {
  if (options.help) process.stdout.write(HELP)
  else process.exitCode = await main()
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exitCode = 1
} finally {
  await stopAll()
}

async function main() {
  for (const text of options.server) addServer(text)
  const servers = pick(SERVERS, options.servers?.split(',') ?? Object.keys(SERVERS), 'server')
  const scenarios = pick(SCENARIOS, options.scenarios.split(','), 'scenario')
  if ('gateway' in servers && !existsSync(GATEWAY))
    throw new Error('There is no gateway to measure: run `npm run build` first.')
  if (!canPin) progress('No `taskset` to give the server a core of its own: expect noisier figures.')
  const load = buildLoad(HERE)
  const redis = await startRedis()

  const baseline = Object.keys(servers)[0] ?? ''
  /** @type {Record<string, { baseline: string, passes: import('./report.mjs').Results, summary: ReturnType<typeof summarize> }>} */
  const report = {}
  for (const [name, scenario] of Object.entries(scenarios)) {
    const passes = await runPasses(name, scenario, servers, load, redis.port)
    const summary = summarize(passes, baseline, scenario.measures)
    report[name] = { baseline, passes, summary }
    if (!options.json) console.log(table(scenario.title, summary, baseline))
  }
  if (options.json) console.log(JSON.stringify(report, null, 2))
  await redis.stop()
  return reportFaults(report)
}

/**
 * @param {string} name
 * @param {Scenario} scenario
 * @param {Record<string, Server>} servers
 * @param {string} load
 * @param {number} redisPort
 */
async function runPasses(name, scenario, servers, load, redisPort) {
  /** @type {import('./report.mjs').Results} */
  const results = Object.fromEntries(Object.keys(servers).map((server) => [server, []]))
  for (let pass = 1; pass <= Number(options.passes); pass++) {
    for (const [server, { command, readyPath }] of Object.entries(servers)) {
      progress(`${name} ${pass}/${options.passes} ${server} …`)
      // A fresh process each time: nobody inherits the heap of an earlier pass.
      const running = await startServer(command, { redisPort, readyPath })
      const where = ['--port', running.port, '--redis-port', redisPort, '--pid', running.pid].map(String)
      const result = await runLoad(load, [...where, '--seconds', options.seconds, ...scenario.load]).catch((error) => {
        throw new Error(`${server}: ${error.message}\n${running.said()}`)
      })
      results[server]?.push(result)
      await running.stop()
    }
  }
  return results
}

/** @param {Record<string, { summary: ReturnType<typeof summarize> }>} report */
function reportFaults(report) {
  const faulty = Object.entries(report).flatMap(([scenario, { summary }]) =>
    Object.entries(summary).flatMap(([server, { faults }]) =>
      Object.entries(faults).flatMap(([fault, count]) => (count ? [`${scenario}, ${server}: ${count} ${fault}`] : [])),
    ),
  )
  for (const line of faulty) progress(`Fault: ${line}`)
  return faulty.length ? 1 : 0
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        scenarios: { type: 'string', default: 'burst,single,sparse,steady,crowd' },
        passes: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '2' },
        connections: { type: 'string', default: '10000' },
        servers: { type: 'string' },
        server: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    for (const name of /** @type {const} */ (['passes', 'seconds', 'connections'])) {
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} must be a number above 0, got \`${values[name]}\``)
    }
    return values
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nSee \`node bench/fanout.mjs --help\`.`)
    process.exit(2)
  }
}

/** @param {string} text */
function addServer(text) {
  const [, name, command] = /^(\w+)=(.+)$/.exec(text) ?? []
  if (!name || !command) throw new Error(`--server must look like NAME=COMMAND, got \`${text}\``)
  SERVERS[name] = { readyPath: '/ready', ...SERVERS[name], command: command.split(' ') }
}

/**
 * @template T
 * @param {Record<string, T>} table
 * @param {string[]} names
 * @param {string} kind
 * @returns {Record<string, T>}
 */
function pick(table, names, kind) {
  return Object.fromEntries(
    names.map((name) => {
      const found = table[name]
      if (!found) throw new Error(`There is no ${kind} \`${name}\`; known are ${Object.keys(table).join(', ')}.`)
      return [name, found]
    }),
  )
}

/** @param {string} text */
function progress(text) {
  process.stderr.write(`${text}\n`)
}
