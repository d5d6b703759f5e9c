import { describe, expect, it } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import { REVOCATIONS } from '../../src/channels/own-traffic.ts'
import type { Config } from '../../src/config/config.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import {
  grantByToken,
  joinPage,
  openPage,
  type PageOptions,
  subscribedTo,
  type TalkingPage,
} from '../support/talking-page.ts'

const ORDERS = 'private-orders'
const ROOM = 'presence-room.1'

async function start(overrides: Partial<Config> = {}): Promise<RunningGateway> {
  const gateway = await startGateway(overrides)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

/** What Laravel was asked about, in order. */
const asked = ({ authorizer }: RunningGateway) => authorizer.questions.map(({ channel }) => channel.name)

const eventsOf = ({ stream }: TalkingPage) => stream.frames.map(({ event }) => event)

/** The page is gone, and the gateway knows. */
async function drop(gateway: RunningGateway, page: TalkingPage): Promise<void> {
  const { hub } = gateway.gateway.services
  const before = hub.size
  page.stream.close()
  await expect.poll(() => hub.size).toBe(before - 1)
}

/** A whole long-poll of a page that was there before. */
async function poll(gateway: RunningGateway, channels: string, as: TalkingPage, query = {}): Promise<TalkingPage> {
  const options = { as, query: { mode: 'poll', wait: '0', ...query } }
  const page = await openPage(gateway, channels, { headers: as.headers, user: null, ...options })
  expect(await page.stream.ended).toBe(true)
  return page
}

describe('a page that continues its stream', () => {
  it('asks Laravel only about channels that are new', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, `${ORDERS},${ROOM},orders`)
    expect(asked(gateway)).toEqual([ORDERS, ROOM])
    const second = await joinPage(gateway, `${ORDERS},${ROOM},orders,private-new`, { as: first })
    expect(second.socketId).toBe(first.socketId)
    expect(asked(gateway).slice(2)).toEqual(['private-new'])
    await drop(gateway, first)
    await drop(gateway, second)
    const third = await joinPage(gateway, `private-new,${ROOM}`, { as: second })
    expect(asked(gateway)).toHaveLength(3)
    expect(subscribedTo(third, ROOM)).toMatchObject({ me: 'ada', members: [{ id: 'ada', info: { name: 'ada' } }] })
    await gateway.publish('private-new', 'E')
    expect((await third.stream.next('message')).data.channel).toBe('private-new')
  })

  it('is known by the cookie of the gateway as well', async () => {
    const gateway = await start()
    const sameOrigin = { 'sec-fetch-site': 'same-origin' }
    const first = await joinPage(gateway, ORDERS, { user: null, headers: sameOrigin })
    const cookie = first.stream.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    // Laravel's own cookie is another with every answer.
    const headers = { ...sameOrigin, cookie: `laravel_session=other; ${cookie}` }
    await joinPage(gateway, `${ORDERS},private-new`, { user: null, headers, as: first })
    expect(asked(gateway)).toEqual([ORDERS, 'private-new'])
  })

  it('may go on by polls, and from there by a stream', async () => {
    const gateway = await start()
    const stream = await joinPage(gateway, `${ORDERS},${ROOM}`)
    await drop(gateway, stream)
    let page = stream
    for (let polls = 0; polls < 3; polls += 1) page = await poll(gateway, `${ORDERS},${ROOM}`, page)
    expect(eventsOf(page)).toEqual(['connected', 'subscribed', 'subscribed', 'ping'])
    await joinPage(gateway, `${ORDERS},${ROOM}`, { as: page })
    expect(asked(gateway)).toEqual([ORDERS, ROOM])
  })

  it('is given the key of an encrypted channel again', async () => {
    const gateway = await start()
    gateway.authorizer.decides(() => ({ allowed: true, sharedSecret: 'c2VjcmV0' }))
    const first = await joinPage(gateway, 'private-encrypted-a')
    await drop(gateway, first)
    const back = await joinPage(gateway, 'private-encrypted-a', { as: first })
    expect(subscribedTo(back, 'private-encrypted-a')).toEqual({
      channel: 'private-encrypted-a',
      sharedSecret: 'c2VjcmV0',
    })
    expect(asked(gateway)).toHaveLength(1)
  })

  it('is put to Laravel again after the time of a grant', async () => {
    const gateway = await start({ grantS: 0.05, lingerMs: 0 })
    const first = await joinPage(gateway, ORDERS)
    await drop(gateway, first)
    await expect.poll(() => gateway.gateway.services.grants.size).toBe(0)
    await joinPage(gateway, ORDERS, { as: first })
    expect(asked(gateway)).toEqual([ORDERS, ORDERS])
  })

  it('is always put to Laravel with --grant-s 0', async () => {
    const gateway = await start({ grantS: 0 })
    const first = await joinPage(gateway, ORDERS)
    const second = await joinPage(gateway, ORDERS, { as: first })
    expect(second.socketId).toBe(first.socketId)
    await poll(gateway, ORDERS, second)
    expect(asked(gateway)).toEqual([ORDERS, ORDERS, ORDERS])
  })

  it('is put to Laravel about a channel that it had left', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, `${ORDERS},private-left`)
    const second = await joinPage(gateway, ORDERS, { as: first })
    await drop(gateway, first)
    await joinPage(gateway, `${ORDERS},private-left`, { as: second })
    expect(asked(gateway)).toEqual([ORDERS, 'private-left', 'private-left'])
  })

  it('is put to Laravel about a channel that was refused', async () => {
    const gateway = await start()
    gateway.authorizer.decides((question) =>
      question.channel.name === 'private-no' ? deny('forbidden') : grantByToken(question),
    )
    const first = await joinPage(gateway, `${ORDERS},private-no`)
    expect(eventsOf(first)).toContain('denied')
    await joinPage(gateway, `${ORDERS},private-no`, { as: first })
    expect(asked(gateway)).toEqual([ORDERS, 'private-no', 'private-no'])
  })

  it('is refused what Laravel refuses it, though it was granted before', async () => {
    const gateway = await start()
    // Nothing binds its key, so it is always put to Laravel.
    const anonymous: PageOptions = { user: null }
    const first = await joinPage(gateway, ROOM, anonymous)
    gateway.authorizer.decides(() => deny('forbidden'))
    await drop(gateway, first)
    const { presence, grants } = gateway.gateway.services
    const second = await joinPage(gateway, ROOM, { ...anonymous, as: first })
    expect(eventsOf(second)).toContain('denied')
    expect(presence.size).toBe(0)
    expect(await grants.live(first.socketId, ROOM)).toBeNull()
    await joinPage(gateway, ROOM, { ...anonymous, as: first })
    expect(asked(gateway)).toHaveLength(3)
  })
})

