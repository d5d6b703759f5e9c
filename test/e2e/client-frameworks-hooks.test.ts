import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requirePart } from '../support/parts.ts'
import { SITE_PARTS, type Site, startSite } from '../support/site.ts'
import type { SitePage } from '../support/site-page.ts'

const PACKAGES = ['@laravel/echo-vue', '@laravel/echo-react', 'pusher-js', 'vue', 'react', 'react-dom']

// In its development build, React's StrictMode mounts every component twice.
const STRICT = { 'process.env.NODE_ENV': '"development"' }

const ADA = { id: 1, name: 'Ada' }
const GRACE = { id: 2, name: 'Grace' }

/** What the board listens to, besides its room. */
const CHANNELS = ['news', 'orders', 'private-App.Models.Post.5', 'private-App.Models.User.1', 'private-orders.1']

let rooms = 0

describe.runIf(requirePart(...SITE_PARTS, 'laravel-12'))('the hooks of', () => {
  let site: Site

  beforeAll(async () => {
    site = await startSite({ packages: PACKAGES })
    await site.build('vue', { entry: 'vue/main.js' })
    await site.build('react', { entry: 'react/main.jsx', define: STRICT })
  })
  afterAll(() => site?.close())

  /** A room nobody was in before. */
  const nextRoom = () => `room.${++rooms}`
  const announce = (id: number, channel: string) => site.laravel.broadcast('announced', { id, channel })

  describe.each(['vue', 'react'])('@laravel/echo-%s, over our Pusher', (framework) => {
    /** A page of Ada with the board, and one of Grace in the same room, who sees her coming. */
    async function openBoard(room: string): Promise<{ ada: SitePage; grace: SitePage }> {
      const grace = await site.open(framework, GRACE.id)
      await grace.run(`echo().join('${room}').here(telling('here')).joining(telling('joining'))
        .leaving(telling('leaving')).listenForWhisper('typing', telling('whisper')); 0`)
      await grace.until('here')
      const ada = await site.open(framework, ADA.id)
      await ada.run(`show({ board: '${room}' })`)
      await Promise.all([ada.until('subscribed', 3), ada.until('here'), grace.until('joining')])
      return { ada, grace }
    }

    it('are all fed by one stream', async () => {
      const room = nextRoom()
      const { ada } = await openBoard(room)

      await site.laravel.broadcast('order-paid')
      await site.laravel.broadcast('order-shipped', { id: 5 })
      await announce(6, 'orders')
      await announce(7, `presence-${room}`)
      await site.laravel.notify(ADA.id, 8)
      await site.laravel.deletePost(5)
      await announce(9, 'news')

      expect(await ada.until('news')).toEqual({ id: 9, text: 'Hello' })
      expect(ada.told('private')).toEqual([{ paid: true }])
      expect(ada.told('public')).toEqual([{ id: 5 }, { id: 6, text: 'Hello' }])
      expect(ada.told('presence')).toEqual([{ id: 7, text: 'Hello' }])
      expect(ada.told('notification')).toEqual([expect.objectContaining({ invoiceId: 8 })])
      expect(ada.told('model')).toEqual([expect.objectContaining({ model: { id: 5, title: 'Hello' } })])
      expect(ada.streams).toEqual([[...CHANNELS, `presence-${room}`].toSorted()])
      expect(ada.complaints).toEqual([])
    })

    it('show who is there, who comes and goes, and how the connection is doing', async () => {
      const room = nextRoom()
      const { ada, grace } = await openBoard(room)
      expect(ada.told('here')).toEqual([expect.arrayContaining([ADA, GRACE])])
      expect(grace.told('joining')).toEqual([ADA])

      await grace.run(`echo().join('${room}').whisper('typing', { at: 1 }); 0`)
      expect(await ada.until('whisper')).toEqual({ at: 1 })
      await ada.run(`echo().join('${room}').whisper('typing', { at: 2 }); 0`)
      expect(await grace.until('whisper')).toEqual({ at: 2 })
      await grace.run(`echo().leave('${room}')`)
      expect(await ada.until('leaving')).toEqual(GRACE)

      const socketId = await ada.run('echo().socketId()')
      expect(socketId).toMatch(/^\d+\.\d+$/)
      await ada.untilTold('socketId', socketId)
      await ada.page.getByText(`connected ${socketId}`).waitFor()
      expect(ada.changes('status')).toEqual(['disconnected', 'connecting', 'connected'])
    })

    it('leave their channels when the component goes', async () => {
      const room = nextRoom()
      const { ada, grace } = await openBoard(room)

      await ada.run(`show({ board: '' })`)
      expect(await grace.until('leaving')).toEqual(ADA)
      await ada.run('show({ news: true })')
      await ada.until('ready')
      await site.laravel.broadcast('order-paid')
      await announce(1, 'orders')
      await announce(2, 'news')

      expect(await ada.until('later')).toMatchObject({ id: 2 })
      expect([...ada.told('private'), ...ada.told('public'), ...ada.told('news')]).toEqual([])
      expect(ada.streams.at(-1)).toEqual(['news'])
      expect(ada.complaints).toEqual([])
    })

    it('stay on their channels when the component is replaced, as hot module replacement does it', async () => {
      const room = nextRoom()
      const { ada, grace } = await openBoard(room)

      await ada.run('show({ version: 2 })')
      await Promise.all([ada.until('here', 2), ada.until('subscribed', 6)])
      await site.laravel.broadcast('order-paid')
      await announce(1, `presence-${room}`)
      await announce(2, 'news')

      await ada.until('news')
      expect(ada.told('here')[1]).toEqual(expect.arrayContaining([ADA, GRACE]))
      expect(ada.told('private')).toHaveLength(1)
      expect(ada.told('presence')).toHaveLength(1)
      expect(ada.streams).toHaveLength(1)
      expect(grace.told('leaving')).toEqual([])
      expect(ada.complaints).toEqual([])
    })

    it('share a channel until the last component that has it goes', async () => {
      const ada = await site.open(framework, ADA.id)
      await ada.run(`show({ ears: ['first', 'second'] })`)
      await ada.until('subscribed', 2)
      await announce(1, 'private-orders.1')
      await Promise.all([ada.until('first'), ada.until('second')])

      await ada.run(`show({ ears: ['second'] })`)
      await announce(2, 'private-orders.1')
      await ada.until('second', 2)
      expect(ada.streams).toEqual([['private-orders.1']])
      await ada.run('show({ ears: [], news: true })')
      await ada.until('ready')
      await announce(3, 'private-orders.1')
      await announce(4, 'news')
      await ada.until('later')

      expect(ada.told('first')).toHaveLength(1)
      expect(ada.told('second')).toHaveLength(2)
      expect(ada.streams).toEqual([['private-orders.1'], ['news']])
    })

    it('go on hearing when what they depend on changes, and leave afterwards', async () => {
      const ada = await site.open(framework, ADA.id)
      await ada.run(`show({ ears: ['ear'] })`)
      await ada.until('subscribed')
      await announce(1, 'private-orders.1')
      expect(await ada.until('ear')).toBe(1)

      for (const number of [2, 3]) {
        await ada.run(`show({ number: ${number} })`)
        await ada.page.getByText(`ear ${number}`).waitFor()
        await announce(number, 'private-orders.1')
        expect(await ada.until('ear', number)).toBe(number)
      }
      expect(ada.streams).toEqual([['private-orders.1']])
      await ada.run('show({ ears: [], news: true })')
      await ada.until('ready')
      await announce(4, 'private-orders.1')
      await announce(5, 'news')
      await ada.until('later')

      expect(ada.told('ear')).toEqual([1, 2, 3])
      expect(ada.streams.at(-1)).toEqual(['news'])
    })
  })

  it('@laravel/echo-react go over to another channel', async () => {
    const ada = await site.open('react', ADA.id)
    await ada.run(`show({ ears: ['ear'], orders: 2 })`)
    await ada.until('denied')

    await ada.run('show({ orders: 1 })')
    await ada.until('subscribed')
    await announce(1, 'private-orders.2')
    await announce(2, 'private-orders.1')
    await ada.until('ear')

    expect(ada.told('ear')).toHaveLength(1)
    expect(ada.streams).toEqual([['private-orders.2'], ['private-orders.1']])
  })

  it('Vue leave Echo, Pusher and channels as they are in what is reactive', async () => {
    const ada = await site.open('vue', ADA.id)
    await ada.run(`
      const kept = reactive({ real: echo(), own: new Echo({ url: '/sse' }), pusher: echo().connector.pusher })
      kept.channel = kept.pusher.subscribe('news')
      kept.channel.bind('App\\\\Events\\\\Announced', telling('pusher'))
      kept.room = kept.own.join('room.0').here(telling('here')).listen('Announced', telling('own'))
      kept.real.private('orders.1').subscribed(telling('subscribed')).listen('.order.paid', telling('real'))
      tell('reactive', ['own', 'pusher', 'channel', 'room'].filter((name) => isReactive(kept[name])))`)
    await Promise.all([ada.until('subscribed'), ada.until('here')])

    await announce(1, 'news')
    await announce(2, 'presence-room.0')
    await site.laravel.broadcast('order-paid')

    expect(await ada.until('pusher')).toMatchObject({ id: 1 })
    expect(await ada.until('own')).toMatchObject({ id: 2 })
    expect(await ada.until('real')).toEqual({ paid: true })
    expect(ada.told('reactive')).toEqual([[]])
    expect(ada.complaints).toEqual([])
  })
})
