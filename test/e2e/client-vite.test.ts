import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { build, createServer, type InlineConfig, preview } from 'vite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { complaintsOf, launchChromium } from '../support/browser.ts'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'
import { requirePart } from '../support/parts.ts'

// What Reverb's scaffold has, and one line in Vite's configuration: the hooks import pusher-js by themselves.
const PAGE = `
  import { configureEcho, echo } from '@laravel/echo-vue'
  import { SsePusher } from 'laravel-echo-sse'

  configureEcho({ broadcaster: 'reverb', key: 'x' })
  globalThis.isOurs = echo().connector.pusher instanceof SsePusher
  echo().channel('orders')`

describe.runIf(requirePart('chromium'))('Vite with pusher-js replaced by an alias', () => {
  let consumer: Consumer
  let browser: Browser

  beforeAll(async () => {
    consumer = consumerOfClient(['@laravel/echo-vue', 'pusher-js', 'vue'])
    consumer.write(
      'index.html',
      '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    )
    consumer.write('page.js', PAGE)
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    consumer?.remove()
  })

  it('gives the hooks our class while the page is developed', async () => {
    const server = await createServer(configuration())
    onTestFinished(() => server.close())
    await server.listen()
    await expectOurs(addressOf(server.httpServer as Server))
  })

  it('gives the hooks our class in what is built', async () => {
    await build(configuration())
    const server = await preview(configuration())
    onTestFinished(() => server.close())
    await expectOurs(addressOf(server.httpServer as Server))
  })

  function configuration(): InlineConfig {
    const server = { host: '127.0.0.1', port: 0 }
    return {
      root: consumer.folder,
      cacheDir: join(consumer.folder, '.vite'),
      configFile: false,
      logLevel: 'error',
      resolve: { alias: { 'pusher-js': 'laravel-echo-sse/pusher' } },
      server,
      preview: server,
    }
  }

  async function expectOurs(address: string): Promise<void> {
    const page = await browser.newPage()
    onTestFinished(() => page.close())
    const complaints = complaintsOf(page)
    // Vite would answer with the page itself.
    await page.route('**/stream?*', (route) => route.fulfill({ contentType: 'text/event-stream', body: ':\n\n' }))
    const asked = page.waitForRequest('**/stream?channels=orders*')
    await page.goto(address)
    await asked
    expect(await page.evaluate('isOurs')).toBe(true)
    expect(complaints).toEqual([])
  }
})

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
