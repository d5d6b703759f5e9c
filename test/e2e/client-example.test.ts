import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { complaintsOf, launchChromium } from '../support/browser.ts'
import { type Child, freePort, startChild } from '../support/child.ts'
import { type Clone, cloneWorkingTree } from '../support/clone.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { requirePart } from '../support/parts.ts'
import { colorsIn } from '../support/picture.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Looked at by people; git does not keep it. */
const SCREENSHOTS = join(import.meta.dirname, 'screenshots')
/** The README's picture; `UPDATE_DOCS=1` takes it anew. */
const PICTURE = join(ROOT, 'docs/example.png')
const START_TIMEOUT_MS = 120_000

describe.runIf(requirePart('chromium'))('the example, started with its one command', () => {
  let clone: Clone
  let browser: Browser
  let example: Example

  beforeAll(async () => {
    clone = await cloneWorkingTree()
    browser = await launchChromium()
    example = await startExample(clone.folder, `http://127.0.0.1:${await freePort()}`, await freePort())
  }, START_TIMEOUT_MS)

  afterAll(async () => {
    await browser?.close()
    await example?.child.stop()
    clone?.remove()
  })

  it('says where to look, and starts a gateway of its own', async () => {
    expect(example.child.log()).toContain(`Local:   ${example.url}/`)
    expect((await fetch(`${example.gateway}/health`)).status).toBe(200)
    expect((await fetch(example.url)).url).toBe(`${example.url}/as/Ada/`)
  })

  it('shows the connection, and what happens when it is closed and opened', async () => {
    const ada = await open('Ada')
    const connection = ada.locator('#connection')
    expect(await connection.locator('dd').allTextContents()).toEqual(['connected', 'eventsource', 'default'])

    await press(ada, 'Disconnect')
    await connection.getByText('disconnected', { exact: true }).waitFor()
    await press(ada, 'Connect')
    await connection.getByText('connected', { exact: true }).waitFor()
    await press(ada, 'Ship an order')
    await ada.getByText(/^Order \d+ was shipped\.$/).waitFor()
  })

  it('shows a public event to everybody, also one that comes from a terminal', async () => {
    const [ada, grace] = [await open('Ada'), await open('Grace')]
    await press(grace, 'Ship an order')
    for (const page of [ada, grace]) await page.getByText(/^Order \d+ was shipped\.$/).waitFor()

    const words = ['publish', 'orders', 'App\\Events\\OrderShipped', '{"id":1001}', '--http', example.gateway]
    const publishing = await startChild(process.execPath, [join(clone.folder, 'dist/main.js'), ...words])
    expect(await publishing.exited, publishing.log()).toBe(0)
    for (const page of [ada, grace]) await page.getByText('Order 1001 was shipped.').waitFor()
  })

  it('shows private events and notifications to nobody else', async () => {
    const [ada, grace] = [await open('Ada'), await open('Grace')]
    await press(ada, 'Pay an invoice')
    await ada.getByText(/^Invoice \d+ was paid: \d+ €\.$/).waitFor()
    await press(ada, 'Send a notification')
    await ada.getByText(/^Notification: Parcel \d+ is on its way\.$/).waitFor()

    // What comes after it has come, so it would have too.
    await press(ada, 'Ship an order')
    await grace.getByText(/^Order \d+ was shipped\.$/).waitFor()
    expect(await grace.locator('#own li').count()).toBe(0)
  })

  it('refuses a channel of somebody else, as Laravel would', async () => {
    const ada = await open('Ada')
    const denied = ada.evaluate(
      () =>
        new Promise((resolve) => {
          const stream = new EventSource('sse/stream?channels=private-App.Models.User.Grace')
          stream.addEventListener('denied', ({ data }) => {
            stream.close()
            resolve(JSON.parse(data).status)
          })
        }),
    )
    expect(await denied).toBe(403)
  })

  it('shows who is there, who comes, who types, who says what, and who goes', async () => {
    const ada = await open('Ada')
    await untilMembers(ada, ['Ada (you)'])
    const grace = await open('Grace')
    await untilMembers(grace, ['Ada', 'Grace (you)'])
    await untilMembers(ada, ['Ada (you)', 'Grace'])
    await ada.getByText('Grace has joined.').waitFor()
    expect(await grace.getByText('has joined.').count()).toBe(0)

    await grace.getByLabel('Message').pressSequentially('Hello!')
    await ada.getByText('Grace is typing…').waitFor()
    expect(await grace.getByText('is typing…').count()).toBe(0)
    await press(grace, 'Send')
    await ada.getByText('Hello!').waitFor()
    await ada.getByText('is typing…').waitFor({ state: 'hidden' })
    await say(ada, 'And to you.')
    await grace.getByText('And to you.').waitFor()
    // Each line once: toOthers() leaves out who has said it.
    for (const page of [ada, grace]) {
      expect(await page.locator('#room ol li:not(.note)').allTextContents()).toEqual([
        expect.stringContaining('Hello!'),
        expect.stringContaining('And to you.'),
      ])
    }

    await grace.close()
    await ada.getByText('Grace has left.').waitFor()
    await untilMembers(ada, ['Ada (you)'])
  })

  it('fits a telephone', async () => {
    const ada = await open('Ada', { width: 360, height: 740 })
    await say(ada, 'Long'.repeat(100))
    await ada.locator('#room .mine').waitFor()
    expect(await ada.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
    await save('telephone', await ada.screenshot({ fullPage: true }))
  })

  it('looks as it should', async () => {
    const ada = await open('Ada')
    const grace = await open('Grace')
    await untilMembers(ada, ['Ada (you)', 'Grace'])
    await press(ada, 'Ship an order')
    await ada.getByText(/^Order \d+ was shipped\.$/).waitFor()
    await press(ada, 'Pay an invoice')
    await ada.getByText(/^Invoice \d+ was paid/).waitFor()
    await press(ada, 'Send a notification')
    await ada.getByText(/^Notification: /).waitFor()
    await say(grace, 'Does it need a WebSocket?')
    await ada.getByText('Does it need a WebSocket?').waitFor()
    await say(ada, 'No: plain HTTP.')
    await grace.getByText('No: plain HTTP.').waitFor()
    await goOnTyping(grace)
    await ada.getByText('Grace is typing…').waitFor()

    const picture = await ada.screenshot()
    await save('example', picture)
    if (process.env.UPDATE_DOCS === '1') writeFileSync(PICTURE, picture)
    expect(statSync(PICTURE).size).toBeLessThan(80_000)

    expect(await colorsIn(grace, picture)).toBeGreaterThan(100)
    for (const text of ['connected', 'eventsource', 'Ship an order', 'No: plain HTTP.', 'Grace is typing…']) {
      const place = await ada.getByText(text).first().boundingBox()
      expect(place, text).not.toBeNull()
      // Letters with their soft edges; an empty place has one colour.
      expect(await colorsIn(grace, picture, place ?? undefined), text).toBeGreaterThan(5)
    }
  })

  it('uses the gateway of `npm start` when that is there, and says when something may have been missed', async () => {
    const port = await freePort()
    const gateway = await startGatewayProcess(['--laravel-url', `http://localhost:${port}`])
    onTestFinished(() => gateway.stop())
    // What is built is built already.
    const second = await startExample(clone.folder, gateway.url, port, 'npx vite client/example')
    onTestFinished(() => second.child.stop())

    expect(second.child.log()).toContain(`The gateway at ${gateway.url} is used`)
    const ada = await open('Ada', { url: second.url, mayComplain: true })
    await untilMembers(ada, ['Ada (you)'])
    await press(ada, 'Pay an invoice')
    await ada.getByText(/^Invoice \d+ was paid/).waitFor()

    // A memory broker that starts anew cannot know what it has missed.
    await gateway.stop()
    await ada.getByText('reconnecting', { exact: true }).waitFor()
    await gateway.start()
    await ada.getByText('connected', { exact: true }).waitFor()
    await ada.getByText('Messages may have been missed.').waitFor()
  })

  /** A page of this user that is there, and whose complaints fail the test unless it may. */
  async function open(
    user: string,
    { url = example.url, width = 900, height = 640, mayComplain = false } = {},
  ): Promise<Page> {
    const viewport = { width, height }
    const context = await browser.newContext({ viewport })
    const page = await context.newPage()
    const complaints = complaintsOf(page)
    onTestFinished(async () => {
      await context.close()
      if (!mayComplain) expect(complaints).toEqual([])
    })
    await page.goto(`${url}/as/${user}/`)
    await page.locator('#room .members li').first().waitFor()
    return page
  }
})

type Example = { readonly child: Child; readonly url: string; readonly gateway: string }

async function startExample(
  cwd: string,
  gateway: string,
  port: number,
  command = 'npm run example --',
): Promise<Example> {
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, GATEWAY: gateway }
  const child = await startChild('sh', ['-c', `${command} --port ${port}`], { cwd, env })
  const isThere = () => child.log().includes('Local:') || child.hasExited()
  await vi.waitUntil(isThere, { timeout: START_TIMEOUT_MS })
  return { child, url: `http://localhost:${port}`, gateway }
}

function untilMembers(page: Page, names: string[]): Promise<void> {
  return expect.poll(() => page.locator('#room .members li').allTextContents()).toEqual(names)
}

function press(page: Page, name: string): Promise<void> {
  return page.getByRole('button', { name, exact: true }).click()
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await press(page, 'Send')
}

/** Until the page is closed. */
function goOnTyping(page: Page): Promise<unknown> {
  return page.getByLabel('Message').evaluate((field) => setInterval(() => field.dispatchEvent(new Event('input')), 200))
}

async function save(name: string, picture: Buffer): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  writeFileSync(join(SCREENSHOTS, `${name}.png`), picture)
}
