// @ts-check
/**
 * Starts and ends what a bench needs: Redis, the servers, the load generator. Whatever happens to this process,
 * short of SIGKILL, its children end with it.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/** @typedef {{ pid: number, port: number, said: () => string, stop: () => Promise<void> }} Running */

const SERVER_CORE = 0
/** Redis and the load share a core, so that the server under test has one to itself. */
const LOAD_CORE = 1
const START_TIMEOUT_MS = 15_000
const STOP_TIMEOUT_MS = 3_000
const LOAD_TIMEOUT_MS = 120_000

/** @type {Set<ChildProcess>} */
const children = new Set()
/** @type {string[]} */
const directories = []
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])) {
  process.once(signal, () => process.exit(code))
}

export const canPin = [SERVER_CORE, LOAD_CORE].every(
  (core) => spawnSync('taskset', ['-c', String(core), 'true']).status === 0,
)

/**
 * Compiles load.c.
 * @param {string} directory the folder of load.c
 */
export function buildLoad(directory) {
  if (process.platform !== 'linux')
    throw new Error('The load generator needs Linux (epoll, /proc): run it in a container.')
  const program = join(directory, 'build', 'load')
  mkdirSync(join(directory, 'build'), { recursive: true })
  try {
    execFileSync('cc', ['-O2', '-o', program, join(directory, 'load.c')], { stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    throw new Error(
      'The load generator is C and there is no `cc` here: install a compiler (Debian: apt-get install gcc libc6-dev).',
    )
  }
  return program
}

/** @returns {Promise<Running>} */
export async function startRedis() {
  const directory = mkdtempSync(join(tmpdir(), 'fanout-redis-'))
  directories.push(directory)
  const port = await freePort()
  const settings = ['--port', port, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no']
  return start('redis-server', settings.map(String), { port, core: LOAD_CORE, isReady: () => accepts(port) })
}

/**
 * @param {string[]} command with `{port}` and `{redisPort}` where those belong
 * @param {{ redisPort: number, readyPath?: string | undefined }} options without `readyPath`, ready when the port accepts
 * @returns {Promise<Running>}
 */
export async function startServer(command, { redisPort, readyPath }) {
  const port = await freePort()
  const [program = '', ...rest] = command.map((word) =>
    word.replaceAll('{port}', String(port)).replaceAll('{redisPort}', String(redisPort)),
  )
  const isReady = readyPath ? () => answers(`http://127.0.0.1:${port}${readyPath}`) : () => accepts(port)
  return start(program, rest, { port, core: SERVER_CORE, isReady })
}

/**
 * Runs the load generator once and returns the line it prints.
 * @param {string} program
 * @param {string[]} options
 * @returns {Promise<Record<string, number>>}
 */
export async function runLoad(program, options) {
  const load = launch(program, options, LOAD_CORE)
  const timer = setTimeout(() => load.process.kill('SIGKILL'), LOAD_TIMEOUT_MS)
  const [code] = await once(load.process, 'close')
  clearTimeout(timer)
  if (code === 0) return JSON.parse(load.output.stdout)
  throw new Error(load.output.stderr.trim() || `The load generator did not finish in ${LOAD_TIMEOUT_MS / 1000} s.`)
}

/** Ends everything that is still running, and waits until it has. */
export async function stopAll() {
  await Promise.all([...children].map(stop))
}

/**
 * @param {string} program
 * @param {string[]} options
 * @param {{ port: number, core: number, isReady: () => Promise<boolean> }} how
 * @returns {Promise<Running>}
 */
async function start(program, options, { port, core, isReady }) {
  const { process: child, output } = launch(program, options, core)
  const deadline = Date.now() + START_TIMEOUT_MS
  const line = [program, ...options].join(' ')
  const said = () => (output.stdout + output.stderr).slice(-2000)
  while (!(await isReady())) {
    if (hasEnded(child)) throw new Error(`\`${line}\` ended before it was ready. It said:\n${said()}`)
    if (Date.now() > deadline)
      throw new Error(`\`${line}\` was not ready in ${START_TIMEOUT_MS / 1000} s. It said:\n${said()}`)
    await delay(25)
  }
  return { pid: child.pid ?? 0, port, said, stop: () => stop(child) }
}

/**
 * taskset replaces itself by the program, so the child's pid is the program's own.
 * @param {string} program
 * @param {string[]} options
 * @param {number} core
 */
function launch(program, options, core) {
  // A clean environment: PORT or REDIS_URL of the shell must not reach the servers.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production' }
  const [command = '', ...rest] = [...(canPin ? ['taskset', '-c', String(core)] : []), program, ...options]
  const child = spawn(command, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] = (output[name] + text).slice(-16_384)
    })
  }
  children.add(child)
  child.once('error', (error) => {
    output.stderr += error.message
  })
  child.once('close', () => children.delete(child))
  return { process: child, output }
}

/** @param {ChildProcess} child */
async function stop(child) {
  if (hasEnded(child)) return
  const ended = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

/** @param {ChildProcess} child */
function hasEnded(child) {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
  probe.close()
  await once(probe, 'close')
  return port
}

/** @param {string} url */
async function answers(url) {
  try {
    const response = await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(1000) })
    await response.body?.cancel()
    // A server without such a page is ready when it answers at all.
    return response.status === 200 || response.status === 404
  } catch {
    return false
  }
}

/** @param {number} port */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
