/** A browser's cookies and nothing more: what one person sends to one Laravel application. */
export class Visitor {
  readonly #url: string
  readonly #cookies = new Map<string, string>()

  constructor(url: string) {
    this.#url = url
  }

  /** The `Cookie` header. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** The `XSRF-TOKEN` cookie decoded, as a page puts it into `X-XSRF-TOKEN`. */
  get xsrfToken(): string {
    return decodeURIComponent(this.#cookies.get('XSRF-TOKEN') ?? '')
  }

  /** The same cookies, from now on for itself: another tab that did not see what this one does next. */
  clone(): Visitor {
    const copy = new Visitor(this.#url)
    for (const [name, value] of this.#cookies) copy.#cookies.set(name, value)
    return copy
  }

  /** Asks for a path of the application with the cookies, keeps the ones it sets, follows no redirect. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (this.#cookies.size > 0) headers.set('cookie', this.cookie)
    const response = await fetch(new URL(path, this.#url), { redirect: 'manual', ...init, headers })
    for (const line of response.headers.getSetCookie()) this.#keep(line)
    return response
  }

  /** POST of a form with the CSRF token, as Laravel's own JavaScript does it. */
  post(path: string, form: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<Response> {
    const token = this.#cookies.has('XSRF-TOKEN') ? { 'x-xsrf-token': this.xsrfToken } : {}
    return this.fetch(path, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { accept: 'application/json', ...token, ...headers },
    })
  }

  #keep(line: string): void {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (name !== undefined && value !== undefined) this.#cookies.set(name, value)
  }
}
