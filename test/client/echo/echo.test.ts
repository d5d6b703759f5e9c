import nacl from 'tweetnacl'
import { describe, expect, it, vi } from 'vitest'
import { SsePusher } from '../../../client/src/pusher/pusher.ts'
import { deny } from '../../../src/auth/denial.ts'
import { ear, openEcho, PLUGS } from '../../support/echoes.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { grantByToken } from '../../support/talking-page.ts'

const NOTIFICATION = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated'

async function gatewayWithUsers(): Promise<RunningGateway> {
  const gateway = await startGateway({ lingerMs: 100 })
  gateway.authorizer.decides(grantByToken)
  return gateway
}

/** What a version does not have needs no test, and is none that is missing. */
const when = (isThere: boolean) => (isThere ? it : () => {})

describe.each(PLUGS)('$name', (plug) => {
  it('listens to events by the names that Laravel gives them', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, plain, wire, direct] = [ear(), ear(), ear(), ear()]
    const channel = echo.channel('orders')
    expect(channel.listen('OrderShipped', plain)).toBe(channel)
    expect(echo.channel('orders')).toBe(channel)
    channel.listen('.order.shipped', wire).subscribed(here)
    expect(echo.listen('orders', 'Users.Created', direct)).toBe(channel)
    await here.next()
    await gateway.publish('orders', 'App\\Events\\OrderShipped', { id: 1 })
    await gateway.publish('orders', 'order.shipped', { id: 2 })
    await gateway.publish('orders', 'App\\Events\\Users\\Created', { id: 3 })
    expect([await plain.next(), await wire.next(), await direct.next()]).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
    expect([plain, wire, direct].map(({ heard }) => heard.length)).toEqual([1, 1, 1])
  })

  it('tells every listener, and stops one or all', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, one, two, fence] = [ear(), ear(), ear(), ear()]
    const channel = echo.channel('orders').listen('E', one).listen('E', two).listen('Fence', fence).subscribed(here)
    await here.next()
    const publish = async () => {
      await gateway.publish('orders', 'App\\Events\\E')
      await gateway.publish('orders', 'App\\Events\\Fence')
      await fence.next()
      return [one.heard.length, two.heard.length]
    }
    expect(await publish()).toEqual([1, 1])
    channel.stopListening('E', one).stopListening('E', () => {})
    expect(await publish()).toEqual([1, 2])
    channel.stopListening('E')
    expect(await publish()).toEqual([1, 2])
  })

  it('tells the others when a listener throws', async () => {
    const report = vi.fn()
    vi.stubGlobal('reportError', report)
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, other] = [ear(), ear()]
    const fail = () => {
      throw new Error('of the page')
    }
    echo.channel('orders').listen('E', fail).listen('E', other).subscribed(fail).subscribed(here)
    await here.next()
    await gateway.publish('orders', 'App\\Events\\E', 1)
    expect(await other.next()).toBe(1)
    expect(report).toHaveBeenCalledTimes(2)
  })

  it('listens to everything but what the client says of itself', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, all] = [ear(), ear()]
    const channel = echo.channel('orders').listenToAll(all).subscribed(here)
    await here.next()
    await gateway.publish('orders', 'App\\Events\\Users\\Created', { id: 1 })
    await gateway.publish('orders', 'order.shipped', { id: 2 })
    await all.next()
    await all.next()
    expect(all.heard).toEqual([
      ['Users\\Created', { id: 1 }],
      ['.order.shipped', { id: 2 }],
    ])
    const fence = ear()
    channel.stopListeningToAll().listen('.fence', fence)
    await gateway.publish('orders', 'fence')
    await fence.next()
    expect(all.heard).toHaveLength(2)
  })

  it('hears notifications on a private channel', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, notified] = [ear(), ear()]
    echo.private('App.Models.User.7').notification(notified).subscribed(here)
    await here.next()
    await gateway.publish('private-App.Models.User.7', NOTIFICATION, { id: 'n1', type: 'App\\Notifications\\Paid' })
    expect(await notified.next()).toEqual({ id: 'n1', type: 'App\\Notifications\\Paid' })
  })

  it('tells the channel that is denied why, and nobody else', async () => {
    const gateway = await gatewayWithUsers()
    gateway.authorizer.decides(({ channel }) =>
      channel.name === 'private-no' ? deny('forbidden', { message: 'Not yours.' }) : { allowed: true },
    )
    const echo = openEcho(plug, gateway.url)
    const [refused, other, here] = [ear(), ear(), ear()]
    echo.private('yes').error(other).subscribed(here)
    echo.private('no').error(refused).subscribed(other)
    expect(await refused.next()).toMatchObject({ type: 'AuthError', status: 403, error: 'Not yours.' })
    await here.next()
    expect([refused.heard.length, other.heard.length]).toEqual([1, 0])
  })

  it('knows who is here, who joins and who leaves, and passes whispers on', async () => {
    const gateway = await gatewayWithUsers()
    const [ada, grace] = [openEcho(plug, gateway.url), openEcho(plug, gateway.url, { bearerToken: 'grace' })]
    const [adaHere, graceHere, joining, leaving] = [ear(), ear(), ear(), ear()]
    const [adaHears, graceHears] = [ear(), ear()]
    const room = ada.join('room').here(adaHere).joining(joining).leaving(leaving).listenForWhisper('typing', adaHears)
    expect(await adaHere.next()).toEqual([{ name: 'ada' }])
    grace.join('room').here(graceHere).listenForWhisper('typing', graceHears)
    expect(await graceHere.next()).toEqual([{ name: 'ada' }, { name: 'grace' }])
    expect(await joining.next()).toEqual({ name: 'grace' })

    expect(room.whisper('typing', { at: 1 })).toBe(room)
    expect(await graceHears.next()).toEqual({ at: 1 })
    grace.leave('room')
    expect(await leaving.next()).toEqual({ name: 'grace' })
    expect([adaHears, adaHere, joining, leaving].map(({ heard }) => heard.length)).toEqual([0, 1, 1, 1])
  })

  it('gives the sender’s socket id, and does not hear what is sent to others', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    expect(echo.socketId()).toBeUndefined()
    const [here, told] = [ear(), ear()]
    echo.channel('orders').listen('E', told).subscribed(here)
    await here.next()
    const socketId = echo.socketId()
    expect(socketId).toMatch(/^\d+\.\d+$/)
    await gateway.publish('orders', 'App\\Events\\E', 'own', socketId)
    await gateway.publish('orders', 'App\\Events\\E', 'of another', '1.1')
    expect(await told.next()).toBe('of another')
    const joined = ear()
    echo.channel('more').subscribed(joined)
    await joined.next()
    expect(echo.socketId()).toBe(socketId)
  })

  it('leaves a name with all its kinds, one by its whole name, or all', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url, { nacl })
    const names = () => Object.keys(echo.connector.channels).sort()
    const open = () => [echo.channel('x'), echo.private('x'), echo.join('x'), echo.channel('y'), echo.private('y')]
    const all = ['presence-x', 'private-x', 'private-y', 'x', 'y']
    const channels = open()
    if (plug.hasEncryption) echo.encryptedPrivate('x')
    echo.leave('x')
    expect(names()).toEqual(['private-y', 'y'])
    echo.leaveChannel('private-y')
    echo.leaveChannel('private-y')
    expect(names()).toEqual(['y'])
    open()
    expect(names()).toEqual(all)
    echo.leaveAllChannels()
    expect(names()).toEqual([])
    for (const channel of channels)
      channel
        .stopListening('E', () => {})
        .stopListening('E')
        .stopListeningForWhisper('w')
  })

  it('tells the new object of a channel that was left and joined in one tick', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, again, subscribed, late, told] = [ear(), ear(), ear(), ear(), ear()]
    echo.join('room').here(here)
    await here.next()
    echo.leave('room')
    const room = echo.join('room').here(again).subscribed(subscribed).listen('E', told)
    expect(await again.next()).toEqual([{ name: 'ada' }])
    await subscribed.next()
    room.here(late)
    expect(await late.next()).toEqual([{ name: 'ada' }])
    await gateway.publish('presence-room', 'App\\Events\\E', 1)
    expect(await told.next()).toBe(1)
    expect([here, again, subscribed, late].map(({ heard }) => heard.length)).toEqual([1, 1, 1, 1])
  })

  it('goes on with a channel object that was left, as hooks do after a change', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [here, again, told] = [ear(), ear(), ear()]
    const channel = echo.private('orders').subscribed(here)
    await here.next()
    echo.leaveChannel('private-orders')
    channel.listen('E', told).subscribed(again)
    await again.next()
    await gateway.publish('private-orders', 'App\\Events\\E', 1)
    expect(await told.next()).toBe(1)
    // In the order in which hooks tidy up.
    channel.stopListening('E', told)
    channel.stopListening('pusher:subscription_succeeded')
    echo.leaveChannel('private-orders')
    channel.stopListening('E', told)
  })

  when(plug.hasStatus)('tells how the connection is', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const [changed, gone] = [ear(), ear()]
    expect(echo.connectionStatus()).toBe('disconnected')
    echo.connector.onConnectionChange(changed)
    echo.connector.onConnectionChange(gone)()
    echo.channel('orders')
    expect(await changed.next()).toBe('connecting')
    expect(await changed.next()).toBe('connected')
    expect(echo.connectionStatus()).toBe('connected')
    echo.leave('orders')
    await gateway.stop()
    const settled = plug.saysReconnecting ? 'reconnecting' : 'connecting'
    let status = await changed.next()
    // The real Echo listens to two names for one change.
    while (status === 'connected') status = await changed.next()
    expect(status).toBe(settled)
    echo.disconnect()
    expect(echo.connectionStatus()).toBe('disconnected')
    expect(gone.heard).toEqual([])
  })

  it('is off the list of its clients once it is disconnected', async () => {
    const gateway = await gatewayWithUsers()
    const echo = openEcho(plug, gateway.url)
    const here = ear()
    echo.channel('orders').subscribed(here)
    await here.next()
    expect(SsePusher.instances).toHaveLength(1)
    echo.disconnect()
    expect(SsePusher.instances).toEqual([])
  })

  it('asks with its own token, whatever another instance has', async () => {
    const gateway = await gatewayWithUsers()
    const [adaHere, graceHere] = [ear(), ear()]
    const [ada, grace] = [openEcho(plug, gateway.url), openEcho(plug, gateway.url, { bearerToken: 'grace' })]
    ada.join('a').here(adaHere)
    grace.join('b').here(graceHere)
    expect(await adaHere.next()).toEqual([{ name: 'ada' }])
    expect(await graceHere.next()).toEqual([{ name: 'grace' }])
  })

  when(plug.hasEncryption)('reads encrypted channels', async () => {
    const key = nacl.randomBytes(32)
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
    const gateway = await gatewayWithUsers()
    gateway.authorizer.decides(() => ({ allowed: true, sharedSecret: base64(key) }))
    const echo = openEcho(plug, gateway.url, { nacl })
    const [here, told] = [ear(), ear()]
    echo.encryptedPrivate('vault').listen('E', told).subscribed(here)
    await here.next()
    const nonce = nacl.randomBytes(24)
    const ciphertext = base64(nacl.secretbox(new TextEncoder().encode('{"pin":1234}'), nonce, key))
    await gateway.publish('private-encrypted-vault', 'App\\Events\\E', { nonce: base64(nonce), ciphertext })
    expect(await told.next()).toEqual({ pin: 1234 })
  })

  when(plug.hasEncryption)('says what an encrypted channel needs', async () => {
    const gateway = await gatewayWithUsers()
    expect(() => openEcho(plug, gateway.url).encryptedPrivate('vault')).toThrow('npm install tweetnacl')
  })
})
