import puppeteer from 'puppeteer-core'
import { launchChromium } from './browser.ts'
import { type Part, pathOf } from './parts.ts'
import { launchWebKit } from './webkit.ts'

/** Whichever browser it is: what a test of all of them needs. */
export type AnyBrowser = {
  /** With cookies, storage and connections of its own. */
  openPage(): Promise<AnyPage>
  close(): Promise<void>
}

export type AnyPage = {
  goto(url: string): Promise<unknown>
  /** What an expression of the page comes to, when its promise is settled. */
  evaluate(expression: string): Promise<unknown>
  close(): Promise<void>
}

export type BrowserKind = { readonly name: string; readonly part: Part; launch(): Promise<AnyBrowser> }

export const CHROMIUM: BrowserKind = {
  name: 'Chromium',
  part: 'chromium',
  launch: async () => {
    const browser = await launchChromium()
    return {
      openPage: async () => {
        const context = await browser.newContext()
        return { ...pageOf(await context.newPage()), close: () => context.close() }
      },
      close: () => browser.close(),
    }
  },
}

export const FIREFOX: BrowserKind = {
  name: 'Firefox',
  part: 'firefox',
  launch: async () => {
    // By WebDriver BiDi: what Playwright speaks needs a Firefox that was built for it.
    const browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: pathOf('firefox'),
      headless: true,
      // Only one tab is in front; the timers of the others would come once a second.
      extraPrefsFirefox: { 'dom.min_background_timeout_value': 4, 'dom.timeout.enable_budget_timer_throttling': false },
    })
    // A page that opens while another closes is now and then taken for the one that closes.
    const inTurn = queue()
    return {
      openPage: () =>
        inTurn(async () => {
          const context = await browser.createBrowserContext()
          return { ...pageOf(await context.newPage()), close: () => inTurn(() => context.close()) }
        }),
      close: () => browser.close(),
    }
  },
}

export const WEBKIT: BrowserKind = { name: 'WebKit', part: 'webkit', launch: launchWebKit }

/** A page of Playwright or Puppeteer. */
export function pageOf(page: AnyPage): AnyPage {
  return {
    goto: (url) => page.goto(url),
    evaluate: (expression) => page.evaluate(expression),
    close: () => page.close(),
  }
}

/** One after the other. */
function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
}
