import { build, type PreviewServer, preview } from 'vite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { complaintsOf, launchChromium } from '../support/browser.ts'
import { consumerOfClient } from '../support/client-package.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'

const HTML = `<!doctype html><link rel="icon" href="data:,"><main><div id="vue"></div><div id="react"></div></main>
  <script type="module" src="/page.js"></script>`

const PAGE = `
  import Echo from 'laravel-echo-sse'
  import { useStream as useReactStream } from 'laravel-echo-sse/react'
  import { useStream as useVueStream } from 'laravel-echo-sse/vue'
  import { createElement } from 'react'
  import { createRoot } from 'react-dom/client'
  import { createApp, h } from 'vue'

  const echo = new Echo()

  createApp({
    setup() {
      const { status, transport } = useVueStream(echo)
      return () => h('p', \`Vue: \${status.value} \${transport.value}\`)
    },
  }).mount('#vue')

  createRoot(document.querySelector('#react')).render(
    createElement(() => {
      const { status, transport } = useReactStream()
      return createElement('p', null, \`React: \${status} \${transport}\`)
    }),
  )

  globalThis.echo = echo`

describe.runIf(requirePart('chromium'))('useStream in a page', () => {
  it('shows in Vue and in React how the stream is doing', async () => {
    const { url } = await startGateway()
    const server = await servePage(url)
    const browser = await launchChromium()
    onTestFinished(() => browser.close())
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    const untilShown = (text: string) => page.getByText(text, { exact: true }).waitFor()

    await page.goto(server.resolvedUrls?.local[0] ?? '')
    await Promise.all(['Vue: disconnected null', 'React: disconnected null'].map(untilShown))

    await page.evaluate("void echo.channel('orders')")
    await Promise.all(['Vue: connected eventsource', 'React: connected eventsource'].map(untilShown))

    await page.evaluate('echo.disconnect()')
    await Promise.all(['Vue: disconnected eventsource', 'React: disconnected eventsource'].map(untilShown))
    expect(complaints).toEqual([])
  })
})

/** The page as it is built for production, with the gateway below the same origin. */
async function servePage(gateway: string): Promise<PreviewServer> {
  const consumer = consumerOfClient(['react', 'react-dom', 'vue'])
  onTestFinished(() => consumer.remove())
  consumer.write('index.html', HTML)
  consumer.write('page.js', PAGE)
  const options = { root: consumer.folder, configFile: false, logLevel: 'error' } as const
  await build(options)
  const server = await preview({ ...options, preview: { host: '127.0.0.1', port: 0, proxy: { '/stream': gateway } } })
  onTestFinished(() => server.close())
  return server
}
