import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

/** A gateway that connects; a test decides about the channels. */
async function start(channels: string[], options = {}) {
  const gateway = new FakeGateway((request) => request.kind === 'stream' && request.connect())
  const page = new EnginePage(options)
  for (const channel of channels) page.engine.join(channel)
  await pass()
  page.news()
  return { gateway, page }
}

describe('a channel that is denied', () => {
  it('leaves the others working, and costs no request', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().deny('private-b', 403).grant('a').message('a', 1)
    await gateway.live(60_000)
    expect(page.news()).toEqual(['refused private-b 403', 'subscribed a', 'message a 1'])
    expect(gateway.requests).toHaveLength(1)
    expect(page.engine.subscription('private-b')?.status).toBe('denied')
  })

  it('is left out of what is asked next', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').deny('private-b', 403)
    page.engine.join('c')
    await pass(50)
    expect(gateway.last().channels).toEqual(['a', 'c'])
  })

  it('is asked for when the page subscribes again, also without any other change', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').deny('private-b', 403)
    await pass()
    page.engine.leave('private-b')
    expect(page.engine.join('private-b').status).toBe('pending')
    await pass(50)
    expect(gateway.last()).toMatchObject({ channels: ['a', 'private-b'], fresh: ['private-b'] })
    gateway.last().grant('private-b')
    await pass()
    expect(page.news().at(-1)).toBe('subscribed private-b')
  })

  it('is told to nobody who has left', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    page.engine.leave('private-b')
    gateway.last().deny('private-b', 403)
    await pass()
    expect(page.news()).toEqual([])
  })
})

describe('a channel that is refused for now', () => {
  it('is asked for again when its time has come, told once, and then granted', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').deny('private-b', 503, { retry: true, retryAfterMs: 8000 })
    await pass(7900)
    expect(gateway.requests).toHaveLength(1)
    expect(page.news()).toEqual(['subscribed a', 'refused private-b 503 for now'])
    await pass(2200)
    expect(gateway.requests).toHaveLength(2)
    expect(gateway.last().channels).toEqual(['a', 'private-b'])
    gateway.last().grant('a').deny('private-b', 503, { retry: true, retryAfterMs: 0 })
    await pass(1000)
    expect(gateway.requests).toHaveLength(2)
    await pass(400)
    expect(gateway.requests).toHaveLength(3)
    gateway.last().grant('a').grant('private-b')
    await pass(60_000)
    expect(page.news().filter((line) => line.includes('private-b'))).toEqual(['subscribed private-b'])
  })

  it('is left out of changes that come before', async () => {
    const { gateway, page } = await start(['private-b'])
    gateway.last().deny('private-b', 503, { retry: true, retryAfterMs: 8000 })
    page.engine.join('c')
    await pass(100)
    expect(gateway.last().channels).toEqual(['c'])
    page.engine.leave('c')
    page.engine.join('c')
    await pass(1000)
    expect(gateway.requests).toHaveLength(2)
  })

  it('that was there before is told anew when it is granted again', async () => {
    const { gateway, page } = await start(['private-a'])
    gateway.last().grant('private-a').message('private-a', 1, '1.3.0')
    await pass()
    gateway.last().cut()
    await pass(1000)
    gateway.last().deny('private-a', 503, { retry: true })
    await pass()
    expect(page.engine.whisper('private-a', 'client-x', 1)).toBe(false)
    gateway.script = (request) => request.welcome()
    await pass(6500)
    expect(gateway.last()).toMatchObject({ fresh: [], cursor: '1.3.0' })
    expect(page.news().filter((line) => line.startsWith('subscribed'))).toHaveLength(2)
  })

  it('is nobody’s concern after it was left', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').deny('private-b', 503, { retry: true, retryAfterMs: 8000 })
    await pass()
    page.engine.leave('private-b')
    await gateway.live(60_000)
    expect(gateway.requests).toHaveLength(1)
  })
})

