import nacl from 'tweetnacl'
import { describe, expect, it, vi } from 'vitest'
import type { PusherOptions } from '../../../client/src/pusher/options.ts'
import { SsePusher } from '../../../client/src/pusher/pusher.ts'
import PusherByDefault, { Pusher } from '../../../client/src/pusher.ts'
import { atEndOfTest } from '../../support/at-end.ts'
import { broadcast, ClientPage, GATEWAY_URL, pass } from '../../support/client-page.ts'

function quiet(level: 'log' | 'warn' | 'error') {
  return vi.spyOn(console, level).mockImplementation(() => {})
}

const BESIDE_PAGE = { url: undefined, wsHost: 'gateway.test', wsPort: 80, forceTLS: false }

describe('the class', () => {
  it('is the same under the name that pusher-js has', () => {
    expect(Pusher).toBe(SsePusher)
    expect(PusherByDefault).toBe(SsePusher)
  })

  it('needs no key, and nothing in its options', () => {
    const page = new ClientPage()
    expect(new SsePusher(undefined, { ...page.options, wsPort: undefined, nacl: null }).key).toBeUndefined()
    vi.stubGlobal('location', { href: 'https://shop.test/' })
    expect(new SsePusher('key').options).toEqual({})
    expect(new SsePusher('key', null).options).toEqual({})
  })

  it.each<[string, PusherOptions, boolean]>([
    ['not with `url`', {}, false],
    ['with `url` and the word of the page', { withCredentials: true }, true],
    ['where a configuration for Reverb says the address', BESIDE_PAGE, true],
    ['not there either when the page says so', { ...BESIDE_PAGE, withCredentials: false }, false],
  ])('sends cookies to another origin: %s', async (_title, options, sends) => {
    const page = new ClientPage()
    page.pusher(options).subscribe('a')
    await pass(0)
    expect(page.gateway.last().withCredentials).toBe(sends)
  })

  it('asks for nothing, and is in no list, where a page is rendered on a server', async () => {
    const page = new ClientPage()
    vi.stubGlobal('self', undefined)
    const pusher = page.pusher({ keepAlive: true })
    pusher.subscribe('presence-a').bind('E', () => {})
    await pass(60_000)
    expect(page.gateway.requests).toEqual([])
    expect(SsePusher.instances).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is counted while it is not disconnected, and the third at one gateway is warned of', () => {
    const page = new ClientPage()
    const warn = quiet('warn')
    const [one, two] = [page.pusher(), page.pusher()]
    page.pusher({ url: 'https://other.test' })
    expect(SsePusher.instances).toHaveLength(3)
    expect(warn).not.toHaveBeenCalled()
    page.pusher()
    expect(warn.mock.calls).toEqual([[expect.stringContaining(`3 clients of ${GATEWAY_URL}`)]])

    one.disconnect()
    two.disconnect()
    page.pusher()
    expect(warn).toHaveBeenCalledTimes(1)
    one.connect()
    one.connect()
    expect(SsePusher.instances.filter((pusher) => pusher === one)).toHaveLength(1)
    expect(warn).toHaveBeenCalledTimes(2)
  })

  it('says once that Laravel is asked by the gateway', () => {
    const warn = quiet('warn')
    new ClientPage().pusher({ authorizer: () => {}, authEndpoint: '/api/auth' })
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/authorizer, authEndpoint.*--auth-endpoint/)]])
  })

  it('signs nobody in, and changes no cluster', () => {
    const pusher = new ClientPage().pusher()
    pusher.signin()
    pusher.switchCluster()
  })

  it('keeps its channels and their listeners over disconnect and connect', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const [told, succeeded] = [vi.fn(), vi.fn()]
    pusher.subscribe('a').bind('E', told).bind('pusher:subscription_succeeded', succeeded)
    await page.open()
    pusher.disconnect()
    expect(pusher.connection.state).toBe('disconnected')
    await pass(10_000)
    expect(page.gateway.open).toEqual([])
    pusher.connect()
    const stream = await page.open()
    stream.message('a', 1)
    expect(told).toHaveBeenCalledTimes(1)
    expect(succeeded).toHaveBeenCalledTimes(2)
  })
})

