import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import type { Browser } from 'playwright-core'
import { build, type PreviewServer, preview } from 'vite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { complaintsOf, launchChromium } from '../support/browser.ts'
import { type Consumer, consumerOfClient } from '../support/client-package.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { clientReadmeBlocks } from '../support/readme-blocks.ts'

const RUN = new Map(clientReadmeBlocks().flatMap((block) => (block.runs ? [[block.runs, block] as const] : [])))

/** What a page needs around the README's block to show it. */
const ENTRIES: Record<string, string> = {
  vue: "import { createApp } from 'vue'\nimport Orders from './block.vue'\ncreateApp(Orders).mount('#app')",
  react: `
    import { createElement } from 'react'
    import { createRoot } from 'react-dom/client'
    import { Orders } from './block.tsx'
    createRoot(document.querySelector('#app')).render(createElement(Orders))`,
}

const PAGES = ['echo', 'laravel-echo', 'vue', 'react', 'script', 'pusher', 'eventsource']

describe.runIf(requirePart('chromium'))('the code in client/README.md, in a page in front of a gateway', () => {
  let consumer: Consumer
  let gateway: RunningGateway
  let browser: Browser
  let server: PreviewServer

  beforeAll(async () => {
    const packages = ['@laravel/echo-react', '@laravel/echo-vue', 'laravel-echo', 'react', 'react-dom', 'vue']
    consumer = consumerOfClient(packages)
    gateway = await startGateway()
    server = await servePages()
    browser = await launchChromium()
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await gateway?.stop()
    consumer?.remove()
  })

  it('is all of it that is said to run', () => {
    expect([...RUN.keys()].sort()).toEqual([...PAGES, 'alias', 'service-worker'].sort())
  })

  it.each(PAGES)('hears an order: %s', async (name) => {
    const page = await browser.newPage()
    onTestFinished(() => page.close())
    const complaints = complaintsOf(page)
    const streaming = page.waitForResponse((response) => response.url().includes('/sse/stream'))
    await page.goto(`${server.resolvedUrls?.local[0]}${name}/`)
    await streaming

    const heard = page.waitForEvent('console', { predicate: (message) => message.type() === 'log' })
    await gateway.publish('orders', 'App\\Events\\OrderShipped', { id: 7 })
    expect(await (await heard).args()[0]?.jsonValue()).toEqual({ id: 7 })
    expect(complaints).toEqual([])
  })

  /** All pages as they are built for production, with the gateway below the same origin, and without pusher-js. */
  async function servePages(): Promise<PreviewServer> {
    for (const name of PAGES) writePage(name)
    mkdirSync(join(consumer.folder, 'public'))
    cpSync(join(consumer.client, 'dist/echo-sse.iife.js'), join(consumer.folder, 'public/echo-sse.iife.js'))
    const configFile = consumer.write('alias.config.mjs', RUN.get('alias')?.content ?? '')
    const { default: alias } = await import(pathToFileURL(configFile).href)
    const common = { ...alias, root: consumer.folder, configFile: false, logLevel: 'error' }
    const input = PAGES.map((name) => join(consumer.folder, name, 'index.html'))
    await build({ ...common, plugins: [vue()], build: { rolldownOptions: { input } } })
    const proxy = { '/sse': { target: gateway.url, rewrite: (path: string) => path.replace('/sse', '') } }
    return preview({ ...common, preview: { host: '127.0.0.1', port: 0, proxy } })
  }

  function writePage(name: string): void {
    const { language = '', content = '' } = RUN.get(name) ?? {}
    const head = '<!doctype html><link rel="icon" href="data:,"><div id="app"></div>'
    const script = language === 'html' ? content : '<script type="module" src="./entry.js"></script>'
    consumer.write(`${name}/index.html`, head + script)
    if (language === 'html') return
    consumer.write(`${name}/block.${language}`, content)
    consumer.write(`${name}/entry.js`, ENTRIES[name] ?? `import './block.${language}'`)
  }
})
