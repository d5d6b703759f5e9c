// @ts-check
/**
 * The baseline for presence: the members of a channel are a hash in Redis. Whoever joins writes himself into it, reads
 * it whole and is announced to every node, and each node prints the announcement for each of its listeners.
 *
 *   node bench/naive-presence.mjs PORT REDIS_URL LARAVEL_URL
 */
import Fastify from 'fastify'
import { Redis } from 'ioredis'

/** @typedef {import('node:http').ServerResponse} Response */

const [port, redisUrl, laravelUrl] = process.argv.slice(2)
if (!port || !redisUrl || !laravelUrl) {
  console.error('Usage: node bench/naive-presence.mjs PORT REDIS_URL LARAVEL_URL')
  process.exit(2)
}

/** @type {Map<string, Set<Response>>} */
const listeners = new Map()

const redis = new Redis(redisUrl)
const subscription = new Redis(redisUrl)
subscription.on('message', (_channel, message) => {
  const { channel, member } = JSON.parse(message)
  for (const response of listeners.get(channel) ?? []) send(response, 'joining', { channel, member })
})
await subscription.subscribe('joining')

const app = Fastify()
app.get('/ready', () => ({ ready: true }))
app.get('/stream', async (request, reply) => {
  const { channels: channel = '' } = /** @type {{ channels?: string }} */ (request.query)
  const member = await ask(channel, request.headers.authorization ?? '')
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  await redis.hset(`members:${channel}`, member.id, JSON.stringify(member))
  const members = Object.values(await redis.hgetall(`members:${channel}`)).map((text) => JSON.parse(text))
  send(response, 'subscribed', { channel, members, me: member.id })
  await redis.publish('joining', JSON.stringify({ channel, member }))
  join(response, channel)
})
await app.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })

/**
 * @param {string} channel
 * @param {string} authorization
 * @returns {Promise<{ id: string, info: unknown }>}
 */
async function ask(channel, authorization) {
  const body = new URLSearchParams({ channel_name: channel, socket_id: '1.1' })
  const answer = await fetch(`${laravelUrl}/broadcasting/auth`, { method: 'POST', body, headers: { authorization } })
  const { channel_data: data } = /** @type {{ channel_data: { user_id: unknown, user_info: unknown } }} */ (
    await answer.json()
  )
  return { id: String(data.user_id), info: data.user_info }
}

/** @type {(response: Response, event: string, data: unknown) => void} */
function send(response, event, data) {
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}

/** @type {(response: Response, channel: string) => void} */
function join(response, channel) {
  const members = listeners.get(channel) ?? new Set()
  listeners.set(channel, members.add(response))
  response.on('close', () => members.delete(response))
}