describe('listeners of the client', () => {
  it('hear the events of all channels', async () => {
    const page = new ClientPage()
    const pusher = page.pusher()
    const [named, all] = [vi.fn(), vi.fn()]
    pusher.bind('E', named).bind_global(all)
    pusher.global_emitter.bind('E', named)
    pusher.subscribe('a')
    pusher.subscribe('b')
    const stream = await page.open()
    stream.message('a', { id: 1 })
    stream.message('b', { id: 2 })
    expect(named.mock.calls).toEqual([[{ id: 1 }], [{ id: 1 }], [{ id: 2 }], [{ id: 2 }]])
    expect(all.mock.calls).toEqual([
      ['E', { id: 1 }],
      ['E', { id: 2 }],
    ])
    pusher.unbind_all()
    stream.message('a', { id: 3 })
    expect(named).toHaveBeenCalledTimes(4)
  })
})

describe('what goes wrong', () => {
  it('is told to onError, or printed, and then not again and again', async () => {
    const page = new ClientPage()
    const print = quiet('error')
    const pusher = new SsePusher('key', { url: GATEWAY_URL })
    const channel = pusher.subscribe('private-a')
    for (const event of ['client-a', 'client-a', 'client-b']) channel.trigger(event)
    expect(print.mock.calls.map(([line]) => line)).toEqual([
      'client-a was not sent: private-a is not subscribed',
      'client-b was not sent: private-a is not subscribed',
    ])
    expect(page.errors).toEqual([])
  })

  it('is one sentence where the address is not the gateway', async () => {
    const page = new ClientPage()
    page.gateway.script = (request) => request.html()
    page.pusher().subscribe('a')
    await pass(60_000)
    expect(page.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/gateway\.test\/sse\/stream.*`url`/),
    ])
  })

  it('in a listener is the listener’s own matter', async () => {
    const page = new ClientPage()
    const report = vi.fn()
    vi.stubGlobal('reportError', report)
    const told = vi.fn()
    const channel = page.pusher().subscribe('a')
    channel.bind('E', () => {
      throw new Error('of the page')
    })
    channel.bind('E', told)
    const stream = await page.open()
    stream.message('a', 1)
    stream.message('a', 2)
    expect([report.mock.calls.length, told.mock.calls.length]).toEqual([2, 2])
    expect(page.errors).toEqual([])
  })
})

describe('a gap', () => {
  const gap = { channels: ['a'], reason: 'expired' }

  it('is told to onGap and on the connection', async () => {
    const page = new ClientPage()
    const [onGap, bound] = [vi.fn(), vi.fn()]
    const pusher = page.pusher({ onGap })
    pusher.connection.bind('gap', bound)
    pusher.subscribe('a')
    const stream = await page.open()
    stream.frame('gap', gap, '1.2.3')
    expect(onGap.mock.calls).toEqual([[gap]])
    expect(bound.mock.calls).toEqual([[gap]])
  })

  it('is printed where nobody asks for it', async () => {
    const page = new ClientPage()
    const warn = quiet('warn')
    page.pusher().subscribe('a')
    const stream = await page.open()
    stream.frame('gap', gap, '1.2.3')
    stream.frame('gap', { channels: null, reason: 'restart' }, '1.2.4')
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('missing on a (expired)')],
      [expect.stringContaining('missing on all channels (restart)')],
    ])
  })
})

describe('the story of a connection', () => {
  async function tell(page: ClientPage, pusher: SsePusher): Promise<void> {
    pusher.subscribe('a')
    const stream = await page.open()
    broadcast(stream, 'a', 'OrderShipped', { secret: 'payload' })
  }

  function story(print: { mock: { calls: unknown[][] } }): string {
    return print.mock.calls.flat().join('\n')
  }

  it.each(['the option', 'Pusher.logToConsole', 'localStorage'])(
    'is printed with %s, without any payload',
    async (how) => {
      const page = new ClientPage()
      const print = quiet('log')
      if (how === 'localStorage')
        vi.stubGlobal('localStorage', { getItem: (key: string) => (key === 'echo-sse:debug' ? '1' : null) })
      if (how === 'Pusher.logToConsole') SsePusher.logToConsole = true
      atEndOfTest(() => {
        SsePusher.logToConsole = false
      })
      await tell(page, page.pusher(how === 'the option' ? { debug: true } : {}))
      for (const part of ['connecting → connected', 'connected as 7.1 (eventsource', 'a: OrderShipped'])
        expect(story(print)).toContain(part)
      expect(story(print)).not.toContain('payload')
    },
  )

  it('goes to Pusher.log where that is set', async () => {
    const page = new ClientPage()
    const print = quiet('log')
    const log = vi.fn()
    SsePusher.log = log
    atEndOfTest(() => {
      SsePusher.log = undefined
    })
    await tell(page, page.pusher())
    expect(story(log)).toContain('connected as 7.1')
    expect(print).not.toHaveBeenCalled()
  })

  it('is not printed where the page says so', async () => {
    const page = new ClientPage()
    const print = quiet('log')
    vi.stubGlobal('localStorage', { getItem: () => '1' })
    await tell(page, page.pusher({ debug: false }))
    expect(print).not.toHaveBeenCalled()
  })

  it('is not printed otherwise, nor where storage is forbidden', async () => {
    const page = new ClientPage()
    const print = quiet('log')
    vi.stubGlobal('localStorage', {
      getItem: () => {
        throw new DOMException('no', 'SecurityError')
      },
    })
    await tell(page, page.pusher())
    expect(print).not.toHaveBeenCalled()
  })
})

