// @ts-check
/**
 * Fills a presence channel, lets users join and measures what that costs; prints one line of JSON.
 *
 *   node bench/presence-load.mjs --port P --redis-port P --pid SERVER --fill gateway|naive
 *        --members N --listeners N --joins N --window N
 *
 * --members    who is there before, the listeners included; the others came by another node
 * --listeners  of these, who listens at this server
 * --joins      who joins meanwhile, so many at a time as --window says, and stays
 */
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { pino } from 'pino'

/** @typedef {{ id: string, info: { name: string } }} Member */

const CHANNEL = 'presence-lobby'
const FILL_STEP = 1000
const OPENING_AT_ONCE = 50
const PATIENCE_MS = 30_000
const JOINING = 'event: joining\n'
/** How much of a chunk is looked at again together with the next. */
const CARRY = 200

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '' },
    'redis-port': { type: 'string', default: '' },
    pid: { type: 'string', default: '' },
    fill: { type: 'string', default: 'gateway' },
    members: { type: 'string', default: '1000' },
    listeners: { type: 'string', default: '1' },
    joins: { type: 'string', default: '100' },
    window: { type: 'string', default: '1' },
  },
})
const [members, listening, joins, window] = [values.members, values.listeners, values.joins, values.window].map(Number)
const redisUrl = `redis://127.0.0.1:${values['redis-port']}`

/** One open stream and what it was told. */
class Page {
  /** Frames that say that somebody joins. */
  told = 0
  isClosed = false
  /** From the request to the last byte of the list of members. */
  listedAfterMs = Number.NaN
  listBytes = 0
  /** True once what it awaited has come. */
  hasCome = false
  #carry = ''
  /** @type {string | null} */
  #awaited = null
  /** @type {string | null} */
  #list = ''
  #wake = () => {}

