import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/auth/authorizer.ts'
import { LaravelAuthorizer } from '../../src/auth/laravel.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { FakeLaravel, type FakeReply, GRANT, presenceGrant } from '../support/fake-laravel.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import type { SseClient } from '../support/sse-client.ts'
import { grantByToken, joinPage, leave, openPage, subscribedTo, type TalkingPage } from '../support/talking-page.ts'

const ROOM = 'presence-room.1'

async function gatewayWithUsers(...[overrides]: Parameters<typeof startGateway>): Promise<RunningGateway> {
  const gateway = await startGateway(overrides)
  gateway.authorizer.decides(grantByToken)
  return gateway
}

let fences = 0

/** What the page was told of others until a broadcast that is published now. */
async function told(gateway: RunningGateway, { stream }: TalkingPage, channel = ROOM): Promise<string[]> {
  fences += 1
  const fence = `Fence.${fences}`
  await gateway.publish(channel, fence)
  const names: string[] = []
  for (;;) {
    const { event, data } = await stream.next()
    if (data.event === fence) return names
    if (event === 'joining' || event === 'leaving') names.push(`${event} ${data.member.id}`)
  }
}

function idsOf(page: TalkingPage, channel = ROOM): string[] {
  return subscribedTo(page, channel).members.map(({ id }: { id: string }) => id)
}

async function closed(gateway: RunningGateway, ...pages: readonly TalkingPage[]): Promise<void> {
  const { hub } = gateway.gateway.services
  const left = hub.size - pages.length
  for (const { stream } of pages) stream.close()
  await expect.poll(() => hub.size).toBe(left)
}

describe('a list of members', () => {
  it('is told with what Laravel says of each, to everybody who comes', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    expect(subscribedTo(ada, ROOM)).toEqual({
      channel: ROOM,
      members: [{ id: 'ada', info: { name: 'ada' } }],
      me: 'ada',
    })
    const grace = await joinPage(gateway, `orders,private-a,${ROOM}`, { user: 'grace' })
    expect(subscribedTo(grace, ROOM)).toEqual({
      channel: ROOM,
      members: [
        { id: 'ada', info: { name: 'ada' } },
        { id: 'grace', info: { name: 'grace' } },
      ],
      me: 'grace',
    })
    expect(subscribedTo(grace, 'private-a')).toEqual({ channel: 'private-a' })
    expect((await ada.stream.next()).text).toBe(`{"channel":"${ROOM}","member":{"id":"grace","info":{"name":"grace"}}}`)
    expect(ada.stream.frames.at(-1)).toMatchObject({ event: 'joining', id: undefined })
  })

  it('is of its channel alone', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const eve = await joinPage(gateway, 'presence-room.2', { user: 'eve' })
    expect(idsOf(eve, 'presence-room.2')).toEqual(['eve'])
    expect(await told(gateway, ada)).toEqual([])
  })

  it('names the first members and the page itself, and says how many there are', async () => {
    const gateway = await gatewayWithUsers({ maxMembersListed: 2 })
    const pages: TalkingPage[] = []
    for (const user of ['a', 'b', 'c', 'd']) pages.push(await joinPage(gateway, ROOM, { user }))
    expect(pages.map((page) => [idsOf(page), subscribedTo(page, ROOM).count])).toEqual([
      [['a'], undefined],
      [['a', 'b'], undefined],
      [['a', 'b', 'c'], 3],
      [['a', 'b', 'd'], 4],
    ])
    const again = await joinPage(gateway, ROOM, { user: 'b' })
    expect([idsOf(again), subscribedTo(again, ROOM).count]).toEqual([['a', 'b'], 4])
    const [first] = pages as [TalkingPage]
    expect(await told(gateway, first)).toEqual(['joining b', 'joining c', 'joining d'])
  })

  it('replaces the one before: who comes back sees who came meanwhile', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    await closed(gateway, ada)
    await joinPage(gateway, ROOM, { user: 'grace' })
    const query = { lastEventId: ada.stream.lastEventId ?? '' }
    const back = await joinPage(gateway, ROOM, { as: ada, query })
    expect(idsOf(back)).toEqual(['ada', 'grace'])
    expect(back.stream.frames.map(({ event }) => event)).toEqual(['connected', 'subscribed', 'ping'])
  })

  it('is not changed by toOthers(): whoever publishes is still a member', async () => {
    const gateway = await gatewayWithUsers()
    const ada = await joinPage(gateway, ROOM)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    await gateway.publish(ROOM, 'ToOthers', {}, ada.socketId)
    await gateway.publish(ROOM, 'ToAll')
    expect((await ada.stream.take(2)).map(({ event, data }) => data.event ?? event)).toEqual(['joining', 'ToAll'])
    expect((await grace.stream.take(2)).map(({ data }) => data.event)).toEqual(['ToOthers', 'ToAll'])
    expect(idsOf(await joinPage(gateway, ROOM, { user: 'late' }))).toEqual(['ada', 'grace', 'late'])
  })
})

