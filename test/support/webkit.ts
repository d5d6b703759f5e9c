import type { AnyBrowser, AnyPage } from './browsers.ts'
import { type Child, startChild, startOnFreePort } from './child.ts'
import { pathOf } from './parts.ts'

/** WebKitGTK as Debian has it. It knows no headless mode, so it gets a screen that nobody sees. */
export async function launchWebKit(): Promise<AnyBrowser> {
  const screen = await startScreen()
  const drivers = new Set<Child>()
  return {
    openPage: async () => {
      const driver = await startDriver(screen.display)
      drivers.add(driver.child)
      return openSession(driver.url, async () => {
        drivers.delete(driver.child)
        await driver.child.stop()
      })
    },
    close: async () => {
      await Promise.all([...drivers].map((driver) => driver.stop()))
      await screen.child.stop()
    },
  }
}

type Screen = { readonly child: Child; readonly display: string }

async function startScreen(): Promise<Screen> {
  // It takes a free number and says which one.
  const child = await startChild('Xvfb', ['-displayfd', '1', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'])
  const deadline = Date.now() + 10_000
  for (;;) {
    const number = /^\d+$/m.exec(child.log())?.[0]
    if (number !== undefined) return { child, display: `:${number}` }
    if (child.hasExited() || Date.now() > deadline) throw new Error(`Xvfb did not start:\n${child.log()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A driver has one session, and a session one set of cookies. */
async function startDriver(display: string): Promise<{ child: Child; url: string }> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, DISPLAY: display }
  const launch = (port: number) => startChild('WebKitWebDriver', [`--port=${port}`], { env })
  const { child, port } = await startOnFreePort(launch, async (port) => {
    const answer = await fetch(`http://127.0.0.1:${port}/status`).catch(() => null)
    return answer?.ok === true
  })
  return { child, url: `http://127.0.0.1:${port}` }
}

/** [WebDriver] A page and the commands it needs. */
async function openSession(driver: string, stop: () => Promise<void>): Promise<AnyPage> {
  const options = { binary: pathOf('webkit'), args: ['--automation'] }
  const capabilities = { alwaysMatch: { 'webkitgtk:browserOptions': options } }
  const { sessionId } = (await command('POST', `${driver}/session`, { capabilities })) as { sessionId: string }
  const session = `${driver}/session/${sessionId}`
  return {
    goto: (url) => command('POST', `${session}/url`, { url }),
    evaluate: async (expression) => {
      const script = `const done = arguments[0]
        Promise.resolve().then(() => (${expression})).then((value) => done({ value }), (error) => done({ error: String(error) }))`
      const answer = await command('POST', `${session}/execute/async`, { script, args: [] })
      const { value, error } = answer as { value?: unknown; error?: string }
      if (error !== undefined) throw new Error(error)
      return value
    },
    close: async () => {
      await command('DELETE', session)
      await stop()
    },
  }
}

async function command(method: string, url: string, body?: object): Promise<unknown> {
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) })
  const { value } = (await answer.json()) as { value: unknown }
  if (!answer.ok) throw new Error(`${method} ${url} was answered with ${answer.status}: ${JSON.stringify(value)}`)
  return value
}
