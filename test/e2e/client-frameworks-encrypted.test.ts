import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { atEndOfTest } from '../support/at-end.ts'
import { requirePart } from '../support/parts.ts'
import { SITE_PARTS, type Site, startSite } from '../support/site.ts'

const CHANNEL = 'private-encrypted-orders.1'

const PUSHER_APP = {
  BROADCAST_DRIVER: 'pusher',
  PUSHER_APP_ID: 'shop',
  PUSHER_APP_KEY: 'shop-key',
  PUSHER_APP_SECRET: 'shop-secret',
  PUSHER_HOST: '127.0.0.1',
  PUSHER_ENCRYPTION_MASTER_KEY: randomBytes(32).toString('base64'),
}

// With the redis driver Laravel seals nothing, so this is Pusher's own SDK, which publishes to the gateway.
describe.runIf(requirePart(...SITE_PARTS, 'laravel-8', 'pusher-sdk'))('an encrypted channel of a real Laravel', () => {
  let site: Site

  beforeAll(async () => {
    site = await startSite({
      laravel: { app: 'laravel-8', env: PUSHER_APP },
      gateway: (redis) => ['--redis', redis.url],
      packages: ['laravel-echo', 'tweetnacl'],
    })
    site.laravel.set({ PUSHER_PORT: new URL(site.gateway.url).port })
    await site.build('encrypted', { entry: 'encrypted.js' })
  })
  afterAll(() => site?.close())

  it('is read by a page that has tweetnacl, and sealed on the way', async () => {
    const ada = await site.open('encrypted', 1)
    await ada.run(`
      open({ nacl })
      echo.encryptedPrivate('orders.1').subscribed(telling('subscribed')).listen('Announced', telling('read'))
      echo.connector.pusher.subscribe('news').bind('App\\\\Events\\\\Announced', telling('public'))
      0`)
    await ada.until('subscribed')
    const sealed = ada.page.evaluate(`new Promise((resolve) => {
      const source = new EventSource('/sse/stream?channels=${CHANNEL}')
      source.onmessage = ({ data }) => { source.close(); resolve(JSON.parse(data)) }
      source.addEventListener('subscribed', () => tell('watching'))
    })`)
    await ada.until('watching')

    await site.laravel.broadcast('announced', { id: 7, channel: CHANNEL, text: 'Zoë’s secret' })

    expect(await ada.until('read')).toEqual({ id: 7, text: 'Zoë’s secret' })
    expect(await sealed).toEqual({
      channel: CHANNEL,
      event: 'App\\Events\\Announced',
      data: { nonce: expect.any(String), ciphertext: expect.any(String) },
    })
    expect(ada.complaints).toEqual([])
  })

  it('leaves out what was not sealed with its key', async () => {
    const ada = await site.open('encrypted', 1)
    await ada.run(`
      open({ nacl })
      echo.encryptedPrivate('orders.1').subscribed(telling('subscribed')).listen('Announced', telling('read'))
      0`)
    await ada.until('subscribed')

    site.laravel.set({ PUSHER_ENCRYPTION_MASTER_KEY: randomBytes(32).toString('base64') })
    await site.laravel.broadcast('announced', { id: 1, channel: CHANNEL })
    expect(await ada.until('failure')).toMatch(/Announced on private-encrypted-orders.1 could not be decrypted/)
    site.laravel.set({ PUSHER_ENCRYPTION_MASTER_KEY: PUSHER_APP.PUSHER_ENCRYPTION_MASTER_KEY })
    await site.laravel.broadcast('announced', { id: 2, channel: CHANNEL })

    expect(await ada.until('read')).toMatchObject({ id: 2 })
    expect(ada.told('failure')).toHaveLength(1)
  })

  it('is read with a new key once the page has connected anew, and not by another request alone', async () => {
    const ada = await site.open('encrypted', 1)
    await ada.run(`
      open({ nacl })
      echo.encryptedPrivate('orders.1').subscribed(telling('subscribed')).listen('Announced', telling('read'))
      0`)
    await ada.until('subscribed')
    site.laravel.set({ PUSHER_ENCRYPTION_MASTER_KEY: randomBytes(32).toString('base64') })
    atEndOfTest(() => site.laravel.set({ PUSHER_ENCRYPTION_MASTER_KEY: PUSHER_APP.PUSHER_ENCRYPTION_MASTER_KEY }))

    await ada.run(`echo.channel('news').subscribed(telling('news')); 0`)
    await ada.until('news')
    await site.laravel.broadcast('announced', { id: 1, channel: CHANNEL })
    expect(await ada.until('failure')).toMatch(/disconnect\(\) and connect\(\)$/)

    await ada.run(`
      echo.disconnect()
      echo.connector.pusher.channel('${CHANNEL}').bind('pusher:subscription_succeeded', telling('back'))
      echo.connector.pusher.connect()`)
    await ada.until('back')
    await site.laravel.broadcast('announced', { id: 2, channel: CHANNEL })
    expect(await ada.until('read')).toMatchObject({ id: 2 })
    expect(ada.told('failure')).toHaveLength(1)
  })

  it('asks for tweetnacl where it is missing', async () => {
    const ada = await site.open('encrypted', 1)

    await ada.run(`
      open({})
      try { echo.encryptedPrivate('orders.1') } catch (error) { tell('thrown', error.message) }`)

    expect(await ada.until('thrown')).toContain('npm install tweetnacl')
    expect(ada.streams).toEqual([])
  })

  it('is refused to others', async () => {
    const grace = await site.open('encrypted', 2)
    await grace.run(`open({ nacl }); echo.encryptedPrivate('orders.1').error(telling('error')); 0`)
    expect(await grace.until('error')).toMatchObject({ type: 'AuthError', status: 403 })
  })
})
