import { expect, it } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import { startGateway } from '../support/gateway.ts'
import { Log } from '../support/log.ts'
import { EVENT, publishByHttp } from '../support/publisher.ts'
import { rawConnection, sendRaw } from '../support/raw-connection.ts'
import { openStream } from '../support/sse-client.ts'
import { joinPage, leave, whisper } from '../support/talking-page.ts'

/** Stands in everything that is nobody's business: nothing of it may be in any line. */
const SECRET = 'TOP-SECRET'

it('a whole session leaves one line per life event and no secret in any of them', async () => {
  const log = new Log('trace')
  const { url, port, gateway, authorizer, publish } = await startGateway({}, { logger: log.logger })
  authorizer.decides(({ channel }) => {
    if (channel.name.endsWith('broken')) throw new Error('A bug.')
    return channel.name.endsWith('no') ? deny('forbidden') : { allowed: true, member: { id: SECRET, info: SECRET } }
  })
  const headers = {
    cookie: `laravel_session=${SECRET}; XSRF-TOKEN=${SECRET}`,
    authorization: `Bearer ${SECRET}`,
    'x-csrf-token': SECRET,
    'user-agent': SECRET,
  }
  const query = `channels=a,private-no,presence-b,private-broken&token=${SECRET}&lastEventId=${SECRET}&socketId=1.1&key=${SECRET}`
  const page = await openStream(`${url}/stream?${query}`, { headers })
  const { key, socketId } = (await page.next()).data
  await page.next('ping')
  await publish('a', SECRET, { secret: SECRET })
  await page.next('message')
  await publishByHttp(url, { ...EVENT, channels: ['a'], data: SECRET })
  await publishByHttp(url, { ...EVENT, data: SECRET }, { query: (signed) => signed.set('auth_signature', SECRET) })
  await page.next('message')
  await openStream(`${url}/stream?channels=a&mode=${SECRET}`, { headers })
  await openStream(`${url}/${SECRET}`, { headers })
  await sendRaw(port, `${SECRET}\r\n\r\n`)
  await gateway.services.broker.publish(['a'], SECRET)
  const poll = await openStream(`${url}/stream?mode=poll&${query}`, { headers })
  await poll.ended
  page.close()
  await expect.poll(() => gateway.services.hub.size).toBe(0)
  await gateway.stop()

  const text = log.lines.map((line) => JSON.stringify(line)).join('\n')
  expect(text).not.toContain(SECRET)
  expect(text).not.toContain(key)
  expect(text).not.toMatch(/channels=|local&|auth_/)
  const ofPage = log.lines.filter((line) => line.socketId === socketId)
  expect(ofPage).toEqual([
    expect.objectContaining({ level: 'info', msg: 'stream opened', mode: 'stream', channels: 4, resume: 'gap' }),
    expect.objectContaining({ level: 'info', msg: 'channel denied', channel: 'private-broken', code: 'internal' }),
    expect.objectContaining({ level: 'info', msg: 'channel denied', channel: 'private-no', code: 'forbidden' }),
    expect.objectContaining({ level: 'info', msg: 'stream ended', reason: 'client', durationMs: expect.any(Number) }),
  ])
  expect(log.lines.filter(({ msg }) => msg === 'stream opened')).toHaveLength(2)
  expect(log.lines.filter(({ msg }) => msg === 'stream ended')).toHaveLength(2)
})

it('whispers, a revocation and a goodbye leave no secret either, and no line of what was said', async () => {
  const log = new Log('trace')
  const gateway = await startGateway({}, { logger: log.logger })
  const { broker } = gateway.gateway.services
  gateway.authorizer.decides(() => ({ allowed: true, member: { id: SECRET, info: SECRET } }))
  const page = await joinPage(gateway, 'presence-a,private-b', { user: SECRET })
  const before = log.lines.length
  expect((await whisper(page, { event: `client-${SECRET}`, data: SECRET })).status).toBe(204)
  expect((await whisper(page, { event: SECRET, channel: SECRET, data: SECRET })).status).toBe(400)
  expect((await whisper(page, {}, { headers: { authorization: `Bearer other ${SECRET}` } })).status).toBe(401)
  expect(log.lines).toHaveLength(before)
  for (const channel of ['sse:presence', 'sse:whisper', 'sse:leave', 'sse:revoke', 'sse:unknown']) {
    await broker.publish([channel], `{"${SECRET}":"${SECRET}"}`)
  }
  await broker.publish(['sse:revoke'], JSON.stringify({ user: SECRET, channel: 'private-b' }))
  await page.stream.next('revoked')
  expect((await leave(page)).status).toBe(204)
  await page.stream.next('bye')
  await gateway.stop()

  const text = log.lines.map((line) => JSON.stringify(line)).join('\n')
  expect(text).not.toContain(SECRET)
  expect(text).not.toContain(page.key)
  expect(log.lines.filter(({ socketId }) => socketId === page.socketId)).toEqual([
    expect.objectContaining({ level: 'info', msg: 'stream opened' }),
    expect.objectContaining({ level: 'info', msg: 'channel revoked', channel: 'private-b', code: 'revoked' }),
    expect.objectContaining({ level: 'info', msg: 'stream ended', reason: 'left' }),
  ])
})

it('a storm of pages is written as its first hundred lines and a count', async () => {
  const log = new Log('info')
  const { port, gateway } = await startGateway({}, { logger: log.logger })
  const started = Date.now()
  for (let index = 0; index < 150; index += 1) {
    const page = await rawConnection(port)
    page.write('GET /stream?channels=a HTTP/1.0\r\n\r\n')
    await page.until('subscribed')
    page.socket.destroy()
  }
  await expect.poll(() => gateway.services.hub.size).toBe(0)
  const seconds = Math.ceil((Date.now() - started) / 1000) + 1
  const about = log.lines.filter(({ msg }) => /^stream (opened|ended)$/.test(msg))
  expect(about.length).toBeLessThanOrEqual(100 * seconds)
})
