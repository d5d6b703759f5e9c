import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requirePart } from '../support/parts.ts'
import { SITE_PARTS, type Site, startSite } from '../support/site.ts'

const VERSIONS = ['laravel-echo-1.19', 'laravel-echo-2.3.0', 'laravel-echo']

const ADA = { id: 1, name: 'Ada' }
const GRACE = { id: 2, name: 'Grace' }

let rooms = 0

describe.runIf(requirePart(...SITE_PARTS, 'laravel-12'))('our Pusher in the real Echo, in Chromium', () => {
  let site: Site

  beforeAll(async () => {
    site = await startSite({ packages: VERSIONS })
    for (const version of VERSIONS)
      await site.build(version, { entry: 'echo.js', resolve: { alias: { 'laravel-echo': version } } })
  })
  afterAll(() => site?.close())

  describe.each(VERSIONS)('%s', (version) => {
    const enter = (userId?: number) => site.open(version, userId)
    /** A room nobody was in before. */
    const nextRoom = () => `room.${++rooms}`

    it('hears all kinds of channels on one stream', async () => {
      const room = nextRoom()
      const ada = await enter(ADA.id)
      await ada.run(`
        echo.channel('orders').subscribed(telling('subscribed')).listen('OrderShipped', telling('public'))
        echo.channel('orders').listenToAll((event, data) => tell('all', [event, data]))
        echo.private('orders.1').subscribed(telling('subscribed')).listen('.order.paid', telling('private'))
        echo.private('App.Models.User.1').subscribed(telling('subscribed')).notification(telling('notification'))
        echo.join('${room}').subscribed(telling('subscribed')).here(telling('here')).listen('Announced', telling('presence'))
        0`)
      await ada.until('subscribed', 4)

      await site.laravel.broadcast('order-shipped', { id: 5 })
      await site.laravel.broadcast('order-paid')
      await site.laravel.broadcast('announced', { id: 6, channel: 'orders', text: 'Soon' })
      await site.laravel.notify(ADA.id, 7)
      await site.laravel.broadcast('announced', { id: 8, channel: `presence-${room}` })

      expect(await ada.until('presence')).toEqual({ id: 8, text: 'Hello' })
      expect(ada.told('here')).toEqual([[ADA]])
      expect(ada.told('public')).toEqual([{ id: 5 }])
      expect(ada.told('private')).toEqual([{ paid: true }])
      expect(ada.told('all')).toEqual([
        ['OrderShipped', { id: 5 }],
        ['Announced', { id: 6, text: 'Soon' }],
      ])
      expect(ada.told('notification')).toEqual([
        expect.objectContaining({ invoiceId: 7, type: 'App\\Notifications\\InvoicePaid', id: expect.any(String) }),
      ])
      const channels = ['orders', 'private-orders.1', 'private-App.Models.User.1', `presence-${room}`]
      expect(ada.streams).toEqual([channels.toSorted()])
      expect(ada.complaints).toEqual([])
    })

    it('shows who is there, who comes, what they whisper, and that they go', async () => {
      const room = nextRoom()
      const join = `echo.join('${room}').here(telling('here')).joining(telling('joining')).leaving(telling('leaving'))
        .listenForWhisper('typing', telling('whisper')); 0`
      const ada = await enter(ADA.id)
      await ada.run(join)
      expect(await ada.until('here')).toEqual([ADA])

      const grace = await enter(GRACE.id)
      await grace.run(join)
      expect(await grace.until('here')).toHaveLength(2)
      expect(grace.told('here')[0]).toEqual(expect.arrayContaining([ADA, GRACE]))
      expect(await ada.until('joining')).toEqual(GRACE)
      await grace.run(`echo.join('${room}').whisper('typing', { at: 3 }); 0`)
      expect(await ada.until('whisper')).toEqual({ at: 3 })
      await ada.run(`echo.join('${room}').whisper('typing', { at: 4 }); 0`)
      expect(await grace.until('whisper')).toEqual({ at: 4 })
      await grace.run(`echo.leave('${room}')`)
      expect(await ada.until('leaving')).toEqual(GRACE)

      expect(grace.told('whisper')).toHaveLength(1)
      expect(grace.told('joining')).toEqual([])
      expect(ada.told('joining')).toEqual([GRACE])
    })

    it('tells of a refusal, and the other channels go on', async () => {
      const ada = await enter(ADA.id)
      await ada.run(`
        echo.private('denied.1').error(telling('error')).subscribed(telling('wrong'))
        echo.private('orders.1').error(telling('wrong')).subscribed(telling('subscribed')).listen('.order.paid', telling('private'))
        0`)

      expect(await ada.until('error')).toMatchObject({ type: 'AuthError', status: 403 })
      await ada.until('subscribed')
      await site.laravel.broadcast('order-paid')
      await ada.until('private')
      expect(ada.told('error')).toHaveLength(1)
      expect(ada.told('wrong')).toEqual([])
      expect(ada.streams).toHaveLength(1)
    })

    it('hears nothing more of channels it leaves, one or all', async () => {
      const room = nextRoom()
      const grace = await enter(GRACE.id)
      await grace.run(
        `echo.join('${room}').joining(telling('joining')).leaving(telling('leaving')).here(telling('here')); 0`,
      )
      await grace.until('here')
      const ada = await enter(ADA.id)
      await ada.run(`
        echo.channel('orders').listen('OrderShipped', telling('public')).subscribed(telling('subscribed'))
        echo.private('orders.1').listen('.order.paid', telling('private')).subscribed(telling('subscribed'))
        echo.join('${room}').subscribed(telling('subscribed'))
        0`)
      await ada.until('subscribed', 3)
      await grace.until('joining')

      await ada.run(`echo.leave('${room}'); echo.leave('orders.1')`)
      expect(await grace.until('leaving')).toEqual(ADA)
      await site.laravel.broadcast('order-paid')
      await site.laravel.broadcast('order-shipped', { id: 1 })
      await ada.until('public')
      await ada.run(
        `echo.leaveAllChannels(); echo.channel('news').listen('Announced', telling('news')).subscribed(telling('subscribed')); 0`,
      )
      await ada.until('subscribed', 4)
      await site.laravel.broadcast('order-shipped', { id: 2 })
      await site.laravel.broadcast('announced', { channel: 'news' })
      await ada.until('news')

      expect(ada.told('private')).toEqual([])
      expect(ada.told('public')).toEqual([{ id: 1 }])
      expect(ada.streams.slice(1)).toEqual([['orders'], ['news']])
    })

    it('has the socket id that toOthers() leaves out', async () => {
      const [sender, other] = [await enter(ADA.id), await enter(ADA.id)]
      expect(await sender.run('echo.socketId()')).toBeUndefined()
      for (const page of [sender, other])
        await page.run(`
          echo.private('orders.1').subscribed(() => tell('subscribed', echo.socketId())).listen('Announced', telling('heard'))
          0`)
      const socketId = await sender.until('subscribed')
      expect(socketId).toMatch(/^\d+\.\d+$/)
      expect(await other.until('subscribed')).not.toBe(socketId)

      await sender.run(`fetch('/broadcast/announced/others?channel=private-orders.1&id=1', {
        headers: { 'X-Socket-ID': echo.socketId() },
      }).then((answer) => answer.text())`)
      await site.laravel.broadcast('announced', { id: 2, channel: 'private-orders.1' })

      expect(await other.until('heard', 2)).toMatchObject({ id: 2 })
      expect(await sender.until('heard')).toMatchObject({ id: 2 })
      expect(other.told('heard')).toHaveLength(2)
    })

    it('tells how the connection is doing, and misses nothing while it is away', async () => {
      const ada = await enter(ADA.id)
      await ada.run(
        version === 'laravel-echo-1.19'
          ? `echo.connector.pusher.connection.bind('state_change', ({ current }) => tell('status', current)); 0`
          : `tell('status', echo.connectionStatus()); echo.connector.onConnectionChange(telling('status')); 0`,
      )
      await ada.run(`
        echo.channel('orders').subscribed(() => tell('subscribed', echo.socketId())).listen('OrderShipped', telling('public'))
        0`)
      await ada.until('subscribed')

      site.line.cut()
      await site.laravel.broadcast('order-shipped', { id: 1 })
      site.line.resume()
      await ada.until('public')
      const socketId = await ada.run('echo.socketId()')
      await ada.run('echo.disconnect()')
      await ada.untilTold('status', 'disconnected')

      const before = version === 'laravel-echo-1.19' ? [] : ['disconnected']
      const twice = ['connecting', 'connected', 'connecting', 'connected']
      expect(ada.changes('status')).toEqual([...before, ...twice, 'disconnected'])
      expect(ada.told('subscribed')).toEqual([socketId])
      expect(ada.told('public')).toEqual([{ id: 1 }])
    })
  })
})