describe('a member', () => {
  it('is there as long as one of its pages is, and no page is told of its own coming', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 0 })
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    const [ada, tab] = [await joinPage(gateway, ROOM), await joinPage(gateway, ROOM)]
    expect(idsOf(tab)).toEqual(['eye', 'ada'])
    expect(await told(gateway, eye)).toEqual(['joining ada'])
    expect(await told(gateway, ada)).toEqual([])
    await closed(gateway, ada)
    expect(await told(gateway, eye)).toEqual([])
    tab.stream.close()
    expect(await eye.stream.next()).toMatchObject({
      event: 'leaving',
      id: undefined,
      data: { channel: ROOM, member: { id: 'ada', info: { name: 'ada' } } },
    })
  })

  it('does not go and come again by a reload, a change of channels, a second stream or another transport', async () => {
    const gateway = await gatewayWithUsers()
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    const before = await joinPage(gateway, ROOM)
    expect(await told(gateway, eye)).toEqual(['joining ada'])
    await closed(gateway, before)
    const reloaded = await joinPage(gateway, ROOM)
    expect(reloaded.socketId).not.toBe(before.socketId)
    const wider = await joinPage(gateway, `${ROOM},orders,private-a`, { as: reloaded })
    await closed(gateway, reloaded)
    const query = { mode: 'poll', wait: '0', lastEventId: wider.stream.lastEventId ?? '' }
    const poll = await joinPage(gateway, ROOM, { as: reloaded, query })
    await poll.stream.ended
    await closed(gateway, wider)
    await joinPage(gateway, ROOM, { as: reloaded })
    expect(await told(gateway, eye)).toEqual([])
  })

  it('who is somebody else by now leaves as the one and joins as the other', async () => {
    const gateway = await gatewayWithUsers({ grantS: 0 })
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    const page = await joinPage(gateway, ROOM)
    gateway.authorizer.decides(() => ({ allowed: true, member: { id: 'grace', info: null } }))
    await joinPage(gateway, ROOM, { as: page })
    expect(await told(gateway, eye)).toEqual(['joining ada', 'leaving ada', 'joining grace'])
  })

  it('whose info changes is not told of; later lists have it', async () => {
    const gateway = await gatewayWithUsers()
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    await joinPage(gateway, ROOM)
    gateway.authorizer.decides(() => ({ allowed: true, member: { id: 'ada', info: 'new' } }))
    const tab = await joinPage(gateway, ROOM)
    expect(await told(gateway, eye)).toEqual(['joining ada'])
    expect(subscribedTo(tab, ROOM).members[1]).toEqual({ id: 'ada', info: 'new' })
  })

  it('comes and goes in its place among the broadcasts', async () => {
    const gateway = await gatewayWithUsers()
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    await gateway.publish(ROOM, 'Before')
    const ada = await joinPage(gateway, ROOM)
    await gateway.publish(ROOM, 'Between')
    await leave(ada)
    await gateway.publish(ROOM, 'After')
    const frames = await eye.stream.take(5)
    expect(frames.map(({ event, data }) => data.event ?? event)).toEqual([
      ...['Before', 'joining', 'Between', 'leaving', 'After'],
    ])
  })
})

