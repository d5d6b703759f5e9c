import { describe, expect, it, vi } from 'vitest'
import { Engine, type EngineListener } from '../../client/src/core/engine.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'

const CLIENTS = 200
const SLICE_MS = 100
/** Evenly over the first second they would be 22, together 200; all of them share a process, which may be busy for a while. */
const PEAK = 150

describe('200 clients of one gateway', () => {
  it.each([
    ['is restarted', 'SIGTERM'],
    ['crashes', 'SIGKILL'],
  ] as const)('come back one by one when it %s', async (_case, signal) => {
    const gateway = await startGatewayProcess(['--drain-ms', '500'])
    atEndOfTest(() => gateway.stop('SIGKILL'))
    const asked = watchRequests()
    const clients = Array.from({ length: CLIENTS }, () => startClient(gateway.url))
    await Promise.all(clients.map(({ connected }) => connected(1)))

    asked.splice(0)
    const goneAt = Date.now()
    await gateway.stop(signal)
    await gateway.start()
    const readyAt = Date.now()
    await Promise.all(clients.map(({ connected }) => connected(2)))

    const slices = new Map<number, number>()
    for (const at of asked) {
      const slice = Math.floor((at - goneAt) / SLICE_MS)
      slices.set(slice, (slices.get(slice) ?? 0) + 1)
    }
    const peak = Math.max(...slices.values())
    const times = `away ${readyAt - goneAt} ms, all back ${Date.now() - readyAt} ms later`
    console.log(`${signal}: ${times}, ${asked.length} requests, ${peak} in the worst ${SLICE_MS} ms`)
    expect(peak).toBeLessThan(PEAK)
    expect(asked.length).toBeLessThan(6 * CLIENTS)
  })
})

/** When each request for a stream was made. */
function watchRequests(): number[] {
  const asked: number[] = []
  const { fetch } = globalThis
  vi.stubGlobal('self', globalThis)
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => {
    asked.push(Date.now())
    return fetch(...given)
  })
  atEndOfTest(() => vi.unstubAllGlobals())
  return asked
}

type Client = {
  /** Resolves when it has been connected so many times. */
  connected(times: number): Promise<void>
}

function startClient(url: string): Client {
  let count = 0
  let look = () => {}
  const silent = () => {}
  const listener: EngineListener = {
    onState: (state) => {
      if (state === 'connected') count += 1
      look()
    },
    onSubscribed: silent,
    onRefused: silent,
    onMessage: silent,
    onMember: silent,
    onCacheMiss: silent,
    onGap: silent,
    onTransport: silent,
    onRetry: silent,
    onAuthError: async () => false,
    onError: silent,
    log: silent,
  }
  const engine = new Engine({ url, transport: 'fetch' }, listener)
  engine.join('orders')
  atEndOfTest(() => engine.disconnect())
  return {
    connected: (times) =>
      new Promise((resolve) => {
        look = () => count >= times && resolve()
        look()
      }),
  }
}