describe('an encrypted channel', () => {
  const name = 'private-encrypted-a'
  const key = new Uint8Array(32).map((_, at) => at)
  const sharedSecret = Buffer.from(key).toString('base64')

  // As PusherCrypto of pusher-http-php does it.
  function seal(text: string): { nonce: string; ciphertext: string } {
    const nonce = nacl.randomBytes(24)
    const box = nacl.secretbox(new TextEncoder().encode(text), nonce, key)
    return { nonce: Buffer.from(nonce).toString('base64'), ciphertext: Buffer.from(box).toString('base64') }
  }

  it('says how to get what it needs', () => {
    const pusher = new ClientPage().pusher()
    expect(() => pusher.subscribe(name)).toThrow(/npm install tweetnacl.*`nacl`/)
    expect(pusher.allChannels()).toEqual([])
  })

  it.each([
    ['JSON', '{"name":"Ünal"}', { name: 'Ünal' }],
    ['a text that is no JSON', 'Ünal', 'Ünal'],
  ])('is read: %s', async (_title, text, data) => {
    const page = new ClientPage()
    const told = vi.fn()
    const pusher = page.pusher({ nacl })
    pusher.subscribe(name).bind('E', told)
    pusher.bind('E', told)
    const stream = await page.open({ [name]: { sharedSecret } })
    stream.message(name, seal(text))
    expect(told.mock.calls).toEqual([[data, {}], [data]])
    expect(page.errors).toEqual([])
  })

  it('tells nothing that was not sealed with its key, and says so', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    page.pusher({ nacl }).subscribe(name).bind('E', told)
    const stream = await page.open({ [name]: { sharedSecret } })
    const sealed = seal('{}')
    const other = Buffer.from(sealed.ciphertext, 'base64').map((byte) => byte ^ 1)
    stream.message(name, { name: 'plain' })
    stream.message(name, null)
    stream.message(name, { ...sealed, ciphertext: Buffer.from(other).toString('base64') })
    stream.message(name, { nonce: '!', ciphertext: '!' })
    expect(told).not.toHaveBeenCalled()
    expect(page.errors).toHaveLength(4)
    for (const { message } of page.errors)
      expect(message).toMatch(/^E on private-encrypted-a could not be decrypted: was .* master key changed\?/)
  })

  it('is read with a new secret after the page has connected anew, as somebody Laravel is asked about again', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    const pusher = page.pusher({ nacl })
    pusher.subscribe(name).bind('E', told)
    const before = await page.open({ [name]: { sharedSecret: Buffer.alloc(32).toString('base64') } })
    before.message(name, seal('1'))
    expect([told.mock.calls.length, page.errors.length]).toEqual([0, 1])

    pusher.disconnect()
    pusher.connect()
    const stream = await page.open({ [name]: { sharedSecret } })
    expect(stream.socketId).toBeNull()
    stream.message(name, seal('2'))
    expect(told.mock.calls).toEqual([[2, {}]])
  })

  it('tells nothing when Laravel gave no key', async () => {
    const page = new ClientPage()
    const told = vi.fn()
    page.pusher({ nacl }).subscribe(name).bind('E', told)
    const stream = await page.open()
    stream.message(name, { name: 'plain' })
    expect([told.mock.calls.length, page.errors.length]).toEqual([0, 1])
  })
})
