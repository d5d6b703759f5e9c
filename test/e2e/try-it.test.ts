import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { REVOCATIONS } from '../../src/channels/own-traffic.ts'
import { complaintsOf, launchChromium } from '../support/browser.ts'
import { type Child, freePort, startChild, untilReady } from '../support/child.ts'
import { startGateway as startGatewayInside } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { runProgram } from '../support/program.ts'
import { openStream } from '../support/sse-client.ts'

const MAIN = `${import.meta.dirname}/../../dist/main.js`

describe.runIf(requirePart('chromium'))('the try-it page in a browser', () => {
  let browser: Browser
  let page: Page
  let complaints: string[]
  let gateway: Child
  let port: number

  const url = () => `http://localhost:${port}`
  const startGateway = async () => {
    const args = ['start', '--host', '127.0.0.1', '--port', String(port)]
    gateway = await startChild(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH } })
    await untilReady(gateway, async () => gateway.log().includes('Publish:'))
  }
  const open = async (query = '') => {
    await page.goto(`${url()}/${query}`)
    await page.waitForSelector('[data-phase=open]')
  }
  const send = async (event: string, data: string) => {
    await page.fill('#event', event)
    await page.fill('#data', data)
    await page.click('#publish button')
  }
  const events = () => page.locator('#list .event')
  const notes = (): Locator => page.locator('#list .note')
  const chosen = (): Locator => page.locator('#chosen li')

  beforeAll(async () => {
    browser = await launchChromium()
    port = await freePort()
    await startGateway()
  })
  afterAll(async () => {
    await browser?.close()
    await gateway?.stop()
  })
  beforeEach(async () => {
    page = await browser.newPage()
    complaints = complaintsOf(page)
  })
  afterEach(() => page.close())

  it('says what to do first, and shows what its form sends as it arrives', async () => {
    await open()
    await chosen().getByText('listening').waitFor()
    expect(await page.textContent('#empty')).toContain('Nothing has arrived yet.')
    await send('OrderShipped', '{"id":9007199254740993}')
    const event = events().filter({ hasText: 'OrderShipped' })
    await event.waitFor()
    expect(await event.locator('pre').textContent()).toBe('{"id":9007199254740993}')
    expect(await event.locator('.channel').textContent()).toBe('orders')
    await page.getByText('Sent.', { exact: true }).waitFor()
    expect(await page.locator('#empty').isVisible()).toBe(false)
    expect(complaints).toEqual([])
  })

  it('shows what the publish command sends, newest on top', async () => {
    await open('?channels=news,orders')
    const publish = (id: number) => runProgram(['publish', 'news', `Printed${id}`, `{"id":${id}}`, '--http', url()])
    expect(await publish(1)).toMatchObject({ code: 0 })
    await events().filter({ hasText: 'Printed1' }).waitFor()
    expect(await publish(2)).toMatchObject({ code: 0 })
    await events().filter({ hasText: 'Printed2' }).waitFor()
    expect(await events().first().locator('b').textContent()).toBe('Printed2')
  })

  it('gives lines for a terminal that do the same', async () => {
    await open('?channels=news,orders')
    expect(await page.textContent('#curl')).toBe(`curl -N '${url()}/stream?channels=news,orders'`)
    await page.fill('#event', "it's")
    expect(await page.textContent('#command')).toBe(
      `npx laravel-echo-sse-server publish orders 'it'\\''s' '{"id":1,"status":"shipped"}' --http ${url()}`,
    )
  })

  it('shows a hostile payload as text', async () => {
    await open()
    const hostile = '<img src=x onerror="document.title=1"></script><script>document.title=2</script>'
    await send(hostile, JSON.stringify({ hostile }))
    const event = events().filter({ hasText: 'onerror' })
    await event.waitFor()
    expect(await event.locator('b').textContent()).toBe(hostile)
    expect(JSON.parse((await event.locator('pre').textContent()) ?? '')).toEqual({ hostile })
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.title()).toBe('Laravel Echo SSE')
    expect(complaints).toEqual([])
  })

  it('listens to the channels a visitor chooses, and says which one is denied and why', async () => {
    await open('?channels=orders')
    await page.fill('#name', 'news, private-invoices.1')
    await page.getByRole('button', { name: 'Listen', exact: true }).click()
    await notes().filter({ hasText: 'private-invoices.1 is denied (401 unauthenticated):' }).waitFor()
    await expect
      .poll(() => chosen().allTextContents())
      .toEqual([
        expect.stringMatching(/orders\s*listening/),
        expect.stringMatching(/news\s*listening/),
        expect.stringMatching(/private-invoices\.1\s*denied/),
      ])
    await page.getByRole('button', { name: 'Stop listening to orders' }).click()
    await expect.poll(() => chosen().count()).toBe(2)
    await send('Unheard', '{}')
    await page.getByText('Sent, but this page does not listen to orders.').waitFor()
    await page.reload()
    await expect.poll(() => chosen().count()).toBe(2)
  })

  it('shows the last event of a cache channel to who comes, and says where there is none', async () => {
    await open('?channels=cache-stock')
    await notes().getByText('There is no last event on cache-stock.').waitFor()
    const json = '{"left":9007199254740993}'
    await runProgram(['publish', 'cache-stock', 'StockChanged', json, '--http', url()])
    await events().filter({ hasText: 'StockChanged' }).waitFor()
    await open('?channels=cache-stock')
    const last = events().filter({ hasText: 'the last event' })
    await last.waitFor()
    expect(await last.locator('pre').textContent()).toBe(json)
    expect(await last.locator('.id').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  it('says why the gateway refuses the whole stream', async () => {
    const names = Array.from({ length: 101 }, (_, index) => `c${index}`)
    await page.goto(`${url()}/?channels=${names.join(',')}`)
    await page.waitForSelector('[data-phase=refused]')
    expect(await page.textContent('#says')).toBe('This stream asks for 101 channels; the limit is 100.')
    expect(await page.locator('#again').isVisible()).toBe(true)
  })

  it('says what is wrong with an event it cannot send', async () => {
    await open()
    await send('OrderShipped', '{oops')
    await page.getByText('The data must be JSON: {"id":1}, or a text in double quotes.').waitFor()
  })

  it('keeps the newest 200', async () => {
    await open()
    await page.evaluate(async () => {
      const body = JSON.stringify({ channel: 'orders', event: 'Many', data: '{}' })
      const headers = { 'Content-Type': 'application/json' }
      for (let sent = 0; sent < 210; sent++) await fetch('/', { method: 'POST', headers, body })
    })
    await send('Last', '{}')
    await events().filter({ hasText: 'Last' }).waitFor()
    expect(await page.locator('#list li').count()).toBe(200)
  })

  it('fits a telephone', async () => {
    await page.setViewportSize({ width: 360, height: 740 })
    await open('?channels=orders,private-invoices.with-a-rather-long-name-that-nobody-would-type.12345678')
    await send(`App\\Events\\${'Long'.repeat(20)}`, JSON.stringify('x'.repeat(300)))
    await events().filter({ hasText: 'Long' }).waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  })

  it('says that it is reconnecting while the gateway is away, and that messages may be missing when it is back', async () => {
    await open()
    await gateway.stop()
    await page.waitForSelector('[data-phase=reconnecting]')
    expect(await page.textContent('#says')).toContain('The connection was lost; the browser tries again by itself')
    await notes().filter({ hasText: 'The gateway ended the stream: it is stopping.' }).waitFor()
    await send('OrderShipped', '{}')
    await page.getByText('The gateway does not answer; is it running?').waitFor()
    await startGateway()
    await page.waitForSelector('[data-phase=open]')
    await notes()
      .filter({ hasText: 'Messages on any channel may be missing: the gateway or its Redis was started anew.' })
      .waitFor()
    await send('AfterTheRestart', '{}')
    await events().filter({ hasText: 'AfterTheRestart' }).waitFor()
  })

  it('shows who is on a presence channel, who comes, whispers and leaves, and when it is withdrawn', async () => {
    const { url, authorizer, gateway } = await startGatewayInside({ lingerMs: 0, maxMembersListed: 1 })
    authorizer.decides(({ credentials }) => {
      const name = /^Bearer (\w+)$/.exec(credentials.headers.authorization ?? '')?.[1]
      return { allowed: true, member: name === undefined ? { id: '7', info: null } : { id: name, info: { name } } }
    })
    const asUser = (name: string) => ({ headers: { authorization: `Bearer ${name}` } })
    const stay = await openStream(`${url}/stream?channels=presence-room.1`, asUser('Ada'))
    await stay.next('subscribed')
    await openStream(`${url}/stream?channels=presence-room.1`, asUser('Eve'))
    await stay.next('joining')

    await page.goto(`${url}/?channels=presence-room.1`)
    await chosen().getByText('listening').waitFor()
    const guest = await openStream(`${url}/stream?channels=presence-room.1`, asUser('Grace'))
    const { socketId, key } = (await guest.next('connected')).data
    await guest.next('subscribed')
    const whisper = { channel: 'presence-room.1', event: 'client-typing', socketId, key }
    await fetch(`${url}/whisper`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...asUser('Grace').headers },
      body: `${JSON.stringify(whisper).slice(0, -1)},"data":9007199254740993}`,
    })
    const event = events().filter({ hasText: 'client-typing' })
    await event.waitFor()
    guest.close()
    await notes().filter({ hasText: 'Grace (user Grace) has left presence-room.1.' }).waitFor()
    await gateway.services.broker.publish([REVOCATIONS], '{"user":"7"}')
    await notes().filter({ hasText: 'presence-room.1 was withdrawn (403 revoked): ' }).waitFor()

    expect(await event.locator('pre').textContent()).toBe('9007199254740993')
    expect(await event.locator('.from').textContent()).toBe('from user Grace')
    const told = (await notes().locator('span').allTextContents()).toReversed()
    expect(told.slice(1, 4)).toEqual([
      'Laravel lets you listen to presence-room.1, as user 7. There: Ada (user Ada), User 7 and 1 more.',
      'Grace (user Grace) has joined presence-room.1.',
      'Grace (user Grace) has left presence-room.1.',
    ])
    expect(await chosen().allTextContents()).toEqual([expect.stringMatching(/presence-room\.1\s*withdrawn/)])
    expect(complaints).toEqual([])
  })
})
