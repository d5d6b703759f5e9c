// @ts-check
/**
 * The baseline: the push server a careful developer writes in an afternoon. One pattern subscription, a Set of
 * responses per channel, every message parsed and encoded once, then written to each response.
 *
 *   node bench/naive.mjs PORT REDIS_URL
 */
import Fastify from 'fastify'
import { Redis } from 'ioredis'

/** @typedef {import('node:http').ServerResponse} Response */

const HEARTBEAT_MS = 15_000

const [port, redisUrl] = process.argv.slice(2)
if (!port || !redisUrl) {
  console.error('Usage: node bench/naive.mjs PORT REDIS_URL')
  process.exit(2)
}

/** @type {Map<string, Set<Response>>} */
const listeners = new Map()
/** @type {Set<Response>} */
const responses = new Set()
let lastId = 0

const redis = new Redis(redisUrl)
redis.on('pmessage', (_pattern, channel, message) => {
  const members = listeners.get(channel)
  if (!members) return
  const { event, data } = JSON.parse(message)
  const frame = `id: ${++lastId}\ndata: ${JSON.stringify({ channel, event, data })}\n\n`
  for (const response of members) response.write(frame)
})
await redis.psubscribe('*')

setInterval(() => {
  for (const response of responses) response.write(': ping\n\n')
}, HEARTBEAT_MS).unref()

const app = Fastify()
app.get('/ready', () => ({ ready: true }))
app.get('/stream', (request, reply) => {
  const { channels = '' } = /** @type {{ channels?: string }} */ (request.query)
  const names = channels.split(',').filter(Boolean)
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  })
  response.write('event: connected\ndata: {}\n\n')
  join(response, names)
  response.on('close', () => leave(response, names))
})
await app.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })

/** @type {(response: Response, names: string[]) => void} */
function join(response, names) {
  responses.add(response)
  for (const name of names) {
    const members = listeners.get(name)
    if (members) members.add(response)
    else listeners.set(name, new Set([response]))
  }
}

/** @type {(response: Response, names: string[]) => void} */
function leave(response, names) {
  responses.delete(response)
  for (const name of names) {
    const members = listeners.get(name)
    members?.delete(response)
    if (members?.size === 0) listeners.delete(name)
  }
}
