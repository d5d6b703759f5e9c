import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { type Child, startChild, untilReady } from '../support/child.ts'
import { runProgram } from '../support/program.ts'

const MAIN = `${import.meta.dirname}/../../dist/main.js`

function start(...args: string[]): Promise<Child> {
  return startChild(process.execPath, [MAIN, 'start', ...args], { env: { PATH: process.env.PATH } })
}

it('says where to look once it listens, and ends on SIGTERM with 0', async () => {
  const child = await start('--port', '0')
  await untilReady(child, async () => child.log().includes('Publish:'))
  const url = /listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(child.log())?.[1]
  expect(child.log()).toContain(`curl -N '${url}/stream?channels=orders'`)
  expect((await fetch(`${url}/health`)).status).toBe(200)
  await child.stop('SIGTERM')
  expect(await child.exited).toBe(0)
  expect(child.log()).toMatch(/"msg":"stopped"/)
})

it('hears what its own publish line sends', async () => {
  const child = await start('--port', '0')
  await untilReady(child, async () => child.log().includes('Publish:'))
  const url = /listens on (\S+)/.exec(child.log())?.[1] ?? ''
  const stream = await fetch(`${url}/stream?channels=orders`)
  const published = await runProgram(['publish', 'orders', 'OrderShipped', '{"id":9007199254740993}', '--http', url])
  expect(published).toMatchObject({ code: 0, err: '' })
  const reader = stream.body?.getReader()
  let text = ''
  while (!text.includes('OrderShipped')) text += Buffer.from((await reader?.read())?.value ?? []).toString()
  expect(text).toContain('data: {"channel":"orders","event":"OrderShipped","data":{"id":9007199254740993}}')
  await child.stop('SIGTERM')
})

it('exits with 1 and a sentence when the port is taken', async () => {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  const { port } = squatter.address() as AddressInfo
  const { code, out } = await runProgram(['start', '--port', String(port)])
  squatter.close()
  expect(code).toBe(1)
  expect(out).toContain(`127.0.0.1:${port} is taken by another process; stop it or choose another --port.`)
})