describe('Laravel is asked for whoever does not prove to be the same browser', () => {
  it.each<[string, PageOptions, (key: string) => string | undefined]>([
    ['with another token', { user: 'eve' }, (key) => key],
    ['without the token', { user: null }, (key) => key],
    ['with a forged key', {}, (key) => key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))],
    ['with an empty key', {}, () => ''],
  ])('%s', async (_case, options, forge) => {
    const gateway = await start()
    const first = await joinPage(gateway, ORDERS)
    const as = { socketId: first.socketId, key: forge(first.key) ?? '' }
    const other = await joinPage(gateway, ORDERS, { ...options, as })
    expect(other.socketId).not.toBe(first.socketId)
    expect(asked(gateway)).toEqual([ORDERS, ORDERS])
  })

  it('without a key', async () => {
    const gateway = await start()
    const { socketId } = await joinPage(gateway, ORDERS)
    await joinPage(gateway, ORDERS, { query: { socketId } })
    expect(asked(gateway)).toHaveLength(2)
  })

  it('with a key that is bound to nothing: it may have been read in some log', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, ORDERS, { user: null })
    const back = await joinPage(gateway, ORDERS, { user: null, as: first })
    expect(back.socketId).toBe(first.socketId)
    expect(asked(gateway)).toHaveLength(2)
  })

  it('as of a page elsewhere whose credentials do not count', async () => {
    const gateway = await start({ allowOrigins: ['*'] })
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://other.example' }
    const first = await joinPage(gateway, ORDERS)
    const other = await joinPage(gateway, ORDERS, { as: first, headers })
    expect(other.socketId).not.toBe(first.socketId)
    expect(asked(gateway)).toHaveLength(2)
  })
})

