import { describe, expect, it, vi } from 'vitest'
import { Echo, type EchoOptions } from '../../../client/src/index.ts'
import { atEndOfTest } from '../../support/at-end.ts'
import { ClientPage, pass } from '../../support/client-page.ts'

type Send = (url?: string) => unknown

/** A library of a page, and how a request is made with it: it returns the header that was sent. */
type Library = { readonly send: Send; readonly options?: EchoOptions }

function axios(): { instance: NonNullable<EchoOptions['axios']>; send: Send; count: () => number } {
  const all: (((config: object) => { headers: Record<string, string> }) | null)[] = []
  const request = {
    use: (interceptor: (config: object) => { headers: Record<string, string> }) => all.push(interceptor) - 1,
    eject: (id: number) => {
      all[id] = null
    },
  }
  const send = () => {
    const config = { headers: {} as Record<string, string> }
    for (const interceptor of all) interceptor?.(config)
    return config.headers['X-Socket-ID']
  }
  const count = () => all.filter((interceptor) => interceptor !== null).length
  return { instance: Object.assign(() => {}, { interceptors: { request } }), send, count }
}

function page(): EventTarget {
  const document = new EventTarget()
  vi.stubGlobal('document', document)
  return document
}

const LIBRARIES: Record<string, () => Library> = {
  'the global axios': () => {
    const { instance, send } = axios()
    vi.stubGlobal('axios', instance)
    return { send }
  },
  'an axios that is passed in': () => {
    const { instance, send } = axios()
    return { send, options: { axios: instance } }
  },
  jQuery: () => {
    const all: ((options: unknown, own: unknown, request: unknown) => void)[] = []
    const jQuery = Object.assign(() => {}, { ajaxPrefilter: (filter: (typeof all)[number]) => all.push(filter) })
    vi.stubGlobal('jQuery', jQuery)
    const send = () => {
      // A header that is set twice has the second value: jQuery keeps them until it opens the request.
      const headers = new Map<string, string>()
      const setRequestHeader = (name: string, value: string) => headers.set(name, value)
      for (const filter of all) filter({}, {}, { setRequestHeader })
      return headers.get('X-Socket-ID')
    }
    return { send }
  },
  'vue-resource': () => {
    const interceptors: ((request: { headers: Map<string, string> }, next: () => void) => void)[] = [
      (_, next) => next(),
    ]
    vi.stubGlobal('Vue', { http: { interceptors } })
    const send = () => {
      const headers = new Map<string, string>()
      const next = vi.fn()
      for (const interceptor of interceptors) interceptor({ headers }, next)
      expect(next).toHaveBeenCalledTimes(interceptors.length)
      return headers.get('X-Socket-ID')
    }
    return { send }
  },
  Turbo: () => {
    const document = page()
    const send = () => {
      const fetchOptions = { headers: {} as Record<string, string> }
      document.dispatchEvent(new CustomEvent('turbo:before-fetch-request', { detail: { fetchOptions } }))
      return fetchOptions.headers['X-Socket-ID']
    }
    return { send }
  },
  Inertia: () => {
    const document = page()
    const send = () => {
      const visit = { headers: {} as Record<string, string> }
      document.dispatchEvent(new CustomEvent('inertia:before', { detail: { visit } }))
      return visit.headers['X-Socket-ID']
    }
    return { send }
  },
  'fetch, when asked for': () => {
    vi.stubGlobal('location', new URL('https://shop.test/cart'))
    const { fetch } = globalThis
    const sent: (string | undefined)[] = []
    vi.stubGlobal('fetch', (url: RequestInfo | URL, init?: RequestInit) => {
      if (String(url).includes('gateway.test')) return fetch(url, init)
      return sent.push(new Headers(init?.headers).get('X-Socket-ID') ?? undefined)
    })
    const send = (url = '/orders') => {
      globalThis.fetch(url, { headers: { Accept: 'application/json' } })
      return sent.at(-1)
    }
    return { send, options: { interceptFetch: true } }
  },
}

async function open(page: ClientPage, options: EchoOptions = {}): Promise<Echo> {
  const echo = new Echo({ ...page.options, ...options })
  atEndOfTest(() => echo.disconnect())
  echo.channel('a')
  await pass(50)
  page.gateway.last().welcome()
  return echo
}

