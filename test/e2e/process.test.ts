import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { atEndOfTest } from '../support/at-end.ts'
import { type Child, startChild, startOnFreePort } from '../support/child.ts'
import { junkRequests } from '../support/junk.ts'
import { runProgram } from '../support/program.ts'
import { rawConnection } from '../support/raw-connection.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

type Process = { child: Child; port: number; url: string; signal(name: NodeJS.Signals): void }

async function startProcess(...args: string[]): Promise<Process> {
  const launch = (port: number) =>
    startChild(process.execPath, [MAIN, 'start', '--port', String(port), ...args], { env: { PATH: process.env.PATH } })
  const isReady = async (port: number) => {
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null)
    return answer?.status === 200
  }
  const { child, port } = await startOnFreePort(launch, isReady)
  atEndOfTest(() => child.stop('SIGKILL'))
  return { child, port, url: `http://127.0.0.1:${port}`, signal: (name) => void process.kill(child.pid, name) }
}

async function openStreams(url: string, count: number): Promise<SseClient[]> {
  const pages = await Promise.all(Array.from({ length: count }, () => openStream(`${url}/stream?channels=orders`)))
  await Promise.all(pages.map((page) => page.next('subscribed')))
  return pages
}

describe('SIGTERM', () => {
  it('says goodbye to 50 pages, each with a time of its own, and ends with 0 in time', async () => {
    const drainMs = 2000
    const { child, url, signal } = await startProcess('--drain-ms', String(drainMs))
    const pages = await openStreams(url, 50)
    const signalledAt = Date.now()
    signal('SIGTERM')
    await Promise.race(pages.map((page) => page.next('bye')))

    // The others are still there, but nobody new is sent or let in.
    expect((await fetch(`${url}/ready`)).status).toBe(503)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await fetch(`${url}/stream?channels=a`)).status).toBe(503)

    expect(await child.exited).toBe(0)
    expect(Date.now() - signalledAt).toBeLessThan(drainMs + 2000)
    const times: number[] = []
    for (const page of pages) {
      expect(await page.ended).toBe(true)
      const last = page.frames.at(-1)
      expect(last?.event).toBe('bye')
      expect(last?.data).toEqual({ reason: 'drain', retryAfterMs: page.retryMs })
      times.push(last?.data.retryAfterMs)
    }
    expect(new Set(times).size).toBeGreaterThan(40)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(100)
  })

  it('ends at once when it comes twice', async () => {
    const { child, url, signal } = await startProcess('--drain-ms', '60000')
    const pages = await openStreams(url, 50)
    signal('SIGTERM')
    await Promise.race(pages.map((page) => page.next('bye')))
    signal('SIGTERM')
    expect(await child.exited).toBe(1)
    const ends = await Promise.all(pages.map((page) => page.ended))
    expect(ends.filter((isWhole) => !isWhole).length).toBeGreaterThan(20)
  })

  it('is the same as SIGINT, and needs nobody to be there', async () => {
    const { child, signal } = await startProcess()
    signal('SIGINT')
    expect(await child.exited).toBe(0)
  })

  it('reaches a page that is slow to read before the process is gone', async () => {
    const { child, port, signal } = await startProcess()
    const page = await rawConnection(port)
    page.write('GET /stream?channels=orders HTTP/1.0\r\n\r\n')
    await page.until('subscribed')
    page.socket.pause()
    signal('SIGTERM')
    await child.exited
    page.socket.resume()
    await page.until('event: bye')
  })
})

describe('garbage', () => {
  it('does not end the process: 2,000 junk requests', async () => {
    const { child, port, url } = await startProcess()
    const [page] = await openStreams(url, 1)
    const junk = junkRequests(2000)
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        for (let bytes = junk.pop(); bytes !== undefined; bytes = junk.pop()) await throwAt(port, bytes)
      }),
    )
    expect(child.hasExited()).toBe(false)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect(child.log()).not.toMatch(/uncaught|unhandled|a request failed/)
    // The page that was there before is there still, and alone.
    expect(page?.frames.map(({ event }) => event)).toEqual(['connected', 'subscribed'])
    await expect.poll(async () => (await fetch(`${url}/metrics`)).text()).toMatch(/^echo_sse_streams 1$/m)
  })
})

describe('the exit code', () => {
  it('is 2 for a configuration that cannot be, and all faults are told', async () => {
    const { code, err } = await runProgram(['start', '--port', 'x', '--heartbeat-ms', '1', '--wat'])
    expect(code).toBe(2)
    for (const word of ['--port', '--heartbeat-ms', '--wat']) expect(err).toContain(word)
  })
})

/** Sends bytes, says that there are no more, and waits until the gateway has closed. */
async function throwAt(port: number, bytes: Buffer): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {}).resume()
  socket.end(bytes)
  await once(socket, 'close')
}
