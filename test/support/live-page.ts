import { atEndOfTest } from './at-end.ts'
import type { AnyBrowser, AnyPage } from './browsers.ts'

export type Told = { readonly line: string; readonly at: number }

export type LivePageOptions = {
  /** Who is logged in, by a cookie; null for nobody. Default: `ada`. */
  readonly user?: string | null
  /** Of the client. */
  readonly client?: Readonly<Record<string, unknown>>
}

/** A page of page-files.ts in a browser. */
export class LivePage {
  readonly page: AnyPage

  /** `url` is that of the site. */
  static async open(browser: AnyBrowser, url: string, options: LivePageOptions = {}): Promise<LivePage> {
    const page = new LivePage(await browser.openPage())
    await page.visit(url, options)
    return page
  }

  constructor(page: AnyPage) {
    this.page = page
    // Whatever is wrong with closing it, its browser ends too.
    atEndOfTest(() => page.close().catch(() => {}))
  }

  async visit(url: string, { user = 'ada', client = {} }: LivePageOptions = {}): Promise<void> {
    await this.page.goto(`${url}/index.html`)
    if (user !== null) await this.run(`document.cookie = 'user=${user}; path=/'`)
    await this.run(`start(${JSON.stringify(client)})`)
  }

  /** Whether it is so, or what it is, in the page. */
  evaluate(expression: string): Promise<unknown> {
    return this.page.evaluate(expression)
  }

  /** Statements; resolves when the last one's promise has. */
  async run(code: string): Promise<void> {
    await this.page.evaluate(`(async () => { ${code} })()`)
  }

  /** Subscribes, all in one tick. */
  join(...channels: string[]): Promise<void> {
    return this.run(`${JSON.stringify(channels)}.forEach(join)`)
  }

  leave(...channels: string[]): Promise<void> {
    return this.run(`${JSON.stringify(channels)}.forEach((name) => pusher.unsubscribe(name))`)
  }

  /** Subscribes to a channel, and resolves when that is granted. */
  async enter(channel: string): Promise<void> {
    await this.join(channel)
    await this.until(`told.some(({ line }) => line.startsWith(${JSON.stringify(`subscribed ${channel}`)}))`)
  }

  /** Resolves when it was told this line so many times. */
  hears(line: string, times = 1): Promise<void> {
    return this.run(`await hears(${JSON.stringify(line)}, ${times})`)
  }

  /** Resolves when this is so after something it was told. */
  until(expression: string): Promise<void> {
    return this.run(`await until(() => ${expression})`)
  }

  async told(): Promise<Told[]> {
    return (await this.evaluate('told')) as Told[]
  }

  async lines(): Promise<string[]> {
    return (await this.told()).map(({ line }) => line)
  }

  /** What was broadcast on a channel, in the order it was told. */
  async messages(channel: string): Promise<unknown[]> {
    const lines = (await this.lines()).filter((line) => line.startsWith(`${channel} `))
    return lines.map((line) => JSON.parse(line.slice(channel.length + 1)))
  }

  /** What was said of the connection. */
  async states(): Promise<string[]> {
    const states = ['connecting', 'connected', 'reconnecting', 'disconnected', 'failed']
    return (await this.lines()).filter((line) => states.includes(line))
  }

  /** How long it waited between its requests, in milliseconds. */
  async pauses(): Promise<number[]> {
    const asked = (await this.evaluate('asked')) as number[]
    return asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
  }

  async socketId(): Promise<string> {
    return String(await this.evaluate('pusher.connection.socket_id'))
  }
}
