import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pathOf, requirePart } from '../support/parts.ts'
import { SITE_PARTS, type Site, startSite } from '../support/site.ts'

const STUB = 'laravel/framework/src/Illuminate/Foundation/Console/stubs/echo-js-reverb.stub'

describe.runIf(requirePart(...SITE_PARTS, 'laravel-12'))('what `php artisan install:broadcasting` writes', () => {
  let site: Site

  beforeAll(async () => {
    site = await startSite({ packages: ['laravel-echo', 'pusher-js'] })
    const written = readFileSync(join(pathOf('laravel-12'), STUB), 'utf8')
    site.consumer.write(
      'src/resources/js/echo.js',
      written.replace("from 'pusher-js'", "from 'laravel-echo-sse/pusher'"),
    )
  })
  afterAll(() => site?.close())

  /** As `reverb:install` writes it, with this address. */
  async function build(name: string, address: string): Promise<void> {
    const { hostname, port } = new URL(address)
    site.consumer.write(
      '.env',
      `REVERB_APP_KEY=shop-key
       REVERB_HOST="${hostname}"
       REVERB_PORT=${port}
       REVERB_SCHEME=http

       VITE_REVERB_APP_KEY="\${REVERB_APP_KEY}"
       VITE_REVERB_HOST="\${REVERB_HOST}"
       VITE_REVERB_PORT="\${REVERB_PORT}"
       VITE_REVERB_SCHEME="\${REVERB_SCHEME}"`.replace(/^ +/gm, ''),
    )
    await site.build(name, { entry: 'resources/js/echo.js' })
  }

  const LISTEN = `
    Echo.channel('orders').subscribed(telling('subscribed')).listen('OrderShipped', telling('public'))
    Echo.private('orders.1').subscribed(telling('subscribed')).error(telling('error')).listen('.order.paid', telling('private'))
    Echo.join('room.1').here(telling('here')).error(telling('error')).listenForWhisper('typing', telling('whisper'))
    0`

  it('works with another import of Pusher where the gateway has the address of the application', async () => {
    await build('same-origin', site.url)
    const ada = await site.open('same-origin', 1)
    const grace = await site.open('same-origin', 2)
    await ada.run(LISTEN)
    await Promise.all([ada.until('subscribed', 2), ada.until('here')])
    await grace.run(LISTEN)
    await grace.until('here')

    await site.laravel.broadcast('order-shipped', { id: 5 })
    await site.laravel.broadcast('order-paid')
    await grace.run(`Echo.join('room.1').whisper('typing', { at: 1 }); 0`)

    expect(await ada.until('public')).toEqual({ id: 5 })
    expect(await ada.until('private')).toEqual({ paid: true })
    expect(await ada.until('whisper')).toEqual({ at: 1 })
    expect(await grace.until('error')).toMatchObject({ type: 'AuthError', status: 403 })
    expect(await ada.run('Echo.connector.pusher.connection.transport')).toBe('eventsource')
    expect(ada.streams).toHaveLength(1)
    expect(ada.complaints).toEqual([])
  })

  it('works as well where the gateway has an address of its own, as Reverb has', async () => {
    await build('cross-origin', site.gateway.url)
    // The address in APP_URL, which the gateway lets in.
    const ada = await site.open('cross-origin', 1, site.laravel.url)
    await ada.run(LISTEN)
    await Promise.all([ada.until('subscribed', 2), ada.until('here')])
    await site.laravel.broadcast('order-shipped', { id: 5 })
    await site.laravel.broadcast('order-paid')

    expect(await ada.until('public')).toEqual({ id: 5 })
    expect(await ada.until('private')).toEqual({ paid: true })
    await ada.run(`
      const anonymous = new Echo.constructor({ ...Echo.options, withCredentials: false })
      anonymous.private('orders.1').error(telling('error'))
      0`)
    expect(await ada.until('error')).toMatchObject({ status: 401, error: expect.stringContaining('withCredentials') })
  })
})
