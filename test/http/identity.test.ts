import { describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, type SseClient } from '../support/sse-client.ts'

type Headers = Record<string, string>
type Known = { socketId: string; key: string; cookie: string | undefined }

async function open({ url }: RunningGateway, query: string, headers: Headers = {}): Promise<SseClient & { me: Known }> {
  const page = await openStream(`${url}/stream?channels=orders&${query}`, { headers })
  const { socketId, key } = (await page.next()).data
  await page.next('subscribed')
  const [cookie] = page.headers['set-cookie'] ?? []
  return Object.assign(page, { me: { socketId, key, cookie: cookie?.split(';')[0] } })
}

function broughtBack({ socketId, key }: Known): string {
  return new URLSearchParams({ socketId, key }).toString()
}

/** Publishes to all but one and to all, and tells what this page hears of it. */
async function heard(gateway: RunningGateway, page: SseClient, socketId: string): Promise<string[]> {
  await gateway.publish('orders', 'ToOthers', {}, socketId)
  await gateway.publish('orders', 'ToAll')
  const events: string[] = []
  while (events.at(-1) !== 'ToAll') events.push((await page.next('message')).data.event)
  return events
}

describe('toOthers()', () => {
  it('is not heard by the sender, live, and by everybody else', async () => {
    const gateway = await startGateway()
    const [sender, other] = [await open(gateway, ''), await open(gateway, '')]
    expect(await heard(gateway, sender, sender.me.socketId)).toEqual(['ToAll'])
    expect((await other.next('message')).data.event).toBe('ToOthers')
    expect((await other.next('message')).data.event).toBe('ToAll')
    expect(await heard(gateway, other, '1.1')).toEqual(['ToOthers', 'ToAll'])
  })

  it('is not heard by the sender when it comes back with its socket id and its key', async () => {
    const gateway = await startGateway()
    const before = await open(gateway, '')
    const cursor = before.lastEventId
    before.close()
    await gateway.publish('orders', 'ToOthers', {}, before.me.socketId)
    await gateway.publish('orders', 'ToAll')
    const after = await open(gateway, `${broughtBack(before.me)}&lastEventId=${cursor}`)
    expect(after.me.socketId).toBe(before.me.socketId)
    expect((await after.next('message')).data.event).toBe('ToAll')
    expect(await heard(gateway, after, before.me.socketId)).toEqual(['ToAll'])
  })

  it('is heard by whoever claims the socket id without its key', async () => {
    const gateway = await startGateway()
    const sender = await open(gateway, '')
    for (const claim of [
      { key: 'wrong' },
      { key: '' },
      { key: sender.me.key.slice(0, -1) },
      { key: sender.me.key.replace(/^\d+/, (expiry) => String(Number(expiry) + 1)) },
      { socketId: '1.1' },
      { socketId: `${sender.me.socketId}0` },
    ]) {
      const thief = await open(gateway, broughtBack({ ...sender.me, ...claim }))
      expect(thief.me.socketId).not.toBe(sender.me.socketId)
      expect(thief.me.socketId).toMatch(/^\d+\.\d+$/)
      expect(await heard(gateway, thief, sender.me.socketId)).toEqual(['ToOthers', 'ToAll'])
    }
  })
})

describe('the key is bound', () => {
  it('to the Authorization header', async () => {
    const gateway = await startGateway()
    const mine = await open(gateway, '', { authorization: 'Bearer mine' })
    expect(mine.me.cookie).toBeUndefined()
    const back = await open(gateway, broughtBack(mine.me), { authorization: 'Bearer mine' })
    expect(back.me.socketId).toBe(mine.me.socketId)
    for (const headers of [{ authorization: 'Bearer other' }, {}] as Headers[]) {
      expect((await open(gateway, broughtBack(mine.me), headers)).me.socketId).not.toBe(mine.me.socketId)
    }
  })

  it("to the gateway's own cookie, where the browser keeps one", async () => {
    const gateway = await startGateway()
    const sameOrigin = { 'sec-fetch-site': 'same-origin' }
    const mine = await open(gateway, '', sameOrigin)
    expect(mine.me.cookie).toMatch(/^laravel_echo_sse=[\w-]{20,}$/)
    const cookie = mine.me.cookie as string
    const back = await open(gateway, broughtBack(mine.me), { ...sameOrigin, cookie })
    expect(back.me).toMatchObject({ socketId: mine.me.socketId, cookie: undefined })
    for (const headers of [sameOrigin, { ...sameOrigin, cookie: 'laravel_echo_sse=other' }] as Headers[]) {
      expect((await open(gateway, broughtBack(mine.me), headers)).me.socketId).not.toBe(mine.me.socketId)
    }
  })
})

describe('the cookie', () => {
  const LISTED = 'https://app.example'

  it.each<[string, Headers, RegExp]>([
    ['a page of ours', { 'sec-fetch-site': 'same-origin' }, /; HttpOnly; SameSite=Lax$/],
    [
      'a page of ours by https',
      { 'sec-fetch-site': 'same-origin', 'x-forwarded-proto': 'https' },
      /; HttpOnly; SameSite=Lax; Secure$/,
    ],
    [
      'a listed page of another site that sends cookies',
      { 'sec-fetch-site': 'cross-site', origin: LISTED, cookie: 'a=b' },
      /; HttpOnly; SameSite=None; Secure$/,
    ],
  ])('is set for %s', async (_, headers, attributes) => {
    const gateway = await startGateway({ allowOrigins: [LISTED] })
    const page = await open(gateway, '', headers)
    expect(page.headers['set-cookie']).toHaveLength(1)
    expect(page.headers['set-cookie']?.[0]).toMatch(attributes)
  })

  it.each<[string, Headers]>([
    ['curl', {}],
    ['a listed page that sends no cookies', { 'sec-fetch-site': 'cross-site', origin: LISTED }],
    ['whoever has a token', { 'sec-fetch-site': 'same-origin', authorization: 'Bearer t' }],
    ['a stranger let in by *', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example', cookie: 'a=b' }],
    ['whoever has one', { 'sec-fetch-site': 'same-origin', cookie: 'laravel_echo_sse=abc' }],
  ])('is not set for %s', async (_, headers) => {
    const gateway = await startGateway({ allowOrigins: [LISTED, '*'] })
    const page = await open(gateway, '', headers)
    expect(page.headers['set-cookie']).toBeUndefined()
  })
})
