import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import type { Broker } from '../src/broker/broker.ts'
import { MemoryBroker } from '../src/broker/memory.ts'
import { type Config, defaultConfig } from '../src/config/config.ts'
import { createGateway, type Gateway } from '../src/gateway.ts'
import { atEndOfTest } from './support/at-end.ts'
import { FakeAuthorizer } from './support/fake-authorizer.ts'
import { folderWith } from './support/folder.ts'
import { startGateway } from './support/gateway.ts'
import { StuckBroker } from './support/stuck-broker.ts'

describe('the Unix socket', () => {
  it('is open to the web server’s user and gone after stop', async () => {
    const socket = join(folderWith({}), 'gateway.sock')
    const { stop } = await startGateway({ socket })
    expect(await statusAt(socket)).toBe(200)
    expect(lstatSync(socket).mode & 0o777).toBe(0o666)
    await stop()
    expect(existsSync(socket)).toBe(false)
  })

  it('stays with the gateway that listens there when a second one is started', async () => {
    const socket = join(folderWith({}), 'gateway.sock')
    await startGateway({ socket })
    expect(await failToStart({ socket })).toMatchObject({
      code: 'EADDRINUSE',
      message: `${socket} is taken by another process; stop it or choose another --socket.`,
    })
    expect(await statusAt(socket)).toBe(200)
  })

  it('stays when a second gateway could not start and stops', async () => {
    const socket = join(folderWith({}), 'gateway.sock')
    await startGateway({ socket })
    const adminPort = await takenPort()
    const second = await failToStart({ socket, adminPort })
    expect(second).toMatchObject({ code: 'EADDRINUSE', port: adminPort })
    expect(await statusAt(socket)).toBe(200)
  })

  it('is replaced when whoever made it is gone', async () => {
    const socket = join(folderWith({}), 'gateway.sock')
    await leaveStale(socket)
    await expect(statusAt(socket)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await startGateway({ socket })
    expect(await statusAt(socket)).toBe(200)
  })

  it('is refused and kept when it is a regular file', async () => {
    const folder = folderWith({ notes: 'precious' })
    const socket = join(folder, 'notes')
    expect(await failToStart({ socket })).toMatchObject({
      message: `\`--socket\` ${socket} is a file, not a socket; choose another path.`,
    })
    expect(readFileSync(socket, 'utf8')).toBe('precious')
  })

  it('of a successor outlives the gateway whose own was deleted', async () => {
    const folder = folderWith({})
    const socket = join(folder, 'gateway.sock')
    const first = await startGateway({ socket })
    rmSync(socket)
    const second = await startGateway({ socket })
    await first.stop()
    expect(await statusAt(socket)).toBe(200)
    expect(readdirSync(folder)).toEqual(['gateway.sock'])
    await second.stop()
    expect(existsSync(socket)).toBe(false)
  })
})

describe('a gateway that is stopped while it starts', () => {
  it('begins nothing more when the broker comes up during the drain', async () => {
    const broker = new StuckBroker()
    const gateway = await unstarted(broker)
    const started = gateway.start()
    await broker.awaited
    const stopped = gateway.stop()
    broker.release()
    expect((await started).urls).toHaveLength(1)
    await stopped
    expect(gateway.services.identities).toBeNull()
  })

  it('makes no identities when the secret arrives during the drain', async () => {
    const broker = new LateSecretBroker()
    const gateway = await unstarted(broker)
    const started = gateway.start()
    await broker.asked.promise
    const stopped = gateway.stop()
    broker.secret.resolve('secret')
    await Promise.all([started, stopped])
    expect(gateway.services.identities).toBeNull()
  })

  it('does not listen afterwards, nor ask the broker', async () => {
    const socket = join(folderWith({}), 'gateway.sock')
    const broker = new MemoryBroker()
    const gateway = await unstarted(broker, { socket, adminPort: 0 })
    const started = gateway.start()
    await gateway.stop()
    expect(await started).toEqual({ urls: [] })
    expect(existsSync(socket)).toBe(false)
    expect(broker.isReady()).toBe(false)
  })

  it('does not start after stop', async () => {
    const gateway = await unstarted(new MemoryBroker())
    await gateway.stop()
    expect(await gateway.start()).toEqual({ urls: [] })
  })
})

class LateSecretBroker extends MemoryBroker {
  readonly asked = deferred<void>()
  readonly secret = deferred<string>()

  override sharedSecret(): Promise<string> {
    this.asked.resolve()
    return this.secret.promise
  }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

async function unstarted(broker: Broker, overrides: Partial<Config> = {}): Promise<Gateway> {
  const config = defaultConfig({ port: 0, drainMs: 0, ...overrides })
  const gateway = await createGateway(config, pino({ level: 'silent' }), { broker, authorizer: new FakeAuthorizer() })
  atEndOfTest(() => gateway.stop())
  return gateway
}

/** What kept the gateway from starting; it is stopped then, as the program does. */
async function failToStart(overrides: Partial<Config>): Promise<unknown> {
  const gateway = await unstarted(new MemoryBroker(), overrides)
  const fault = await gateway.start().then(
    () => null,
    (error: unknown) => error,
  )
  await gateway.stop()
  return fault
}

function statusAt(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/health', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .once('error', reject)
      .end()
  })
}

/** A socket nobody listens on: closing a server removes only the name it was opened with. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${path}.old`, resolve))
  renameSync(`${path}.old`, path)
  await new Promise((resolve) => server.close(resolve))
}

async function takenPort(): Promise<number> {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  atEndOfTest(() => squatter.close())
  return (squatter.address() as AddressInfo).port
}
