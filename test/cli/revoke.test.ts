import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { revoke } from '../../src/cli/revoke.ts'
import { freePort } from '../support/child.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { runCommand } from '../support/program.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openStream } from '../support/sse-client.ts'

const CREDENTIALS = ['--app-id', 'local', '--app-key', 'local', '--app-secret', 'local']

describe.runIf(requirePart('redis'))('revoke by Redis', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  const run = (...words: string[]) => runCommand(revoke, [...words, '--redis', server.url, '--redis-prefix', 'app_'])

  it.each([
    ['a user', ['--user', '7']],
    ['everybody on a channel', ['--channel', 'presence-room']],
    ['a user on a channel', ['--user', '7', '--channel', 'presence-room']],
  ])('takes a channel away from %s', async (_whom, words) => {
    const { url, authorizer, stop } = await startGateway({ broker: 'redis', redis: server.url, redisPrefix: 'app_' })
    authorizer.decides(() => ({ allowed: true, member: { id: '7', info: null } }))
    const page = await openStream(`${url}/stream?channels=presence-room`)
    await page.next('subscribed')
    expect(await run(...words)).toEqual({ code: 0, out: 'Subscribers on Redis that heard it: 1.\n', err: '' })
    expect((await page.next('revoked')).data).toMatchObject({ channel: 'presence-room', status: 403, code: 'revoked' })
    await stop()
  })

  it('fails, with the likely reason, when no gateway listens', async () => {
    const { code, out, err } = await run('--user', '7')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe(
      'Subscribers on Redis that heard it: 0. Is a gateway running, on this Redis and with this prefix?\n',
    )
  })
})

describe('revoke by HTTP', () => {
  it('takes a channel away from one page', async () => {
    const { url } = await startGateway()
    const [page, other] = [
      await openStream(`${url}/stream?channels=private-a`),
      await openStream(`${url}/stream?channels=private-a`),
    ]
    await Promise.all([page.next('subscribed'), other.next('subscribed')])
    const socketId = page.frames[0]?.data.socketId
    const { code, out } = await runCommand(revoke, ['--socket-id', socketId, '--http', url, ...CREDENTIALS])
    expect({ code, out }).toEqual({ code: 0, out: `Accepted by ${url}.\n` })
    expect((await page.next('revoked')).data.channel).toBe('private-a')
    expect(other.frames.some(({ event }) => event === 'revoked')).toBe(false)
  })

  it('says what the gateway says when it refuses', async () => {
    const { url } = await startGateway()
    const words = ['--user', '7', '--http', url, ...CREDENTIALS.with(5, 'wrong')]
    const { code, err } = await runCommand(revoke, words)
    expect(code).toBe(1)
    expect(err).toMatch(/answered 401: .*app secret/)
  })

  it('says that nobody answers', async () => {
    const address = `http://127.0.0.1:${await freePort()}`
    const { code, err } = await runCommand(revoke, ['--user', '7', '--http', address, ...CREDENTIALS])
    expect(code).toBe(1)
    expect(err).toContain('Is the gateway running there?')
  })
})

it.each([
  [['--redis', 'redis://127.0.0.1'], /Say what to revoke/],
  [['--user', ''], /--user/],
  [['7'], /`7` is not expected here/],
  [['--user', '7'], /Say where to publish/],
  [['--user', '7', '--redis', 'redis://127.0.0.1', '--http', 'http://127.0.0.1:6001'], /--http needs --app-id/],
])('takes no nonsense: %j', async (words, sentence) => {
  const { code, err } = await runCommand(revoke, words)
  expect(code).toBe(2)
  expect(err).toMatch(sentence)
})
