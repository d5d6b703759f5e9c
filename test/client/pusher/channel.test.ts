import { describe, expect, it, vi } from 'vitest'
import type { PresenceChannel } from '../../../client/src/pusher/channel.ts'
import { broadcast, ClientPage, pass } from '../../support/client-page.ts'

const SUCCEEDED = 'pusher:subscription_succeeded'

describe('a channel', () => {
  it('hears its events, with the rest of a page that needs nothing else', async () => {
    const page = new ClientPage()
    const told: unknown[] = []
    page
      .pusher()
      .subscribe('alarm')
      .bind('App\\Events\\X', (...args) => told.push(args))
    const stream = await page.open()
    broadcast(stream, 'alarm', 'App\\Events\\X', { id: 1 })
    broadcast(stream, 'alarm', 'App\\Events\\Y', { id: 2 })
    expect(told).toEqual([[{ id: 1 }, {}]])
  })

  it('is known by its name as long as it is subscribed', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const channel = pusher.subscribe('a')
    expect([channel.subscribed, channel.subscriptionPending]).toEqual([false, true])
    expect(pusher.subscribe('a')).toBe(channel)
    expect(pusher.channel('a')).toBe(channel)
    expect(pusher.allChannels()).toEqual([channel])
    await page.open()
    expect([channel.subscribed, channel.subscriptionPending]).toEqual([true, false])
    pusher.unsubscribe('a')
    expect([channel.subscribed, channel.subscriptionPending]).toEqual([false, false])
    expect([pusher.channel('a'), pusher.allChannels()]).toEqual([undefined, []])
    pusher.unsubscribe('a')
  })

  it('is told that it is subscribed once, and not when other channels come', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const succeeded = vi.fn()
    pusher.subscribe('a').bind(SUCCEEDED, succeeded)
    await page.open()
    pusher.subscribe('b')
    await page.open()
    expect(succeeded.mock.calls).toEqual([[{}]])
  })

  it('is told why it is refused, and the others are not', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const [refused, other] = [vi.fn(), vi.fn()]
    const channel = pusher.subscribe('private-a').bind('pusher:subscription_error', refused)
    pusher.subscribe('b').bind('pusher:subscription_error', other)
    await pass(50)
    page.gateway.last().connect().deny('private-a', 403, { code: 'forbidden', message: 'Not yours.' }).grant('b')
    const error = { type: 'AuthError', error: 'Not yours.', status: 403, code: 'forbidden', retry: false }
    expect(refused.mock.calls).toEqual([[error]])
    expect(other).not.toHaveBeenCalled()
    expect([channel.subscribed, channel.subscriptionPending]).toEqual([false, false])
  })

  it('cannot be told by a broadcast what only this client says', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    page.pusher().subscribe('a').bind_global(told)
    const stream = await page.open()
    told.mockClear()
    for (const name of [SUCCEEDED, 'pusher:member_added', 'pusher_internal:x']) broadcast(stream, 'a', name, {})
    expect(told).not.toHaveBeenCalled()
  })

  it('may have any name', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told = vi.fn()
    for (const name of ['__proto__', 'constructor']) pusher.subscribe(name).bind('__proto__', told)
    const stream = await page.open()
    for (const name of ['__proto__', 'constructor']) broadcast(stream, name, '__proto__', name)
    expect(told.mock.calls.map(([data]) => data)).toEqual(['__proto__', 'constructor'])
    expect(pusher.allChannels().map(({ name }) => name)).toEqual(['__proto__', 'constructor'])
    pusher.unsubscribe('__proto__')
    expect(pusher.allChannels().map(({ name }) => name)).toEqual(['constructor'])
  })
})

