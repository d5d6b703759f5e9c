type Headers = Record<string, unknown>

/** What we use of axios, of any version: what they take for an interceptor differs. */
export type Axios = {
  readonly interceptors: { readonly request: { use(...interceptor: never[]): number; eject(id: number): void } }
}

type AxiosInterceptor = (config: { headers: Headers }) => unknown

type Globals = {
  readonly axios?: Axios
  readonly jQuery?: {
    ajaxPrefilter?(
      filter: (options: unknown, own: unknown, request: Pick<XMLHttpRequest, 'setRequestHeader'>) => void,
    ): void
  }
  readonly Vue?: { http?: { interceptors: ((request: { headers: Map<string, string> }, next: () => void) => void)[] } }
}

const HEADER = 'X-Socket-ID'

/** Names this page's connection in the requests of other libraries, so that `toOthers()` leaves it out. */
export class Interceptors {
  readonly #socketId: () => string | undefined
  readonly #undo: (() => void)[] = []

  constructor(socketId: () => string | undefined) {
    this.#socketId = socketId
  }

  remove(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  axios(axios = (globalThis as Globals).axios): void {
    const requests = axios?.interceptors?.request
    if (requests === undefined) return
    const mark: AxiosInterceptor = (config) => this.#mark(config.headers, config)
    const id = requests.use(mark as never)
    this.#undo.push(() => requests.eject(id))
  }

  /** Cannot be taken back, and says nothing once there is no socket id any more. */
  jQuery(): void {
    ;(globalThis as Globals).jQuery?.ajaxPrefilter?.((_options, _own, request) => {
      const socketId = this.#socketId()
      if (socketId) request.setRequestHeader(HEADER, socketId)
    })
  }

  vue(): void {
    const all = (globalThis as Globals).Vue?.http?.interceptors
    const interceptor = (request: { headers: Map<string, string> }, next: () => void) => {
      const socketId = this.#socketId()
      if (socketId) request.headers.set(HEADER, socketId)
      next()
    }
    all?.push(interceptor)
    this.#undo.push(() => all?.splice(all.indexOf(interceptor) >>> 0, 1))
  }

  turbo(): void {
    this.#listen('turbo:before-fetch-request', ({ fetchOptions }) => fetchOptions)
  }

  inertia(): void {
    this.#listen('inertia:before', ({ visit }) => visit)
  }

  /** Only what goes to the page's own origin: others would have to permit the header first. */
  fetch(): void {
    const { fetch } = globalThis
    const marking: typeof fetch = async (input, init) => {
      const { url, headers } = input instanceof Request ? input : { url: input, headers: undefined }
      const socketId = this.#socketId()
      if (!socketId || new URL(url, location.href).origin !== location.origin) return fetch(input, init)
      const marked = new globalThis.Headers(init?.headers ?? headers)
      if (!marked.has(HEADER)) marked.set(HEADER, socketId)
      return fetch(input, { ...init, headers: marked })
    }
    globalThis.fetch = marking
    this.#undo.push(() => {
      if (globalThis.fetch === marking) globalThis.fetch = fetch
    })
  }

  #listen(
    name: string,
    request: (detail: Record<string, { headers: Headers }>) => { headers: Headers } | undefined,
  ): void {
    const page = globalThis.document
    const listener = (event: Event) => this.#mark(request((event as CustomEvent).detail)?.headers, undefined)
    page?.addEventListener(name, listener)
    this.#undo.push(() => page?.removeEventListener(name, listener))
  }

  #mark<T>(headers: Headers | undefined, result: T): T {
    const socketId = this.#socketId()
    if (headers && socketId) headers[HEADER] = socketId
    return result
  }
}
