import { type Browser, chromium, type LaunchOptions, type Page } from 'playwright-core'
import { pathOf } from './parts.ts'

/** No sandbox, because tests also run as root; and nothing that would look for the network by itself. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The machine's own Chromium, headless, with a profile that is gone when it closes. */
export function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({ executablePath: pathOf('chromium'), args: ARGS, ...options })
}

/** Whatever a page complains about from now on: script errors, refused resources, broken policies. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return complaints
}
