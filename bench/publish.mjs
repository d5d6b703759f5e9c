// @ts-check
/** What publishing by HTTP costs, beside a bare Fastify route in the same run. See README.md beside this file. */
import { join } from 'node:path'
import { compare, gateway, HERE, REDIS_URL, readOptions } from './compare.mjs'

const HELP = `Usage: node bench/publish.mjs [options]

  --scenarios LIST  of one, batch (default: all)
  --passes N        passes per server and scenario (default 3)
  --seconds N       length of a pass (default 5)
  --json            print JSON instead of tables
  --help            this text
`
const MEASURES = ['publishesPerSecond', 'cpuUsPerPublish']
const APP = ['--app-id', 'bench', '--app-key', 'key', '--app-secret', 'secret']

const options = readOptions(HELP, { scenarios: 'one,batch', passes: '3', seconds: '5' })

await compare({
  options,
  scenarios: {
    one: {
      title: 'one: POST /events with one event, 64 at a time',
      load: ['--batch', '1'],
      measures: MEASURES,
    },
    batch: {
      title: 'batch: POST /batch_events with ten events, 64 at a time',
      load: ['--batch', '10'],
      measures: MEASURES,
    },
  },
  servers: {
    bare: { command: ['node', join(HERE, 'bare.mjs'), '{port}'] },
    memory: gateway(...APP),
    redis: gateway(...APP, '--redis', REDIS_URL),
  },
  faults: ['refused'],
  load: ({ port, pid }) => [
    ...['node', join(HERE, 'publish-load.mjs'), '--port', `${port}`, '--pid', `${pid}`],
    ...['--seconds', options.seconds],
  ],
})
