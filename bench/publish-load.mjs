// @ts-check
/**
 * Publishes by HTTP as fast as the server answers, and prints one line of JSON.
 *
 *   node bench/publish-load.mjs --port P --pid SERVER --connections N --seconds S --batch N
 *
 * --batch  events of one request; 1: POST /events
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { signRequest } from '../dist/http/pusher-api/signature.js'

/** Requests that differ in their body; each is signed once, before the clock starts. */
const VARIANTS = 256
/** Warms up the server, unmeasured. */
const WARM_UP_S = 1
const CHANNELS = 1000
const APP = { id: 'bench', key: 'key', secret: 'secret' }
/** Of Linux, in every kernel this is likely to meet. */
const TICKS_PER_SECOND = 100

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '' },
    pid: { type: 'string', default: '' },
    connections: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '5' },
    batch: { type: 'string', default: '1' },
  },
})
const [connections = 1, seconds = 1, batch = 1] = [values.connections, values.seconds, values.batch].map(Number)

const requests = Array.from({ length: VARIANTS }, (_, number) => requestOf(number))
let answered = 0
let refused = 0
let isOver = false

const opened = Array.from({ length: connections }, (_, index) => publishOn(index))
await pause(WARM_UP_S)
const before = { answered, cpuS: cpuSeconds(), at: performance.now() }
await pause(seconds)
const after = { answered, cpuS: cpuSeconds(), at: performance.now() }
isOver = true
await Promise.all(opened)

const events = (after.answered - before.answered) * batch
console.log(
  JSON.stringify({
    publishesPerSecond: (events * 1000) / (after.at - before.at),
    cpuUsPerPublish: ((after.cpuS - before.cpuS) * 1e6) / events,
    refused,
  }),
)

/** @param {number} number */
function requestOf(number) {
  const path = `/apps/${APP.id}/${batch > 1 ? 'batch_events' : 'events'}`
  const events = Array.from({ length: batch }, (_, index) => eventOf(number * batch + index))
  const body = JSON.stringify(batch > 1 ? { batch: events } : { ...events[0] })
  const query = signRequest({ method: 'POST', path, body, app: APP, now: Date.now() })
  return (
    `POST ${path}?${query} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

/** @param {number} number */
function eventOf(number) {
  const data = { order: { id: number, status: 'shipped', total: '12.00' }, at: '2026-01-01T00:00:00Z' }
  return { name: 'App\\Events\\OrderShipped', channel: `orders.${number % CHANNELS}`, data: JSON.stringify(data) }
}

/**
 * One request after the other on one connection.
 * @param {number} index
 * @returns {Promise<void>}
 */
function publishOn(index) {
  return new Promise((resolve, reject) => {
    let next = index
    let text = ''
    const socket = connect({ port: Number(values.port), host: '127.0.0.1', noDelay: true })
    const send = () => socket.write(requests[next++ % VARIANTS] ?? '')
    socket.setEncoding('latin1').on('data', (/** @type {string} */ chunk) => {
      text += chunk
      if (!isWhole(text)) return
      answered += 1
      if (!text.startsWith('HTTP/1.1 200')) refused += 1
      text = ''
      if (isOver) socket.end()
      else send()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve())
    send()
  })
}

/** @param {string} text one answer, or the beginning of one */
function isWhole(text) {
  const end = text.indexOf('\r\n\r\n')
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1])
  return end >= 0 && text.length >= end + 4 + length
}

/** User and system time of the server. */
function cpuSeconds() {
  const fields = readFileSync(`/proc/${values.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** @param {number} lengthS */
function pause(lengthS) {
  return new Promise((resolve) => setTimeout(resolve, lengthS * 1000))
}
