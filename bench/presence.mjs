// @ts-check
/** What members of a presence channel cost, beside a naive server in the same run. See README.md beside this file. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { canPin, runLoad, startRedis, startServer, stopAll } from './processes.mjs'
import { summarize, table } from './report.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const GATEWAY = join(HERE, '..', 'dist', 'main.js')
const LOAD = join(HERE, 'presence-load.mjs')
const REDIS_URL = 'redis://127.0.0.1:{redisPort}'

const HELP = `Usage: node bench/presence.mjs [options]

  --scenarios LIST  of join, rush, list, long-list (default: all)
  --passes N        passes per server and scenario (default 3)
  --json            print JSON instead of tables
  --help            this text
`

/** @type {Record<string, { title: string, load: string[], measures: string[] }>} */
const SCENARIOS = {
  join: {
    title: 'join: 1,000 members listen, one more at a time joins',
    load: ['--members', '1000', '--listeners', '1000', '--joins', '100'],
    measures: ['cpuMsPerJoin', 'toldMs', 'snapshotMs'],
  },
  rush: {
    title: 'rush: 1,000 members elsewhere, 500 join, 50 at a time, and listen',
    load: ['--members', '1000', '--listeners', '0', '--joins', '500', '--window', '50'],
    measures: ['joinsPerSecond', 'cpuMsPerJoin'],
  },
  list: {
    title: 'list: 1,000 members elsewhere, one more at a time joins',
    load: ['--members', '1000', '--listeners', '1', '--joins', '100'],
    measures: ['snapshotMs', 'snapshotKb', 'cpuMsPerJoin'],
  },
  'long-list': {
    title: 'long-list: 10,000 members elsewhere, one more at a time joins; all are named',
    load: ['--members', '10000', '--listeners', '1', '--joins', '50'],
    measures: ['snapshotMs', 'snapshotKb', 'cpuMsPerJoin'],
  },
}

const { values: options } = parseArgs({
  options: {
    scenarios: { type: 'string', default: Object.keys(SCENARIOS).join() },
    passes: { type: 'string', default: '3' },
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
  const laravel = await startStub()
  const servers = serversFor(laravel.url)
  /** @type {Record<string, { passes: import('./report.mjs').Results, summary: ReturnType<typeof summarize> }>} */
  const report = {}
  for (const name of options.scenarios.split(',')) {
    const scenario = SCENARIOS[name]
    if (!scenario) throw new Error(`There is no scenario \`${name}\`; known are ${Object.keys(SCENARIOS).join(', ')}.`)
    const passes = await runPasses(name, scenario.load, servers)
    const summary = summarize(passes, 'naive', scenario.measures)
    report[name] = { passes, summary }
    if (!options.json) console.log(table(scenario.title, summary, 'naive'))
  }
  if (options.json) console.log(JSON.stringify(report, null, 2))
  laravel.close()
  return Object.values(report).some(hasFaults) ? 1 : 0
}

/** @param {string} laravelUrl */
function serversFor(laravelUrl) {
  return {
    naive: ['node', join(HERE, 'naive-presence.mjs'), '{port}', REDIS_URL, laravelUrl],
    gateway: [
      ...['node', GATEWAY, 'start', '--host', '127.0.0.1', '--port', '{port}', '--log-level', 'warn'],
      ...['--redis', REDIS_URL, '--laravel-url', laravelUrl, '--max-members-listed', '20000'],
      // All the load comes from one address.
      ...['--max-connections', '20000', '--max-connections-per-address', '20000'],
    ],
  }
}

/**
 * @param {string} name
 * @param {string[]} load
 * @param {Record<string, string[]>} servers
 */
async function runPasses(name, load, servers) {
  /** @type {import('./report.mjs').Results} */
  const results = Object.fromEntries(Object.keys(servers).map((server) => [server, []]))
  for (let pass = 1; pass <= Number(options.passes); pass++) {
    for (const [server, command] of Object.entries(servers)) {
      process.stderr.write(`${name} ${pass}/${options.passes} ${server} …\n`)
      // Nobody inherits the members of an earlier pass either.
      const redis = await startRedis()
      const running = await startServer(command, { redisPort: redis.port, readyPath: '/ready' })
      const where = { port: running.port, 'redis-port': redis.port, pid: running.pid, fill: server }
      const words = Object.entries(where).flatMap(([option, value]) => [`--${option}`, String(value)])
      const result = await runLoad('node', [LOAD, ...words, ...load]).catch((error) => {
        throw new Error(`${server}: ${error.message}\n${running.said()}`)
      })
      results[server]?.push(result)
      await running.stop()
      await redis.stop()
    }
  }
  return results
}

/** Answers auth calls as Laravel's redis driver does, at once: the bearer token is the user. */
async function startStub() {
  const server = createServer((request, response) => {
    const user = Number(request.headers.authorization?.replace('Bearer ', ''))
    request.resume()
    response.end(JSON.stringify({ channel_data: { user_id: user, user_info: { name: `User ${user}` } } }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** @param {{ summary: ReturnType<typeof summarize> }} scenario */
function hasFaults({ summary }) {
  return Object.values(summary).some(({ faults }) => Object.values(faults).some((count) => count > 0))
}
