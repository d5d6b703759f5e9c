// @ts-check
/** What members of a presence channel cost, beside a naive server in the same run. See README.md beside this file. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { CROWD, compare, gateway, HERE, REDIS_URL, readOptions } from './compare.mjs'

const HELP = `Usage: node bench/presence.mjs [options]

  --scenarios LIST  of join, rush, list, long-list (default: all)
  --passes N        passes per server and scenario (default 3)
  --json            print JSON instead of tables
  --help            this text
`

/** @type {Record<string, import('./compare.mjs').Scenario>} */
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

const options = readOptions(HELP, { scenarios: Object.keys(SCENARIOS).join(), passes: '3' })
const laravel = await startStub()

await compare({
  options,
  scenarios: SCENARIOS,
  servers: {
    naive: {
      command: ['node', join(HERE, 'naive-presence.mjs'), '{port}', REDIS_URL, laravel.url],
      readyPath: '/ready',
    },
    gateway: gateway('--redis', REDIS_URL, '--laravel-url', laravel.url, '--max-members-listed', '20000', ...CROWD),
  },
  load: ({ port, pid, redisPort, server }) => {
    const where = { port, 'redis-port': redisPort, pid, fill: server }
    const words = Object.entries(where).flatMap(([option, value]) => [`--${option}`, String(value)])
    return ['node', join(HERE, 'presence-load.mjs'), ...words]
  },
})
laravel.close()

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
