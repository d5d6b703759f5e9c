// @ts-check
/** What publishing by HTTP costs, beside a bare Fastify route in the same run. See README.md beside this file. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { canPin, runLoad, startRedis, startServer, stopAll } from './processes.mjs'
import { summarize, table } from './report.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const GATEWAY = join(HERE, '..', 'dist', 'main.js')
const LOAD = join(HERE, 'publish-load.mjs')
const MEASURES = ['publishesPerSecond', 'cpuUsPerPublish']

const HELP = `Usage: node bench/publish.mjs [options]

  --scenarios LIST  of one, batch (default: all)
  --passes N        passes per server and scenario (default 3)
  --seconds N       length of a pass (default 5)
  --json            print JSON instead of tables
  --help            this text
`

/** @type {Record<string, { title: string, load: string[] }>} */
const SCENARIOS = {
  one: { title: 'one: POST /events with one event, 64 at a time', load: ['--batch', '1'] },
  batch: { title: 'batch: POST /batch_events with ten events, 64 at a time', load: ['--batch', '10'] },
}

const START = ['node', GATEWAY, 'start', '--host', '127.0.0.1', '--port', '{port}', '--log-level', 'warn']
const APP = ['--app-id', 'bench', '--app-key', 'key', '--app-secret', 'secret']
/** @type {Record<string, string[]>} */
const SERVERS = {
  bare: ['node', join(HERE, 'bare.mjs'), '{port}'],
  memory: [...START, ...APP],
  redis: [...START, ...APP, '--redis', 'redis://127.0.0.1:{redisPort}'],
}

const { values: options } = parseArgs({
  options: {
    scenarios: { type: 'string', default: Object.keys(SCENARIOS).join() },
    passes: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

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
  if (!existsSync(GATEWAY)) throw new Error('There is no gateway to measure: run `npm run build` first.')
  if (!canPin) process.stderr.write('No `taskset` to give the server a core of its own: expect noisier figures.\n')
  /** @type {Record<string, { passes: import('./report.mjs').Results, summary: ReturnType<typeof summarize> }>} */
  const report = {}
  for (const name of options.scenarios.split(',')) {
    const scenario = SCENARIOS[name]
    if (!scenario) throw new Error(`There is no scenario \`${name}\`; known are ${Object.keys(SCENARIOS).join(', ')}.`)
    const passes = await runPasses(name, scenario.load)
    const summary = summarize(passes, 'bare', MEASURES, ['refused'])
    report[name] = { passes, summary }
    if (!options.json) console.log(table(scenario.title, summary, 'bare'))
  }
  if (options.json) console.log(JSON.stringify(report, null, 2))
  return Object.values(report).some(hasRefusals) ? 1 : 0
}

/**
 * @param {string} name
 * @param {string[]} load
 */
async function runPasses(name, load) {
  /** @type {import('./report.mjs').Results} */
  const results = Object.fromEntries(Object.keys(SERVERS).map((server) => [server, []]))
  const redis = await startRedis()
  for (let pass = 1; pass <= Number(options.passes); pass++) {
    for (const [server, command] of Object.entries(SERVERS)) {
      process.stderr.write(`${name} ${pass}/${options.passes} ${server} …\n`)
      const running = await startServer(command, { redisPort: redis.port, readyPath: '/ready' })
      const where = ['--port', `${running.port}`, '--pid', `${running.pid}`, '--seconds', options.seconds]
      const result = await runLoad('node', [LOAD, ...where, ...load]).catch((error) => {
        throw new Error(`${server}: ${error.message}\n${running.said()}`)
      })
      results[server]?.push(result)
      await running.stop()
    }
  }
  await redis.stop()
  return results
}

/** @param {{ summary: ReturnType<typeof summarize> }} scenario */
function hasRefusals({ summary }) {
  return Object.values(summary).some(({ faults }) => Object.values(faults).some((count) => count > 0))
}
