import { describe, expect, it, vi } from 'vitest'
import { deny } from '../../src/auth/denial.ts'
import type { Config } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { grantByToken, joinPage, openPage, type TalkingPage } from '../support/talking-page.ts'

const ORDERS = 'private-orders'
const ROOM = 'presence-room.1'
const AWAY = deny('authorizer_unavailable', { retryAfterMs: 1000 })

async function start(overrides: Partial<Config> = {}): Promise<RunningGateway> {
  const gateway = await startGateway({ recheckS: 0.05, ...overrides })
  gateway.authorizer.decides(grantByToken)
  return gateway
}

/** Laravel is asked so many times more. */
function untilAskedAgain({ authorizer }: RunningGateway, times: number): Promise<void> {
  return authorizer.untilQuestions(authorizer.questions.length + times)
}

/** What the page has been told when a broadcast that is published now has reached it. */
async function toldUntilNow(gateway: RunningGateway, { stream }: TalkingPage): Promise<string[]> {
  await gateway.publish('fence', 'Fence')
  while ((await stream.next('message')).data.event !== 'Fence');
  return stream.frames.map(({ event, data }) => (event === 'message' ? data.event : event))
}

describe('a channel that Laravel refuses by now', () => {
  it('is revoked with its status; nothing more of it comes, and the others stay', async () => {
    const gateway = await start()
    const page = await joinPage(gateway, `fence,${ORDERS},private-b`)
    gateway.authorizer.decides((question) =>
      question.channel.name === ORDERS ? deny('forbidden', { message: 'Not any more.' }) : grantByToken(question),
    )
    expect((await page.stream.next('revoked')).data).toEqual({
      channel: ORDERS,
      status: 403,
      code: 'forbidden',
      message: 'Not any more.',
    })
    await gateway.publish(ORDERS, 'Secret')
    await gateway.publish('private-b', 'Open')
    const told = await toldUntilNow(gateway, page)
    expect(told.filter((event) => ['Secret', 'Open', 'revoked', 'bye'].includes(event))).toEqual(['revoked', 'Open'])
  })

  it('is left for the others who are on it', async () => {
    const gateway = await start({ lingerMs: 600_000 })
    const watcher = await joinPage(gateway, ROOM, { user: 'watcher' })
    const page = await joinPage(gateway, ROOM)
    await watcher.stream.next('joining')
    gateway.authorizer.decides((question) =>
      question.credentials.headers.authorization === 'Bearer ada' ? deny('forbidden') : grantByToken(question),
    )
    await page.stream.next('revoked')
    expect((await watcher.stream.next('leaving')).data.member.id).toBe('ada')
    expect(await gateway.gateway.services.grants.live(page.socketId, ROOM)).toBeNull()
  })

  it('is asked about no more on this stream, and again on the next', async () => {
    const gateway = await start()
    const page = await joinPage(gateway, `fence,${ORDERS},private-b`)
    gateway.authorizer.decides((question) =>
      question.channel.name === ORDERS ? deny('forbidden') : grantByToken(question),
    )
    await page.stream.next('revoked')
    const before = gateway.authorizer.questions.length
    await untilAskedAgain(gateway, 3)
    const names = gateway.authorizer.questions.slice(before).map(({ channel }) => channel.name)
    expect(new Set(names)).toEqual(new Set(['private-b']))
    const next = await joinPage(gateway, ORDERS, { as: page })
    expect(next.stream.frames.map(({ event }) => event)).toContain('denied')
  })

  it('is revoked too when the login has expired, and when it is of somebody else now', async () => {
    const gateway = await start()
    const page = await joinPage(gateway, `fence,${ORDERS},${ROOM}`)
    gateway.authorizer.decides(({ channel }) =>
      channel.name === ORDERS ? deny('session_expired') : { allowed: true, member: { id: 'eve', info: {} } },
    )
    const frames = await page.stream.take(2, 'revoked')
    const told = frames.map(({ data }) => [data.channel, data.status, data.code])
    expect(told.sort()).toEqual([
      [ROOM, 403, 'revoked'],
      [ORDERS, 419, 'session_expired'],
    ])
  })
})

describe('nothing is told', () => {
  it('while Laravel is away, however often', async () => {
    const gateway = await start()
    const page = await joinPage(gateway, `fence,${ORDERS},${ROOM}`)
    const before = await toldUntilNow(gateway, page)
    gateway.authorizer.decides(() => AWAY)
    await untilAskedAgain(gateway, 6)
    await gateway.publish(ORDERS, 'StillHeard')
    expect((await toldUntilNow(gateway, page)).slice(before.length)).toEqual(['StillHeard', 'Fence'])
    gateway.authorizer.decides(grantByToken)
    await untilAskedAgain(gateway, 2)
    expect(await gateway.gateway.services.grants.live(page.socketId, ROOM)).toMatchObject({ allowed: true })
  })

  it('when Laravel says the same again, to anybody', async () => {
    const gateway = await start()
    const watcher = await joinPage(gateway, `fence,${ROOM}`, { user: 'watcher' })
    const page = await joinPage(gateway, `fence,${ORDERS},${ROOM}`)
    await watcher.stream.next('joining')
    const newsOf = async (who: TalkingPage) => (await toldUntilNow(gateway, who)).filter((event) => event !== 'Fence')
    const before = [await newsOf(page), await newsOf(watcher)]
    await untilAskedAgain(gateway, 12)
    expect([await newsOf(page), await newsOf(watcher)]).toEqual(before)
  })
})

