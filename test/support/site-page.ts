import type { Browser, Page } from 'playwright-core'
import { atEndOfTest } from './at-end.ts'
import { complaintsOf } from './browser.ts'
import { PATIENCE_MS } from './patience.ts'
import type { Watched } from './watched.ts'

/** Every script of the page may say `tell('what', data)`, and hand on `telling('what')` as a callback. */
const TELLING = 'globalThis.telling = (what) => (...args) => void tell(what, args[0])'

export type SitePageOptions = {
  address: string
  /** Where the script is that the page gets. */
  script: string
  userId?: number | undefined
  /** What sees the requests on their way to the gateway. */
  asked: Watched
}

let pages = 0

/** A page in a browser of its own, which is closed at the end of the test. */
export async function openSitePage(browser: Browser, options: SitePageOptions): Promise<SitePage> {
  const { address, script, userId, asked } = options
  const userAgent = `Page/${++pages}`
  const context = await browser.newContext({ userAgent })
  atEndOfTest(() => context.close())
  if (userId !== undefined) await context.request.get(`${address}/login/${userId}`)
  const page = await context.newPage()
  const sitePage = new SitePage(page, () => asked.requests.filter(({ headers }) => headers['user-agent'] === userAgent))
  await page.exposeFunction('tell', (what: string, data: unknown) => sitePage.hear(what, data))
  await page.addInitScript(TELLING)
  await page.goto(address)
  await page.addScriptTag({ url: script, type: 'module' })
  return sitePage
}

export class SitePage {
  readonly page: Page
  /** Script errors, and what is printed as an error. */
  readonly complaints: string[]
  readonly #requests: () => readonly { path: string }[]
  readonly #heard: [what: string, data: unknown][] = []
  readonly #waiting = new Set<() => void>()

  constructor(page: Page, requests: () => readonly { path: string }[]) {
    this.page = page
    this.complaints = complaintsOf(page)
    this.#requests = requests
  }

  /** The channels of each stream it has asked the gateway for. */
  get streams(): string[][] {
    const asked = this.#requests().map(({ path }) => new URL(path, 'http://gateway.test'))
    const streams = asked.filter(({ pathname, searchParams }) => /stream$/.test(pathname) && !searchParams.has('mode'))
    return streams.map(({ searchParams }) => (searchParams.get('channels') ?? '').split(',').toSorted())
  }

  /** Runs in the page; resolves with what the last expression of it comes to. */
  run(script: string): Promise<unknown> {
    return this.page.evaluate(script)
  }

  /** All that the page has told under this name, in order. */
  told(what: string): unknown[] {
    return this.#heard.filter(([name]) => name === what).map(([, data]) => data)
  }

  /** The same without what was told twice in a row. */
  changes(what: string): unknown[] {
    return this.told(what).filter((data, index, all) => index === 0 || data !== all[index - 1])
  }

  /** Resolves with what the page tells under this name the n-th time. */
  until(what: string, nth = 1): Promise<unknown> {
    return this.#until(`${what}, ${nth} times`, () => {
      const told = this.told(what)
      return told.length >= nth ? { data: told[nth - 1] } : undefined
    })
  }

  /** Resolves when the page has told just this. */
  async untilTold(what: string, data: unknown): Promise<void> {
    await this.#until(`${what}: ${data}`, () => (this.told(what).includes(data) ? { data } : undefined))
  }

  hear(what: string, data: unknown): void {
    this.#heard.push([what, data])
    for (const wake of this.#waiting) wake()
  }

  #until(wanted: string, find: () => { data: unknown } | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find()
        if (found) end(() => resolve(found.data))
      }
      const giveUp = () => {
        const story = JSON.stringify({ heard: this.#heard, streams: this.streams, complaints: this.complaints })
        reject(new Error(`The page did not tell ${wanted}. ${story}`))
      }
      const timer = setTimeout(() => end(giveUp), PATIENCE_MS)
      const end = (settle: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        settle()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
