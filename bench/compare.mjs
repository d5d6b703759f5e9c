// @ts-check
/** What every bench does: the same load on each server, turn and turn about, then medians and ratios. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { canPin, runLoad, startRedis, startServer, stopAll } from './processes.mjs'
import { summarize, table } from './report.mjs'

/**
 * What a bench is asked for. Numbers are kept as they were given: they go on to the load.
 * @typedef {{ scenarios: string, passes: string, json: boolean } & Record<string, any>} Options
 * @typedef {{ title: string, load: string[], measures: string[] }} Scenario
 * @typedef {{ command: string[], readyPath?: string }} Server without `readyPath`, ready when the port accepts
 * @typedef {Record<string, { baseline: string, passes: import('./report.mjs').Results, summary: Summary }>} Report
 * @typedef {ReturnType<typeof summarize>} Summary
 * @typedef {NonNullable<import('node:util').ParseArgsConfig['options']>} OptionsConfig
 */

/** The folder of the benches. */
export const HERE = dirname(fileURLToPath(import.meta.url))
const GATEWAY = join(HERE, '..', 'dist', 'main.js')
export const REDIS_URL = 'redis://127.0.0.1:{redisPort}'

/**
 * The gateway as a server to measure.
 * @param {string[]} options
 * @returns {Server}
 */
export function gateway(...options) {
  const start = ['node', GATEWAY, 'start', '--host', '127.0.0.1', '--port', '{port}', '--log-level', 'warn']
  return { command: [...start, ...options], readyPath: '/ready' }
}

/** All the load comes from one address. */
export const CROWD = ['--max-connections', '20000', '--max-connections-per-address', '20000']

/**
 * Reads the command line of a bench; prints the help, or what is wrong, and ends the process.
 * @param {string} help
 * @param {Record<string, string>} defaults `scenarios`, and every option that is a number
 * @param {OptionsConfig} others
 */
export function readOptions(help, defaults, others = {}) {
  try {
    const values = parse(defaults, others)
    const numbers = Object.keys(defaults).filter((name) => name !== 'scenarios')
    for (const name of numbers) {
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} must be a number above 0, got \`${values[name]}\``)
    }
    if (!values.help) return values
    process.stdout.write(help)
    process.exit(0)
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nSee \`--help\`.`)
    process.exit(2)
  }
}

/**
 * @param {Record<string, string>} defaults
 * @param {OptionsConfig} others
 */
function parse(defaults, others) {
  /** @type {OptionsConfig} */
  const all = { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }, ...others }
  for (const [name, text] of Object.entries(defaults)) all[name] = { type: 'string', default: text }
  return /** @type {Options} */ (parseArgs({ options: all }).values)
}

/**
 * Runs a bench and ends what it has started. The first server is the baseline.
 * @param {{
 *   options: Options,
 *   scenarios: Record<string, Scenario>,
 *   servers: Record<string, Server>,
 *   faults?: string[],
 *   load: (running: { port: number, pid: number, redisPort: number, server: string }) => string[],
 * }} bench `load` is the command that puts the load on a server, to which the words of the scenario are added
 */
export async function compare({ options, scenarios, servers, faults, load }) {
  try {
    if (Object.values(servers).some(({ command }) => command.includes(GATEWAY)) && !existsSync(GATEWAY))
      throw new Error('There is no gateway to measure: run `npm run build` first.')
    if (!canPin) progress('No `taskset` to give the server a core of its own: expect noisier figures.')
    const baseline = Object.keys(servers)[0] ?? ''
    /** @type {Report} */
    const report = {}
    for (const [name, scenario] of Object.entries(pick(scenarios, options.scenarios.split(','), 'scenario'))) {
      const passes = await runPasses(name, Number(options.passes), servers, (running) => [
        ...load(running),
        ...scenario.load,
      ])
      const summary = summarize(passes, baseline, scenario.measures, faults)
      report[name] = { baseline, passes, summary }
      if (!options.json) console.log(table(scenario.title, summary, baseline))
    }
    if (options.json) console.log(JSON.stringify(report, null, 2))
    process.exitCode = reportFaults(report)
  } catch (error) {
    console.error(/** @type {Error} */ (error).message)
    process.exitCode = 1
  } finally {
    await stopAll()
  }
}

/**
 * @template T
 * @param {Record<string, T>} known
 * @param {string[]} names
 * @param {string} kind
 * @returns {Record<string, T>}
 */
export function pick(known, names, kind) {
  return Object.fromEntries(
    names.map((name) => {
      const found = known[name]
      if (!found) throw new Error(`There is no ${kind} \`${name}\`; known are ${Object.keys(known).join(', ')}.`)
      return [name, found]
    }),
  )
}

/**
 * @param {string} name
 * @param {number} count
 * @param {Record<string, Server>} servers
 * @param {(running: { port: number, pid: number, redisPort: number, server: string }) => string[]} load
 */
async function runPasses(name, count, servers, load) {
  /** @type {import('./report.mjs').Results} */
  const results = Object.fromEntries(Object.keys(servers).map((server) => [server, []]))
  for (let pass = 1; pass <= count; pass++) {
    for (const [server, { command, readyPath }] of Object.entries(servers)) {
      progress(`${name} ${pass}/${count} ${server} …`)
      // Fresh processes each time: nobody inherits the heap or the members of an earlier pass.
      const redis = await startRedis()
      const running = await startServer(command, { redisPort: redis.port, readyPath })
      const { port, pid } = running
      const [program = '', ...words] = load({ port, pid, redisPort: redis.port, server })
      const result = await runLoad(program, words).catch((error) => {
        throw new Error(`${server}: ${error.message}\n${running.said()}`)
      })
      results[server]?.push(result)
      await running.stop()
      await redis.stop()
    }
  }
  return results
}

/** @param {Report} report */
function reportFaults(report) {
  const faulty = Object.entries(report).flatMap(([scenario, { summary }]) =>
    Object.entries(summary).flatMap(([server, { faults }]) =>
      Object.entries(faults).flatMap(([fault, count]) => (count ? [`${scenario}, ${server}: ${count} ${fault}`] : [])),
    ),
  )
  for (const line of faulty) progress(`Fault: ${line}`)
  return faulty.length > 0 ? 1 : 0
}

/** @param {string} text */
function progress(text) {
  process.stderr.write(`${text}\n`)
}