describe('a long-poll', () => {
  async function poll(gateway: RunningGateway, before?: TalkingPage, wait = '25'): Promise<TalkingPage> {
    const query = { mode: 'poll', wait, ...(before && { lastEventId: before.stream.lastEventId ?? '' }) }
    return openPage(gateway, ROOM, { query, ...(before && { as: before }) })
  }

  async function eventsOf(page: TalkingPage | Promise<TalkingPage>): Promise<string[]> {
    const { stream }: { stream: SseClient } = await page
    expect(await stream.ended).toBe(true)
    return stream.frames.map(({ event }) => event)
  }

  const QUIET = ['connected', 'subscribed', 'ping']

  it('waits until somebody comes or goes, and each of these changes answers one poll', async () => {
    const gateway = await gatewayWithUsers()
    const first = await poll(gateway)
    expect(await eventsOf(first)).toEqual(QUIET)
    const waiting = poll(gateway, first)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(1)
    const grace = await joinPage(gateway, ROOM, { user: 'grace' })
    expect(await eventsOf(waiting)).toEqual(['connected', 'subscribed', 'joining', 'ping'])
    // Had it been woken again, it would have ended before its time, without anybody having left.
    const next = poll(gateway, await waiting)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(2)
    await leave(grace)
    expect(await eventsOf(next)).toEqual(['connected', 'subscribed', 'leaving', 'ping'])
    expect(idsOf(await next)).toEqual(['ada', 'grace'])
  })

  it('is answered at once when somebody came or went before it, and then waits again', async () => {
    const gateway = await gatewayWithUsers()
    const first = await poll(gateway)
    await first.stream.ended
    await joinPage(gateway, ROOM, { user: 'grace' })
    const second = await poll(gateway, first)
    expect(await eventsOf(second)).toEqual(QUIET)
    expect(idsOf(second)).toEqual(['ada', 'grace'])
    const third = poll(gateway, second)
    await expect.poll(() => gateway.gateway.services.hub.size).toBe(2)
    await gateway.publish(ROOM, 'News')
    expect(await eventsOf(third)).toEqual(['connected', 'subscribed', 'message', 'ping'])
  })

  it('brings what was published, however long the list is that each answer begins with', async () => {
    const gateway = await gatewayWithUsers()
    const bio = 'x'.repeat(15_000)
    gateway.authorizer.decides(({ credentials }) => ({
      allowed: true,
      member: { id: credentials.headers.authorization ?? '', info: { bio } },
    }))
    for (let count = 0; count < 18; count += 1) await joinPage(gateway, ROOM, { user: `member-${count}` })
    const first = await poll(gateway)
    expect(await eventsOf(first)).toEqual(QUIET)
    expect(first.stream.text.length).toBeGreaterThan(256 * 1024)
    await gateway.publish(ROOM, 'News')
    const second = await poll(gateway, first)
    expect(await eventsOf(second)).toEqual(['connected', 'subscribed', 'message', 'ping'])
    const third = await poll(gateway, second, '0')
    expect(await eventsOf(third)).toEqual(QUIET)
  })

  it('keeps its member there from one to the next, although no linger time is given', async () => {
    const gateway = await gatewayWithUsers({ lingerMs: 0 })
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    const first = await poll(gateway)
    await first.stream.ended
    expect(await told(gateway, eye)).toEqual(['joining ada'])
    const second = await poll(gateway, first, '0')
    await second.stream.ended
    expect((await eye.stream.next()).event).toBe('leaving')
  })
})

describe('what Laravel says of a member', () => {
  function saying(member: unknown): () => Decision {
    return () => ({ allowed: true, member }) as Decision
  }

  it.each(['__proto__', 'constructor', 'v', '0', ' ', '\n', 'é"<x>', 'x'.repeat(1000)])(
    'may give the id %j',
    async (id) => {
      const gateway = await gatewayWithUsers()
      const eye = await joinPage(gateway, ROOM, { user: 'eye' })
      gateway.authorizer.decides(saying({ id, info: null }))
      const page = await joinPage(gateway, ROOM)
      expect(subscribedTo(page, ROOM)).toMatchObject({ members: [{ id: 'eye' }, { id, info: null }], me: id })
      await leave(page)
      expect(await told(gateway, eye)).toEqual([`joining ${id}`, `leaving ${id}`])
    },
  )

  it.each([
    '{"__proto__":{"isAdmin":true},"constructor":null}',
    '[]',
    'null',
    '"text"',
    '0',
    'false',
    '{"html":"</script>\\u2028","line":"a\\nb\\r\\n\\r\\nevent: bye"}',
  ])('is passed on as it is: %s', async (info) => {
    const gateway = await gatewayWithUsers()
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    gateway.authorizer.decides(saying({ id: 'ada', info: JSON.parse(info) }))
    const page = await joinPage(gateway, ROOM)
    const printed = JSON.stringify(JSON.parse(info))
    expect(page.stream.frames[1]?.text).toContain(`{"id":"ada","info":${printed}}]`)
    expect((await eye.stream.next('joining')).text).toBe(
      `{"channel":"${ROOM}","member":{"id":"ada","info":${printed}}}`,
    )
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined()
  })

  it('has its limit: more is a denial that says what to do, and nobody is told of it', async () => {
    const gateway = await gatewayWithUsers({ maxMemberBytes: 100 })
    const eye = await joinPage(gateway, ROOM, { user: 'eye' })
    gateway.authorizer.decides(saying({ id: 'ada', info: 'x'.repeat(98) }))
    await leave(await joinPage(gateway, ROOM))
    // Bytes, not characters.
    for (const info of ['x'.repeat(99), 'é'.repeat(50), 'x'.repeat(1024 * 1024)]) {
      gateway.authorizer.decides(saying({ id: 'ada', info }))
      const page = await openPage(gateway, ROOM)
      const { data } = await page.stream.next('denied')
      expect(data).toMatchObject({ status: 403, code: 'forbidden', retry: false })
      expect(data.message).toMatch(/--max-member-bytes.*\.$/)
    }
    expect(await told(gateway, eye)).toEqual(['joining ada', 'leaving ada'])
    expect(gateway.gateway.services.presence.size).toBe(1)
  })
})

