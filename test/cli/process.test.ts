import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** A process that ends by signals as the gateway does, with this way to stop. */
async function startProcess(stop: string, withinMs = 60_000): Promise<ChildProcessWithoutNullStreams> {
  const script = `
    import { pino } from 'pino'
    import { endBySignal, outliveErrors } from './dist/cli/process.js'
    const logger = pino()
    outliveErrors(logger)
    endBySignal({ stop: ${stop}, withinMs: ${withinMs}, logger })
    process.on('SIGUSR1', () => { Promise.reject(new Error('floating')); throw new Error('thrown') })
    setInterval(() => {}, 60_000)
    logger.info('up')
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT })
  onTestFinished(() => void child.kill('SIGKILL'))
  await logged(child, 'up')
  return child
}

async function logged(child: ChildProcessWithoutNullStreams, text: string): Promise<void> {
  for await (const [chunk] of on(child)) if (String(chunk).includes(text)) return
  throw new Error(`The process ended without saying "${text}".`)
}

async function* on(child: ChildProcessWithoutNullStreams): AsyncGenerator<[Buffer]> {
  while (child.exitCode === null && child.signalCode === null) yield (await once(child.stdout, 'data')) as [Buffer]
}

it.each(['SIGTERM', 'SIGINT'] as const)('%s stops in good order and exits with 0', async (signal) => {
  const child = await startProcess('async (signal) => console.log("closing for " + signal)')
  const said = logged(child, `closing for ${signal}`)
  child.kill(signal)
  await said
  expect(await once(child, 'exit')).toEqual([0, null])
})

it('a second signal exits at once', async () => {
  const child = await startProcess('() => new Promise(() => {})')
  child.kill('SIGTERM')
  await logged(child, 'SIGTERM received')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([1, null])
})

it('exits when stopping takes too long', async () => {
  const child = await startProcess('() => new Promise(() => {})', 50)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([1, null])
})

it('no error ends the process', async () => {
  const child = await startProcess('async () => {}')
  let log = ''
  child.stdout.on('data', (chunk) => {
    log += chunk
  })
  child.kill('SIGUSR1')
  await expect.poll(() => log).toMatch(/uncaught exception.*unhandled rejection/s)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
