import { afterEach, describe, expect, it, vi } from 'vitest'
import { headersOf } from '../../../client/src/pusher/login.ts'
import type { PusherOptions } from '../../../client/src/pusher/options.ts'
import { ClientPage, pass } from '../../support/client-page.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('the headers of a request', () => {
  it('takes from everywhere Echo and pusher-js take them, the bearer token last', () => {
    const options: PusherOptions = {
      auth: { headers: { 'X-Auth': '1', 'X-Both': 'auth', Authorization: 'Bearer of another instance' } },
      channelAuthorization: {
        headers: { 'X-Channel': '2', 'X-Both': 'channel' },
        headersProvider: () => ({ 'X-Now': '3' }),
      },
      bearerToken: 'own',
      csrfToken: 'csrf',
    }
    expect(headersOf(options)).toEqual({
      'x-auth': '1',
      'x-both': 'channel',
      'x-channel': '2',
      'x-now': '3',
      'x-csrf-token': 'csrf',
      authorization: 'Bearer own',
    })
  })

  it('are one each, whatever letters a name is written in', () => {
    const headers = headersOf({ auth: { headers: { authorization: 'Bearer old' } }, bearerToken: 'new' })
    expect(headers).toEqual({ authorization: 'Bearer new' })
  })

  it('leave out what has no value', () => {
    const options = {
      auth: { headers: { 'X-A': undefined, 'X-B': null } },
      bearerToken: null,
      channelAuthorization: undefined,
    }
    expect(headersOf(options)).toEqual({})
  })

  it('have the CSRF token of window.Laravel, else the option, else the page', () => {
    const found = (csrfToken?: string) => headersOf({ csrfToken })['x-csrf-token']
    expect(found()).toBeUndefined()
    vi.stubGlobal('document', {
      querySelector: (selector: string) => ({ getAttribute: (name: string) => `${selector} ${name}` }),
    })
    expect(found()).toBe('meta[name="csrf-token"] content')
    expect(found('option')).toBe('option')
    vi.stubGlobal('Laravel', { csrfToken: 'window' })
    expect(found('option')).toBe('window')
  })
})

describe('who asks', () => {
  const headers = (page: ClientPage) => page.gateway.last().headers

  it('goes by EventSource with the headers that Echo and Laravel’s scaffold add, by fetch with any other', async () => {
    const page = new ClientPage()
    const own = { 'X-CSRF-TOKEN': 'a', 'X-Requested-With': 'XMLHttpRequest', Accept: 'application/json' }
    page.pusher({ auth: { headers: own }, csrfToken: 'b' }).subscribe('a')
    await pass(0)
    expect(page.gateway.last().via).toBe('eventsource')
    page.pusher({ auth: { headers: { 'X-Tenant': '7' } } }).subscribe('a')
    await pass(0)
    expect(page.gateway.last().via).toBe('fetch')
  })

  it('is said in every request, each client for itself', async () => {
    const page = new ClientPage()
    // Echo 2.x has one such object for all of a page, with the token of whoever came last.
    const auth = { headers: { Authorization: 'Bearer two' } }
    page.pusher({ auth, bearerToken: 'one' }).subscribe('a')
    await pass()
    expect(headers(page).get('authorization')).toBe('Bearer one')
    page.pusher({ auth, bearerToken: 'two' }).subscribe('b')
    await pass()
    expect(headers(page).get('authorization')).toBe('Bearer two')
    expect(page.gateway.of('stream').map(({ via }) => via)).toEqual(['fetch', 'fetch'])
  })

  it.each<[title: string, answer: unknown, authorization: string | null]>([
    ['a token', 'new', 'Bearer new'],
    ['a token that comes later', Promise.resolve('new'), 'Bearer new'],
    ['headers', { Authorization: 'Basic new' }, 'Basic new'],
    ['a cookie', true, 'Bearer old'],
  ])('may be said anew by onAuthError: %s', async (_title, answer, authorization) => {
    const page = new ClientPage()
    const onAuthError = vi.fn(() => answer)
    const pusher = page.pusher({ bearerToken: 'old', onAuthError })
    const refused = vi.fn()
    for (const name of ['private-a', 'private-b']) pusher.subscribe(name).bind('pusher:subscription_error', refused)
    await pass(50)
    page.gateway.last().connect().deny('private-a', 401).deny('private-b', 419)
    await pass(150)
    const [a, b] = [
      { channel: 'private-a', status: 401 },
      { channel: 'private-b', status: 419 },
    ]
    expect(onAuthError.mock.calls).toEqual([[a, [a, b]]])
    await page.open()
    expect(page.gateway.of('stream')).toHaveLength(2)
    expect(headers(page).get('authorization')).toBe(authorization)
    expect(page.gateway.last().channels).toEqual(['private-a', 'private-b'])
    expect(refused).not.toHaveBeenCalled()
  })

  it('may be said anew by headers that have changed meanwhile', async () => {
    const page = new ClientPage()
    const token = { now: 'old' }
    const channelAuthorization = { headersProvider: () => ({ Authorization: token.now }) }
    const pusher = page.pusher({
      channelAuthorization,
      onAuthError: () => {
        token.now = 'new'
      },
    })
    pusher.subscribe('private-a')
    await pass(50)
    page.gateway.last().connect().deny('private-a', 401)
    await pass(1_500)
    expect(headers(page).get('authorization')).toBe('new')
  })

  it('is not said any more after disconnect: the next page may be somebody else’s', async () => {
    const page = new ClientPage()
    const pusher = page.pusher({ onAuthError: () => 'new' })
    pusher.subscribe('private-a')
    await pass(50)
    page.gateway.last().connect().deny('private-a', 401)
    await pass(1_500)
    expect(headers(page).get('authorization')).toBe('Bearer new')
    pusher.disconnect()
    pusher.connect()
    await pass(1_500)
    expect(headers(page).get('authorization')).toBeNull()
  })

  it.each<[title: string, onAuthError: (() => unknown) | undefined]>([
    ['nobody answers', undefined],
    ['the answer is nothing new', () => 'old'],
    ['the answer is false', () => false],
    ['the answer is an error', () => Promise.reject(new Error('login is down'))],
  ])('stays refused where %s', async (_title, onAuthError) => {
    const page = new ClientPage()
    const pusher = page.pusher({ bearerToken: 'old', onAuthError })
    const refused = vi.fn()
    pusher.subscribe('private-a').bind('pusher:subscription_error', refused)
    await pass(50)
    page.gateway.last().connect().deny('private-a', 401)
    await pass(5_000)
    expect(refused.mock.calls).toEqual([[expect.objectContaining({ status: 401 })]])
    expect(page.gateway.of('stream')).toHaveLength(1)
  })
})