  /** @param {number} user */
  constructor(user) {
    const openedAt = performance.now()
    const socket = connect({ port: Number(values.port), host: '127.0.0.1' })
    socket.write(
      `GET /stream?channels=${CHANNEL} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${user}\r\n` +
        'Accept: text/event-stream\r\n\r\n',
    )
    socket.setEncoding('latin1').on('data', (/** @type {string} */ chunk) => {
      this.#count(chunk)
      if (this.#list !== null) this.#readList(chunk, openedAt)
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  /** @param {() => boolean} condition */
  async until(condition) {
    const deadline = Date.now() + PATIENCE_MS
    while (!condition()) {
      if (this.isClosed) throw new Error(`the server ended a stream: ${this.#carry}`)
      await /** @type {Promise<void>} */ (
        new Promise((resolve, reject) => {
          const impatience = setTimeout(() => reject(new Error('the server said nothing more')), deadline - Date.now())
          this.#wake = () => {
            clearTimeout(impatience)
            resolve()
          }
        })
      )
    }
  }

  /** @param {string} text short enough to stand in what is kept of a chunk */
  awaits(text) {
    this.#awaited = text
  }

  get isListed() {
    return this.#list === null
  }

  /** @param {string} chunk */
  #count(chunk) {
    const text = this.#carry + chunk
    let end = 0
    for (let at = text.indexOf(JOINING); at !== -1; at = text.indexOf(JOINING, end)) {
      this.told += 1
      end = at + JOINING.length
    }
    if (this.#awaited !== null && text.includes(this.#awaited)) this.hasCome = true
    // What was counted is not kept, so that it is not counted twice.
    this.#carry = text.slice(Math.max(end, text.length - CARRY))
  }

  /**
   * @param {string} chunk
   * @param {number} openedAt
   */
  #readList(chunk, openedAt) {
    this.#list += chunk
    const text = this.#list ?? ''
    const start = text.indexOf('event: subscribed\n')
    const end = start === -1 ? -1 : text.indexOf('\n\n', start)
    if (end === -1) return
    this.listedAfterMs = performance.now() - openedAt
    this.listBytes = end - start
    this.#list = null
  }
}

process.stdout.write(`${JSON.stringify(await run())}\n`)
process.exit()

async function run() {
  await fill(members - listening)
  const others = await inTurns(listening, OPENING_AT_ONCE, async (index) => open(members - listening + index))
  await settle(others)

  const toldBefore = others.map(({ told }) => told)
  const cpuBefore = cpuMs()
  const startedAt = performance.now()
  /** @type {number[]} */
  const toldAfterMs = []
  const newcomers = await inTurns(joins, window, async (index) => {
    const joinedAt = performance.now()
    const page = await open(members + index)
    // With a window of one the number of the join says what everybody has been told by then.
    if (window === 1) {
      await Promise.all(others.map((other, i) => other.until(() => other.told > (toldBefore[i] ?? 0) + index)))
      toldAfterMs.push(performance.now() - joinedAt)
    }
    return page
  })
  const durationMs = performance.now() - startedAt
  await Promise.all(others.map((other, i) => other.until(() => other.told >= (toldBefore[i] ?? 0) + joins)))
  const cpu = cpuMs() - cpuBefore
  const told = others.map((other, i) => other.told - (toldBefore[i] ?? 0))
  return {
    joinsPerSecond: (joins / durationMs) * 1000,
    cpuMsPerJoin: cpu / joins,
    snapshotMs: median(newcomers.map(({ listedAfterMs }) => listedAfterMs)),
    snapshotKb: median(newcomers.map(({ listBytes }) => listBytes)) / 1024,
    toldMs: median(toldAfterMs),
    missing: told.reduce((sum, count) => sum + Math.max(0, joins - count), 0),
    duplicated: told.reduce((sum, count) => sum + Math.max(0, count - joins), 0),
    reordered: 0,
    closed: [...others, ...newcomers].filter(({ isClosed }) => isClosed).length,
  }
}

/** @param {number} user */
async function open(user) {
  const page = new Page(user)
  await page.until(() => page.isListed)
  return page
}

/**
 * One more joins, and each has been told of him: what was to be told before has been told.
 * @param {Page[]} others
 */
async function settle(others) {
  const user = members + joins
  for (const other of others) other.awaits(`"member":{"id":"${user}"`)
  await open(user)
  await Promise.all(others.map((other) => other.until(() => other.hasCome)))
}

/**
 * @template T
 * @param {number} count
 * @param {number} atOnce
 * @param {(index: number) => Promise<T>} work
 * @returns {Promise<T[]>}
 */
async function inTurns(count, atOnce, work) {
  /** @type {T[]} */
  const results = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      results[index] = await work(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
  return results
}

/**
 * Members who came by another node.
 * @param {number} count
 */
async function fill(count) {
  /** @type {Member[]} */
  const all = Array.from({ length: count }, (_, user) => ({ id: String(user), info: { name: `User ${user}` } }))
  const add = values.fill === 'naive' ? naiveFiller() : await gatewayFiller()
  for (let from = 0; from < count; from += FILL_STEP) await add(all.slice(from, from + FILL_STEP))
}

function naiveFiller() {
  const redis = new Redis(redisUrl)
  return (/** @type {Member[]} */ some) =>
    redis.hset(`members:${CHANNEL}`, Object.fromEntries(some.map((member) => [member.id, JSON.stringify(member)])))
}

async function gatewayFiller() {
  const [{ RedisLease }, { RedisPresenceStore }, { printMember }, { defaultConfig }] = await Promise.all([
    import('../dist/presence/redis-lease.js'),
    import('../dist/presence/redis.js'),
    import('../dist/presence/member.js'),
    import('../dist/config/config.js'),
  ])
  const lease = new RedisLease(defaultConfig({ redis: redisUrl, redisPrefix: '' }), { logger: pino({ level: 'warn' }) })
  const store = new RedisPresenceStore({ lease })
  store.start({ onForgotten: () => {} })
  return (/** @type {Member[]} */ some) =>
    store.update({ channel: CHANNEL, joined: some.map(printMember), left: [], isLast: false })
}

/** Processor time of all threads of the server so far. */
function cpuMs() {
  const tasks = `/proc/${values.pid}/task`
  const times = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  )
  return times.reduce((sum, ns) => sum + ns, 0) / 1e6
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
}