describe("Laravel's own answers", () => {
  async function laravelSaying(reply: FakeReply): Promise<FakeLaravel> {
    const laravel = await FakeLaravel.start(reply)
    atEndOfTest(() => laravel.close())
    return laravel
  }

  async function gatewayBeforeLaravel(laravel: FakeLaravel, maxBodyBytes = 65_536): Promise<RunningGateway> {
    const authorizer = new LaravelAuthorizer({ url: laravel.url, maxBodyBytes })
    return startGateway({}, { authorizer })
  }

  it('of a number and of a text name one member', async () => {
    const laravel = await laravelSaying(presenceGrant(5, { name: 'Ada' }))
    const gateway = await gatewayBeforeLaravel(laravel)
    const redis = await joinPage(gateway, ROOM)
    const data = JSON.stringify({ user_id: '5', user_info: { name: 'Ada' } })
    laravel.answers({ ...GRANT, body: JSON.stringify({ auth: 'key:signature', channel_data: data }) })
    const pusher = await joinPage(gateway, ROOM, { user: 'other token' })
    expect([redis, pusher].map((page) => subscribedTo(page, ROOM))).toEqual(
      [1, 2].map(() => ({ channel: ROOM, members: [{ id: '5', info: { name: 'Ada' } }], me: '5' })),
    )
    expect(await told(gateway, redis)).toEqual([])
  })

  it('that do not say who it is are a denial with a hint', async () => {
    const gateway = await gatewayBeforeLaravel(await laravelSaying(GRANT))
    const page = await openPage(gateway, ROOM)
    const { data } = await page.stream.next('denied')
    expect(data).toMatchObject({ channel: ROOM, status: 403, retry: false })
    expect(data.message).toContain('routes/channels.php')
  })

  it('of a megabyte about one member are a denial with a hint, and so are those nested without end', async () => {
    const nested = `${'['.repeat(400_000)}${']'.repeat(400_000)}`
    const body = `{"channel_data":{"user_id":7,"user_info":${nested}}}`
    const laravel = await laravelSaying({ ...GRANT, body })
    for (const maxBodyBytes of [65_536, 2_000_000]) {
      const page = await openPage(await gatewayBeforeLaravel(laravel, maxBodyBytes), ROOM)
      const { data } = await page.stream.next('denied')
      expect(data).toMatchObject({ channel: ROOM, status: 403, retry: false })
      expect(data.message).toContain('return less')
    }
  })
})

