import { afterEach, describe, expect, it, vi } from 'vitest'
import { gatewayUrl, misunderstanding, type PusherOptions } from '../../../client/src/pusher/options.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('the address of the gateway', () => {
  it.each<[title: string, options: PusherOptions, address: string]>([
    ['as it is given', { url: 'https://push.test/sse' }, 'https://push.test/sse'],
    ['without its slash', { url: 'https://push.test/' }, 'https://push.test'],
    ['on the page’s origin', { url: '/sse' }, 'https://shop.test:8443/sse'],
    ['relative to the page', { url: 'sse/' }, 'https://shop.test:8443/cart/sse'],
    ['the page’s origin, without any option', {}, 'https://shop.test:8443'],
    [
      'the page’s origin, with nothing in the options',
      { url: undefined, wsHost: '', wsPort: null },
      'https://shop.test:8443',
    ],
    ['https at wsHost', { wsHost: 'push.test', wsPort: 80 }, 'https://push.test'],
    ['wssPort with https', { wsHost: 'push.test', wsPort: 80, wssPort: '6001' }, 'https://push.test:6001'],
    ['wsPort with http', { wsHost: 'push.test', wsPort: 6001, wssPort: 443, forceTLS: false }, 'http://push.test:6001'],
    ['no port that goes without saying', { wsHost: 'push.test', wssPort: 443, forceTLS: true }, 'https://push.test'],
    ['wsPath behind it', { wsHost: 'push.test', wsPath: '/sse' }, 'https://push.test/sse'],
    ['wsPath without a slash', { wsHost: 'push.test', wsPath: 'sse' }, 'https://push.test/sse'],
    ['url before wsHost', { url: '/sse', wsHost: 'push.test' }, 'https://shop.test:8443/sse'],
  ])('is %s', (_title, options, address) => {
    vi.stubGlobal('location', { href: 'https://shop.test:8443/cart/1?a=1#b' })
    expect(gatewayUrl(options)).toBe(address)
  })

  it('is nowhere while a page is rendered on a server, and that is no error', () => {
    expect(gatewayUrl({ url: '/sse' })).toBe('http://localhost/sse')
  })

  it('is refused with a sentence where it is none', () => {
    expect(() => gatewayUrl({ url: 'https://' })).toThrow("`url` must be the gateway's base address, such as")
  })
})

describe('options that mean something else elsewhere', () => {
  it.each<[PusherOptions, string]>([
    [{ authorizer: () => {} }, 'authorizer'],
    [{ authEndpoint: '/api/auth' }, 'authEndpoint'],
    [{ auth: { params: { tenant: 7 } } }, 'auth.params'],
    [{ channelAuthorization: { customHandler: () => {} } as object }, 'channelAuthorization.customHandler'],
    [{ channelAuthorization: { endpoint: '/api/auth' } as object }, 'channelAuthorization.endpoint'],
  ])('%o leads to --auth-endpoint', (options, name) => {
    expect(misunderstanding(options)).toContain(name)
    expect(misunderstanding(options)).toContain('--auth-endpoint')
  })

  it('are not those that Echo sets by itself, nor leftovers', () => {
    const echo = {
      authEndpoint: '/broadcasting/auth',
      auth: { headers: {}, params: {} },
      userAuthentication: { endpoint: '/broadcasting/user-auth', headers: {} },
    }
    const leftovers = {
      cluster: 'eu',
      enabledTransports: ['ws'],
      disableStats: true,
      encrypted: true,
      host: null,
      broadcaster: 'reverb',
    }
    expect(misunderstanding({ ...echo, ...leftovers })).toBe('')
  })
})