describe('Laravel is asked no more', () => {
  it('once the stream has ended, and no timer and no question is left', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    atEndOfTest(() => vi.useRealTimers())
    const gateway = await start({ recheckS: 60, lingerMs: 0, grantS: 0 })
    const timers = vi.getTimerCount()
    const { stream } = await joinPage(gateway, ORDERS)
    expect(vi.getTimerCount()).toBeGreaterThan(timers)
    for (let round = 2; round < 4; round += 1) {
      vi.advanceTimersByTime(66_000)
      await gateway.authorizer.untilQuestions(round)
      await expect.poll(() => gateway.authorizer.openSessions).toBe(1)
    }
    const answer = gateway.authorizer.hold()
    vi.advanceTimersByTime(66_000)
    await gateway.authorizer.untilQuestions(4)
    stream.close()
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(0)
    expect(gateway.authorizer.openSessions).toBe(0)
    answer()
    vi.advanceTimersByTime(600_000)
    await expect.poll(() => vi.getTimerCount()).toBe(timers)
    expect(gateway.authorizer.questions).toHaveLength(4)
  })

  it('while it has not answered: one round after the other', async () => {
    const gateway = await start()
    await joinPage(gateway, ORDERS)
    const answer = gateway.authorizer.hold()
    await untilAskedAgain(gateway, 1)
    const asked = gateway.authorizer.questions.length
    // Another page comes and is asked about as often as it takes.
    gateway.authorizer.decides(grantByToken)
    const other = await startGateway({ recheckS: 0.05 })
    await joinPage(other, ORDERS)
    await other.authorizer.untilQuestions(6)
    expect(gateway.authorizer.questions).toHaveLength(asked)
    answer()
    await untilAskedAgain(gateway, 1)
  })

  it('for streams that have nothing guarded, or were granted nothing', async () => {
    const gateway = await start()
    gateway.authorizer.decides(() => deny('forbidden'))
    await joinPage(gateway, ORDERS)
    const open = await openPage(gateway, 'fence')
    const other = await start()
    await joinPage(other, ORDERS)
    await untilAskedAgain(other, 4)
    expect(gateway.authorizer.questions).toHaveLength(1)
    await toldUntilNow(gateway, open)
  })
})

describe('a page that polls', () => {
  const query = { mode: 'poll', wait: '0' }

  async function poll(gateway: RunningGateway, channels: string, as?: TalkingPage): Promise<TalkingPage> {
    const page = await openPage(gateway, channels, as === undefined ? { query } : { query, as })
    await page.stream.ended
    return page
  }

  const eventsOf = ({ stream }: TalkingPage) => stream.frames.map(({ event }) => event)

  it('is asked about when it is due, not by every poll', async () => {
    const gateway = await start({ recheckS: 60 })
    const first = await poll(gateway, ORDERS)
    for (let polls = 0; polls < 5; polls += 1) await poll(gateway, ORDERS, first)
    expect(gateway.authorizer.questions).toHaveLength(1)
  })

  it('does not escape by polling: what is refused by now is refused', async () => {
    const gateway = await start({ recheckS: 0.02 })
    let page = await poll(gateway, ORDERS)
    gateway.authorizer.decides(() => deny('forbidden'))
    await expect
      .poll(async () => {
        page = await poll(gateway, ORDERS, page)
        return eventsOf(page)
      })
      .toContain('denied')
    expect(gateway.authorizer.questions).toHaveLength(2)
  })

  it('goes on while Laravel is away', async () => {
    const gateway = await start({ recheckS: 0.02 })
    let page = await poll(gateway, `${ORDERS},${ROOM}`)
    gateway.authorizer.decides(() => AWAY)
    while (gateway.authorizer.questions.length < 6) page = await poll(gateway, `${ORDERS},${ROOM}`, page)
    expect(eventsOf(page).filter((event) => event === 'subscribed')).toHaveLength(2)
    expect(eventsOf(page)).not.toContain('denied')
  })

  it('has no round of its own while it waits', async () => {
    const gateway = await start({ recheckS: 0.02 })
    const first = await poll(gateway, `${ORDERS},fence`)
    const { lastEventId = '' } = first.stream
    const asked = gateway.authorizer.questions.length
    const waiting = openPage(gateway, `${ORDERS},fence`, {
      as: first,
      query: { mode: 'poll', wait: '25', lastEventId },
    })
    const stream = await start({ recheckS: 0.02 })
    await joinPage(stream, ORDERS)
    await stream.authorizer.untilQuestions(6)
    // At most what was due when it came.
    expect(gateway.authorizer.questions.length).toBeLessThanOrEqual(asked + 1)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    await gateway.publish('fence', 'E')
    expect(await (await waiting).stream.ended).toBe(true)
  })
})
