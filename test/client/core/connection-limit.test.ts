import { beforeEach, expect, it, vi } from 'vitest'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

// One test, in this order: a page is warned once.
it('a page whose requests nobody answers is told once of the six connections of HTTP/1.1', async () => {
  // Other tests of this process have been such pages too.
  vi.resetModules()
  const { EnginePage, GATEWAY_URL, pass } = await import('../../support/engine-page.ts')
  const { FakeGateway } = await import('../../support/fake-gateway.ts')
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const gateway = new FakeGateway()
  const join = (options = {}) => new EnginePage(options).engine.join('orders')

  // The head came: there was a connection.
  for (const transport of ['eventsource', 'fetch'] as const) {
    gateway.script = (request) => request.write('')
    join({ transport })
    await pass(11_000)
  }
  gateway.script = (request) => request.refuse(503)
  join()
  await pass(11_000)
  expect(warn).not.toHaveBeenCalled()

  gateway.script = () => {}
  join()
  await pass(9_000)
  expect(warn).not.toHaveBeenCalled()
  await pass(1_000)
  expect(warn.mock.calls).toEqual([
    [expect.stringMatching(/^https:\/\/gateway\.test\/sse has not answered in 10 s: .*HTTP\/1\.1.* six .*HTTP\/2/)],
  ])
  expect(GATEWAY_URL).toBe('https://gateway.test/sse')
  join({ transport: 'fetch' })
  await pass(60_000)
  expect(warn).toHaveBeenCalledTimes(1)
})
