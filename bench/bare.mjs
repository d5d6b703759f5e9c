// @ts-check
/**
 * The baseline of publishing: a Fastify route that reads the same JSON and answers, and does nothing else.
 *
 *   node bench/bare.mjs PORT
 */
import Fastify from 'fastify'

const [port] = process.argv.slice(2)
if (!port) {
  console.error('Usage: node bench/bare.mjs PORT')
  process.exit(2)
}

const app = Fastify({ logger: false })
app.post('/apps/:id/events', async () => ({}))
app.post('/apps/:id/batch_events', async () => ({}))
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.once('SIGTERM', () => process.exit(0))