describe('a channel that is there already', () => {
  it('tells who comes late, alone and a moment later', async () => {
    const page = new ClientPage()
    const [early, late] = [vi.fn(), vi.fn()]
    const channel = page.pusher().subscribe('a').bind(SUCCEEDED, early)
    await page.open()
    channel.bind(SUCCEEDED, late)
    expect(late).not.toHaveBeenCalled()
    await pass()
    expect([early, late].map(({ mock }) => mock.calls)).toEqual([[[{}]], [[{}]]])
  })

  it('does not tell who has gone again', async () => {
    const page = new ClientPage()
    const late = vi.fn()
    const channel = page.pusher().subscribe('a')
    await page.open()
    channel.bind(SUCCEEDED, late).unbind(SUCCEEDED, late)
    await pass()
    expect(late).not.toHaveBeenCalled()
  })

  it('does not tell whose channel has gone', async () => {
    const page = new ClientPage()
    const late = vi.fn()
    const channel = page.pusher().subscribe('a')
    await page.open()
    channel.bind(SUCCEEDED, late)
    channel.pusher.unsubscribe('a')
    await pass()
    expect(late).not.toHaveBeenCalled()
  })

  it('stays when nobody listens any more', async () => {
    const page = new ClientPage()
    const channel = page
      .pusher()
      .subscribe('a')
      .bind('E', () => {})
    await page.open()
    channel.unbind()
    expect(channel.subscribed).toBe(true)
  })

  it.each(['a', 'private-a', 'presence-a'])(
    '%s: left and joined in one tick, it tells the new object without a request',
    async (name) => {
      const page = new ClientPage()
      const pusher = page.pusher()
      const [before, after] = [vi.fn(), vi.fn()]
      pusher.subscribe(name).bind(SUCCEEDED, before)
      await page.open({ 'presence-a': { members: [{ id: '7', info: { name: 'Ada' } }], me: '7' } })
      before.mockClear()
      pusher.unsubscribe(name)
      const channel = pusher.subscribe(name).bind(SUCCEEDED, after)
      expect(channel.subscribed).toBe(true)
      await pass(100)
      expect(before).not.toHaveBeenCalled()
      expect(after).toHaveBeenCalledTimes(1)
      if (name === 'presence-a')
        expect(after).toHaveBeenCalledWith(expect.objectContaining({ me: { id: '7', info: { name: 'Ada' } } }))
      expect(page.gateway.of('stream')).toHaveLength(1)
    },
  )
})

describe('a channel object that was left', () => {
  it('hears no more', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told = vi.fn()
    const left = pusher.subscribe('a').bind('E', told).bind_global(told)
    const stream = await page.open()
    told.mockClear()
    pusher.unsubscribe('a')
    stream.message('a', 1)
    // Nor with what it had before, when it is there again.
    left.bind('other', () => {})
    stream.message('a', 2)
    expect(told).not.toHaveBeenCalled()
  })

  it('may be tidied up as often as one likes', () => {
    const left = new ClientPage().pusher().subscribe('a')
    left.pusher.unsubscribe('a')
    left
      .unbind('E', () => {})
      .unbind('E')
      .unbind()
      .unbind_global()
      .unbind_all()
    expect(left.pusher.allChannels()).toEqual([])
  })

  it.each(['bind', 'bind_global'] as const)('is there again by %s, and left with its last listener', async (how) => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const left = pusher.subscribe('a')
    await page.open()
    pusher.unsubscribe('a')
    await pass(6_000)
    expect(page.gateway.open).toEqual([])

    const told = vi.fn()
    if (how === 'bind') left.bind('E', told)
    else left.bind_global(told)
    expect(pusher.channel('a')).toBe(left)
    const stream = await page.open()
    stream.message('a', { id: 1 })
    expect(told).toHaveBeenCalledWith(...(how === 'bind' ? [{ id: 1 }, {}] : ['E', { id: 1 }]))

    if (how === 'bind') left.unbind('E', told)
    else left.unbind_global(told)
    expect(pusher.channel('a')).toBeUndefined()
    await pass(6_000)
    expect(page.gateway.open).toEqual([])
  })

  it('and the one that has taken its place both hear, until each is left', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const [old, now] = [vi.fn(), vi.fn()]
    const left = pusher.subscribe('a')
    pusher.unsubscribe('a')
    left.bind('E', old)
    const channel = pusher.subscribe('a').bind('E', now)
    expect(channel).not.toBe(left)
    const stream = await page.open()
    stream.message('a', 1)
    pusher.unsubscribe('a')
    expect(pusher.channel('a')).toBe(left)
    stream.message('a', 2)
    left.unbind('E', old)
    stream.message('a', 3)
    expect(old.mock.calls.map(([data]) => data)).toEqual([1, 2])
    expect(now.mock.calls.map(([data]) => data)).toEqual([1])
    expect(pusher.allChannels()).toEqual([])
  })

  it('is left by name as well', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const told = vi.fn()
    const left = pusher.subscribe('a')
    pusher.unsubscribe('a')
    left.bind('E', told)
    const stream = await page.open()
    pusher.unsubscribe('a')
    stream.message('a', 1)
    expect(told).not.toHaveBeenCalled()
  })
})