describe('messages of gateways that make no sense', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const user = '{"id":"x","info":null}'

  const garbage: Readonly<Record<string, readonly string[]>> = {
    'sse:presence': [
      ...['', '{', '[]', 'null', '5', '{}', '\ufffd'],
      `{"channel":"${ROOM}"}`,
      `{"channel":5,"version":1,"joined":[],"left":[]}`,
      `{"channel":"${ROOM}","version":"2","joined":[${user}],"left":[]}`,
      `{"channel":"${ROOM}","version":1.5,"joined":[${user}],"left":[]}`,
      `{"channel":"${ROOM}","version":1e300,"joined":[${user}],"left":[]}`,
      `{"channel":"${ROOM}","version":2,"joined":{},"left":[]}`,
      `{"channel":"${ROOM}","version":2,"joined":[${user}],"left":null}`,
      `{"channel":"${ROOM}","version":2,"joined":[5],"left":[]}`,
      `{"channel":"${ROOM}","version":2,"joined":[{"id":5,"info":1}],"left":[]}`,
      `{"channel":"${ROOM}","version":2,"joined":[{"id":"x"}],"left":[]}`,
      `{"channel":"${ROOM}","version":2,"joined":[],"left":[5]}`,
      `{"__proto__":{"channel":"${ROOM}","version":2,"joined":[${user}],"left":[]}}`,
      `{"channel":"${ROOM}","version":2,"joined":[{"id":"x","info":${deep}}],"left":[]}`,
      deep,
    ],
    'sse:whisper': [
      ...['', '{', '[]', 'null', '{}', '\ufffd', deep],
      `{"channel":"${ROOM}","name":"client-e","data":1}`,
      `{"channel":"${ROOM}","name":"e","socketId":"1.1","data":1}`,
      `{"channel":"${ROOM}","name":"client-","socketId":"1.1","data":1}`,
      `{"channel":"${ROOM}","name":"client-e","socketId":"1.1","userId":5,"data":1}`,
      `{"channel":"orders","name":"client-e","socketId":"1.1","data":1}`,
      `{"channel":["${ROOM}"],"name":"client-e","socketId":"1.1","data":1}`,
    ],
    'sse:leave': ['', '{', '[]', '{}', '{"socketId":5}', '{"socketId":null}', '["ada"]', deep],
    'sse:revoke': [
      '',
      '{',
      '[]',
      '{}',
      '{"user":null}',
      '{"user":true}',
      '{"channel":5}',
      '{"users":"ada"}',
      '"ada"',
      deep,
    ],
    'sse:unknown': ['', '{}', `{"channel":"${ROOM}","name":"client-e","socketId":"1.1","data":1}`],
    'sse:': ['{}'],
    'sse:clock:x': ['{}'],
  }

  it.each(Object.keys(garbage))('on %s are ignored and counted, and no page hears of them', async (channel) => {
    const gateway = await gatewayWithUsers()
    const { broker, metrics, hub } = gateway.gateway.services
    const ada = await joinPage(gateway, `${ROOM},orders`)
    const frames = ada.stream.frames.length
    for (const text of garbage[channel] ?? []) await broker.publish([channel], text)
    expect(await told(gateway, ada)).toEqual([])
    expect(ada.stream.frames).toHaveLength(frames + 1)
    expect(hub.size).toBe(1)
    const { values } = await metrics.ignored.get()
    expect(values).toEqual([{ labels: { reason: 'not_ours' }, value: garbage[channel]?.length }])
    // Everything works as before.
    await joinPage(gateway, ROOM, { user: 'grace' })
    expect(await told(gateway, ada)).toEqual(['joining grace'])
  })

  it('but are well-formed change nothing where they fit nobody', async () => {
    const gateway = await gatewayWithUsers()
    const { broker, metrics } = gateway.gateway.services
    const ada = await joinPage(gateway, ROOM)
    const far = Number.MAX_SAFE_INTEGER
    for (const [channel, text] of [
      ['sse:presence', `{"channel":"presence-elsewhere","version":1,"joined":[${user}],"left":["ada"]}`],
      ['sse:presence', `{"channel":"${ROOM}","version":-1,"joined":[${user}],"left":["ada"]}`],
      ['sse:presence', `{"channel":"${ROOM}","version":${far},"joined":[${user}],"left":["ada"]}`],
      ['sse:whisper', `{"channel":"presence-elsewhere","name":"client-e","socketId":"1.1","data":1}`],
      ['sse:leave', '{"socketId":"__proto__"}'],
      ['sse:revoke', '{"user":"__proto__"}'],
      ['sse:revoke', '{"socket":"1.1","channel":"constructor"}'],
    ] as const) {
      await broker.publish([channel], text)
    }
    expect(await told(gateway, ada)).toEqual([])
    expect((await metrics.ignored.get()).values).toEqual([])
    await joinPage(gateway, ROOM, { user: 'grace' })
    expect(await told(gateway, ada)).toEqual(['joining grace'])
  })
})
