import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { rawConnection } from '../support/raw-connection.ts'

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

it('closes the connection of a page that was told goodbye and never closes its own side', async () => {
  const gateway = await startGateway()
  for (let index = 0; index < 20; index += 1) {
    const page = await rawConnection(gateway.port)
    page.write('GET /stream?channels=a HTTP/1.1\r\nHost: x\r\n\r\n')
    await page.until('subscribed')
  }
  gateway.gateway.services.hub.endAll('expired', () => 100)
  await expect.poll(sockets, { timeout: PATIENCE_MS }).toBe(20)
}, 15_000)