describe('a whisper', () => {
  it('goes to the gateway, once the channel is there', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('private-a')
    expect(channel.trigger('client-typing', { name: 'Ada' })).toBe(false)
    expect(page.errors.map(({ message }) => message)).toEqual([
      'client-typing was not sent: private-a is not subscribed',
    ])
    await page.open()
    expect(channel.trigger('client-typing', { name: 'Ada' })).toBe(true)
    expect(channel.pusher.send_event('client-typing', 1, 'private-a')).toBe(true)
    const whispers = page.gateway.of('whisper').map(({ body }) => JSON.parse(body))
    expect(whispers).toEqual([
      { channel: 'private-a', event: 'client-typing', data: { name: 'Ada' }, socketId: '7.1', key: 'key-of-7.1' },
      { channel: 'private-a', event: 'client-typing', data: 1, socketId: '7.1', key: 'key-of-7.1' },
    ])
  })

  it('is not sent from a channel that was left, though the stream still has it', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('private-a')
    await page.open()
    channel.pusher.unsubscribe('private-a')
    expect(channel.trigger('client-typing')).toBe(false)
    expect(channel.pusher.send_event('client-typing', 1, 'private-a')).toBe(false)
    expect(page.gateway.of('whisper')).toEqual([])
  })

  it('that is refused is reported', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('private-a')
    await page.open()
    page.gateway.script = (request) => request.refuse(429, { message: 'Too many.' })
    channel.trigger('client-typing')
    await pass()
    expect(page.errors.map(({ message }) => message)).toEqual([expect.stringContaining('Too many.')])
  })

  it('needs a name that begins with client-, and a channel that has some', () => {
    const pusher = new ClientPage().pusher({ nacl: { secretbox: { open: () => null } } })
    const trigger = (name: string, event: string) => () => pusher.subscribe(name).trigger(event)
    expect(trigger('private-a', 'typing')).toThrow("'typing' does not start with 'client-'")
    expect(trigger('a', 'client-typing')).toThrow('need a private or presence channel; a is none')
    expect(trigger('private-encrypted-a', 'client-typing')).toThrow('private-encrypted-a is none')
  })

  it('says who whispers, where Laravel has named them', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    page.pusher().subscribe('presence-a').bind('client-typing', told)
    const stream = await page.open()
    broadcast(stream, 'presence-a', 'client-typing', { at: 1 }, { userId: '7' })
    expect(told.mock.calls).toEqual([[{ at: 1 }, { user_id: '7' }]])
  })
})

describe('a cache channel', () => {
  it('is told when there is nothing that could be told first, without any data', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    page
      .pusher()
      .subscribe('cache-prices')
      .bind('pusher:cache_miss', (...args) => told(...args))
    const stream = await page.open()
    expect(told).not.toHaveBeenCalled()
    stream.frame('cache_miss', { channel: 'cache-prices' })
    stream.frame('cache_miss', { channel: 'cache-of-nobody' })
    expect(told.mock.calls).toEqual([[]])
    expect(page.errors).toEqual([])
  })
})

describe('a presence channel', () => {
  const ada = { id: '7', info: { name: 'Ada' } }
  const bob = { id: '9', info: { name: 'Bob' } }

  it('knows its members as pusher-js does', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('presence-a') as PresenceChannel
    const { members } = channel
    expect(members).toMatchObject({ members: {}, count: 0, me: null, myID: null })
    const succeeded = vi.fn()
    channel.bind(SUCCEEDED, succeeded)
    await page.open({ 'presence-a': { members: [ada, bob], me: '7' } })
    expect(succeeded.mock.calls).toEqual([[members]])
    expect(members).toMatchObject({ members: { 7: ada.info, 9: bob.info }, count: 2, me: ada, myID: '7' })
    expect([members.get('9'), members.get('8')]).toEqual([bob, null])
    const each: unknown[] = []
    members.each((member) => each.push(member))
    expect(each).toEqual([ada, bob])
  })

  it('tells who comes and goes, after the list has changed', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('presence-a') as PresenceChannel
    const told: unknown[] = []
    for (const event of ['added', 'removed'])
      channel.bind(`pusher:member_${event}`, (member) => told.push([event, member, channel.members.count]))
    const stream = await page.open({ 'presence-a': { members: [ada], me: '7' } })
    stream.frame('joining', { channel: 'presence-a', member: bob })
    stream.frame('leaving', { channel: 'presence-a', member: bob })
    expect(told).toEqual([
      ['added', bob, 2],
      ['removed', bob, 1],
    ])
  })

  it('takes any id for a member', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('presence-a') as PresenceChannel
    const odd = { id: '__proto__', info: { polluted: true } }
    await page.open({ 'presence-a': { members: [ada, odd], me: '7' } })
    expect(channel.members.get('__proto__')).toEqual(odd)
    expect(channel.members.get('constructor')).toBeNull()
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it('counts those who are not in a list that is cut', async () => {
    const page = new ClientPage()
    const channel = page.pusher().subscribe('presence-a') as PresenceChannel
    await page.open({ 'presence-a': { members: [ada], me: '7', count: 5000 } })
    expect(channel.members.count).toBe(5000)
  })
})