describe.each(Object.entries(LIBRARIES))('a request by %s', (_name, load) => {
  it('says whose it is, from the connection on until disconnect, and again', async () => {
    const page = new ClientPage()
    const { send, options } = load()
    const echo = new Echo({ ...page.options, ...options })
    atEndOfTest(() => echo.disconnect())
    echo.channel('a')
    expect(send()).toBeUndefined()
    await page.open()
    expect(send()).toBe(echo.socketId())
    echo.disconnect()
    expect(send()).toBeUndefined()
    echo.connect()
    await page.open()
    expect(send()).toBe(echo.socketId())
  })

  it('says nothing of an Echo that was disconnected to one that is not', async () => {
    const page = new ClientPage()
    const { send, options } = load()
    const one = await open(page, options)
    const two = await open(page, options)
    expect(send()).toBe(two.socketId())
    two.disconnect()
    expect(send()).toBe(one.socketId())
  })

  it('says nothing where that is not wanted', async () => {
    const page = new ClientPage()
    const { send, options } = load()
    const echo = await open(page, { ...options, withoutInterceptors: true })
    expect(send()).toBeUndefined()
    echo.connect()
    expect(send()).toBeUndefined()
  })
})

describe('what is put into other libraries', () => {
  it('is taken out again', async () => {
    const page = new ClientPage()
    const { instance, count } = axios()
    vi.stubGlobal('axios', instance)
    const document = new EventTarget()
    const [add, remove] = [vi.spyOn(document, 'addEventListener'), vi.spyOn(document, 'removeEventListener')]
    vi.stubGlobal('document', document)
    const interceptors: (() => void)[] = [() => {}]
    vi.stubGlobal('Vue', { http: { interceptors } })
    const echo = await open(page)
    expect([count(), interceptors.length]).toEqual([1, 2])
    echo.disconnect()
    expect([count(), interceptors.length]).toEqual([0, 1])
    // An AbortSignal takes a listener away with further options.
    const listeners = ({ mock }: typeof add) => mock.calls.map(([name, listener]) => [name, listener])
    expect(listeners(remove)).toEqual(listeners(add))
    expect(add).toHaveBeenCalled()
  })
})

describe('fetch', () => {
  it('is left alone unless it is asked for', async () => {
    const page = new ClientPage()
    const { fetch } = globalThis
    await open(page)
    expect(globalThis.fetch).toBe(fetch)
  })

  it('says nothing to another origin, and keeps what a request has', async () => {
    const page = new ClientPage()
    vi.stubGlobal('location', new URL('https://shop.test/cart'))
    const { fetch: toGateway } = globalThis
    const sent: [RequestInfo | URL, RequestInit | undefined][] = []
    vi.stubGlobal('fetch', (url: RequestInfo | URL, init?: RequestInit) => {
      if (String(url).includes('gateway.test')) return toGateway(url, init)
      sent.push([url, init])
    })
    const { fetch } = globalThis
    const echo = await open(page, { interceptFetch: true })
    globalThis.fetch('https://elsewhere.test/', { method: 'POST' })
    const request = new Request('https://shop.test/orders', { method: 'PUT', headers: { 'X-Own': '1' } })
    globalThis.fetch(request)
    globalThis.fetch(new URL('https://shop.test/orders'), { method: 'POST', headers: [['X-Own', '2']] })
    expect(sent[0]).toEqual(['https://elsewhere.test/', { method: 'POST' }])
    expect([sent[1]?.[0], sent[2]?.[1]?.method]).toEqual([request, 'POST'])
    const headers = sent.slice(1).map(([, init]) => Object.fromEntries(new Headers(init?.headers)))
    expect(headers).toEqual(['1', '2'].map((own) => ({ 'x-own': own, 'x-socket-id': echo.socketId() })))
    echo.disconnect()
    expect(globalThis.fetch).toBe(fetch)
  })

  it('is not given back over the head of who has wrapped it since', async () => {
    const page = new ClientPage()
    vi.stubGlobal('location', new URL('https://shop.test/cart'))
    const echo = await open(page, { interceptFetch: true })
    const ours = globalThis.fetch
    const theirs: typeof fetch = (...args) => ours(...args)
    globalThis.fetch = theirs
    echo.disconnect()
    expect(globalThis.fetch).toBe(theirs)
  })
})