describe('a channel that needs a login', () => {
  it.each([401, 419])('asks for it once for all that were refused together with %i', async (status) => {
    const { gateway, page } = await start(['a', 'private-b', 'private-c'])
    page.logIn = async () => true
    gateway.last().grant('a').deny('private-b', status).deny('private-c', status)
    await pass(200)
    expect(page.logins).toEqual([
      [
        { channel: 'private-b', status },
        { channel: 'private-c', status },
      ],
    ])
    expect(gateway.requests).toHaveLength(2)
    expect(gateway.last().channels).toEqual(['a', 'private-b', 'private-c'])
    gateway.last().grant('a').grant('private-b').grant('private-c')
    await pass()
    expect(page.news()).toEqual(['subscribed a', 'subscribed private-b', 'subscribed private-c'])
  })

  it('is refused when that brought nothing new, and asks for nothing more', async () => {
    const { gateway, page } = await start(['private-b'])
    gateway.last().deny('private-b', 401)
    await gateway.live(60_000)
    expect(page.news()).toEqual(['refused private-b 401'])
    expect(page.logins).toHaveLength(1)
    expect(gateway.requests).toHaveLength(1)
  })

  it('is refused for good the second time, and the stream lives', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    page.logIn = async () => true
    gateway.last().grant('a').deny('private-b', 401)
    await pass(200)
    gateway.last().grant('a').deny('private-b', 401).message('a', 1)
    await gateway.live(60_000)
    expect(page.logins).toHaveLength(1)
    expect(page.news()).toEqual(['subscribed a', 'refused private-b 401', 'message a 1'])
    expect(gateway.requests).toHaveLength(2)
  })

  it('asks again another time, after it was granted in between', async () => {
    const { gateway, page } = await start(['private-b'])
    page.logIn = async () => true
    gateway.last().deny('private-b', 401)
    await pass(200)
    gateway.last().grant('private-b')
    await pass(20_000)
    gateway.last().cut()
    await pass(1000)
    gateway.last().deny('private-b', 401)
    await pass(200)
    expect(page.logins).toHaveLength(2)
  })

  it('is not asked for while the user types the password, whatever else changes', async () => {
    const { gateway, page } = await start(['private-b'])
    let done = (_isNew: boolean) => {}
    page.logIn = () => new Promise((resolve) => (done = resolve))
    gateway.last().deny('private-b', 401)
    await pass(1000)
    page.engine.join('c')
    await gateway.live(30_000)
    expect(gateway.last().channels).toEqual(['c'])
    done(true)
    await pass(100)
    expect(gateway.last().channels).toEqual(['private-b', 'c'])
    expect(page.logins).toHaveLength(1)
  })

  it('is refused when asking fails', async () => {
    const { gateway, page } = await start(['private-b'])
    page.logIn = async () => {
      throw new Error('away')
    }
    gateway.last().deny('private-b', 401)
    await pass(200)
    expect(page.news()).toEqual(['error away', 'refused private-b 401'])
  })

  it('asks nobody after `disconnect`', async () => {
    const { gateway, page } = await start(['private-b'])
    gateway.last().deny('private-b', 401)
    await pass()
    page.engine.disconnect()
    await pass(1000)
    expect(page.logins).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a CSRF token that EventSource cannot send', () => {
  const headers = () => ({ 'x-csrf-token': 'token' })

  it('is brought by fetch when the one in the cookie was refused, before anybody is asked', async () => {
    const { gateway, page } = await start(['private-b', 'private-c'], { headers })
    expect(gateway.last().via).toBe('eventsource')
    gateway.last().deny('private-b', 419).deny('private-c', 419)
    await pass(200)
    expect(gateway.requests).toHaveLength(2)
    expect(gateway.last().via).toBe('fetch')
    expect(gateway.last().headers.get('x-csrf-token')).toBe('token')
    gateway.last().grant('private-b').deny('private-c', 419)
    await pass(200)
    expect(page.logins).toEqual([[{ channel: 'private-c', status: 419 }]])
    gateway.last().cut()
    await pass(1000)
    expect(gateway.last().via).toBe('fetch')
  })

  it('is not sought where there is none', async () => {
    const { gateway, page } = await start(['private-b'])
    gateway.last().deny('private-b', 419)
    await pass(200)
    expect(page.logins).toHaveLength(1)
    expect(gateway.requests).toHaveLength(1)
  })
})

describe('a channel that is revoked', () => {
  it('is told, and not asked for again by itself', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').grant('private-b')
    gateway.last().frame('revoked', { channel: 'private-b', status: 403, code: 'revoked', message: 'No more.' })
    gateway.last().message('private-b', 1)
    await gateway.live(60_000)
    expect(page.news()).toEqual(['subscribed a', 'subscribed private-b', 'refused private-b 403'])
    expect(gateway.requests).toHaveLength(1)
    expect(page.engine.whisper('private-b', 'client-x', 1)).toBe(false)
  })

  it('is asked for anew by who comes back to it after it was revoked in the meantime', async () => {
    const { gateway, page } = await start(['a', 'private-b'])
    gateway.last().grant('a').grant('private-b')
    page.engine.leave('private-b')
    gateway.last().frame('revoked', { channel: 'private-b', status: 403, code: 'revoked', message: 'No more.' })
    await pass()
    expect(page.engine.join('private-b').status).toBe('pending')
    await pass(50)
    expect(gateway.last().channels).toEqual(['a', 'private-b'])
    expect(page.news()).toEqual(['subscribed a', 'subscribed private-b'])
  })
})
