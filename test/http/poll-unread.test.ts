import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'

it('an answer that nobody reads keeps its place, until its connection is gone', async () => {
  const gateway = await startGateway({ maxConnections: 1 })
  const cursor = `${gateway.gateway.services.history.head?.position.epoch}.0.0`
  // More than the system buffers between the two.
  await gateway.publish('a', 'E', 'x'.repeat(6 * 1024 * 1024))
  const lazy = connect({ port: gateway.port, host: '127.0.0.1' }).pause()
  lazy.write(`GET /stream?channels=a&mode=poll&lastEventId=${cursor} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await expect.poll(() => endedPolls(gateway.url)).toBe(1)

  const another = `${gateway.url}/stream?channels=a&mode=poll`
  expect(await (await fetch(another)).json()).toMatchObject({ error: { code: 'overloaded' } })
  lazy.destroy()
  await expect.poll(async () => (await fetch(another)).status).toBe(200)
})

async function endedPolls(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/^echo_sse_streams_ended_total\{reason="poll"\} (\d+)$/m.exec(metrics)?.[1] ?? 0)
}