describe('the others on a presence channel', () => {
  /** Somebody comes, and is seen to be gone after the linger time: all that was to be told before has been told. */
  async function untilLingered(gateway: RunningGateway, watcher: TalkingPage, name: string): Promise<void> {
    const passer = await joinPage(gateway, ROOM, { user: name })
    passer.stream.close()
    while ((await watcher.stream.next('leaving')).data.member.id !== name);
  }

  const changesOf = ({ stream }: TalkingPage, id: string) =>
    stream.frames.flatMap(({ event, data }) => (data.member?.id === id ? [event] : []))

  it('see nothing of a page that continues, by whatever way', async () => {
    const gateway = await start({ lingerMs: 100 })
    const watcher = await joinPage(gateway, ROOM, { user: 'watcher' })
    const first = await joinPage(gateway, ROOM)
    const second = await joinPage(gateway, `${ROOM},${ORDERS}`, { as: first })
    await drop(gateway, first)
    await drop(gateway, second)
    const third = await joinPage(gateway, ROOM, { as: second })
    await poll(gateway, ROOM, third)
    await drop(gateway, third)
    const fourth = await joinPage(gateway, ROOM, { as: third })
    await untilLingered(gateway, watcher, 'passer')
    expect(changesOf(watcher, 'ada')).toEqual(['joining'])
    await drop(gateway, fourth)
    await watcher.stream.next('leaving')
    expect(changesOf(watcher, 'ada')).toEqual(['joining', 'leaving'])
    expect(asked(gateway).filter((name) => name === ROOM)).toHaveLength(3)
  })

  it('see nothing while Laravel takes longer than the linger time to say it again', async () => {
    const gateway = await start({ lingerMs: 100, grantS: 0 })
    const watcher = await joinPage(gateway, ROOM, { user: 'watcher' })
    const first = await joinPage(gateway, ROOM)
    let answer = () => {}
    gateway.authorizer.decides(async (question) => {
      if (question.credentials.headers.authorization === 'Bearer ada') await new Promise<void>((go) => (answer = go))
      return grantByToken(question)
    })
    await drop(gateway, first)
    const second = await openPage(gateway, ROOM, { as: first })
    await untilLingered(gateway, watcher, 'passer')
    answer()
    await second.stream.next('subscribed')
    await untilLingered(gateway, watcher, 'another')
    expect(changesOf(watcher, 'ada')).toEqual(['joining'])
  })

  it('see at once that it goes on without the channel', async () => {
    const gateway = await start({ lingerMs: 600_000 })
    const watcher = await joinPage(gateway, ROOM, { user: 'watcher' })
    const first = await joinPage(gateway, `${ROOM},${ORDERS}`)
    await joinPage(gateway, ORDERS, { as: first })
    await drop(gateway, first)
    expect((await watcher.stream.next('leaving')).data.member.id).toBe('ada')
  })
})

describe('a revocation', () => {
  const revoke = (gateway: RunningGateway, revocation: object) =>
    gateway.gateway.services.broker.publish([REVOCATIONS], JSON.stringify(revocation))

  it('is told once to each stream, and Laravel is asked when the page comes back', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, `${ORDERS},${ROOM},fence`)
    const second = await joinPage(gateway, `${ORDERS},${ROOM},fence`, { as: first })
    await revoke(gateway, { user: 'ada', channel: ROOM })
    await revoke(gateway, { user: 'ada', channel: ROOM })
    await gateway.publish('fence', 'E')
    for (const page of [first, second]) {
      await page.stream.next('message')
      expect(eventsOf(page).filter((event) => event === 'revoked')).toHaveLength(1)
    }
    const { values } = await gateway.gateway.services.metrics.revoked.get()
    expect(values).toEqual([{ labels: { code: 'revoked' }, value: 2 }])
    const third = await joinPage(gateway, `${ORDERS},${ROOM}`, { as: second })
    expect(asked(gateway)).toEqual([ORDERS, ROOM, ROOM])
    expect(subscribedTo(third, ROOM).members).toHaveLength(1)
  })

  it('while the page polls is found by the next poll', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, ORDERS)
    await drop(gateway, first)
    await poll(gateway, ORDERS, first)
    await revoke(gateway, { socket: first.socketId })
    gateway.authorizer.decides(() => deny('forbidden'))
    expect(eventsOf(await poll(gateway, ORDERS, first))).toEqual(['connected', 'denied', 'ping'])
  })

  it('of what is not decided yet is told nowhere and counted nowhere', async () => {
    const gateway = await start()
    const first = await joinPage(gateway, ORDERS, { user: null })
    const answer = gateway.authorizer.hold()
    await drop(gateway, first)
    const second = await openPage(gateway, ORDERS, { user: null, as: first })
    await gateway.authorizer.untilQuestions(2)
    await revoke(gateway, { channel: ORDERS })
    answer()
    await second.stream.next('subscribed')
    expect(asked(gateway)).toHaveLength(3)
    expect(eventsOf(second)).not.toContain('revoked')
    expect((await gateway.gateway.services.metrics.revoked.get()).values).toEqual([])
  })
})

it('nothing is kept for pages that are gone', async () => {
  const gateway = await start({ lingerMs: 50, grantS: 0.1 })
  const { grants, presence } = gateway.gateway.services
  const pages = await Promise.all(
    Array.from({ length: 30 }, (_, user) => joinPage(gateway, `${ORDERS},${ROOM}`, { user: `${user}` })),
  )
  expect([grants.size, presence.size]).toEqual([30, 30])
  for (const { stream } of pages) stream.close()
  await expect.poll(() => [grants.size, presence.size]).toEqual([0, 0])
  expect(gateway.authorizer.openSessions).toBe(0)
})
