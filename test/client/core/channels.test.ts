import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EnginePage, pass } from '../../support/engine-page.ts'
import { FakeGateway } from '../../support/fake-gateway.ts'

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

async function start(...channels: string[]) {
  const gateway = new FakeGateway((request) => request.kind === 'stream' && request.connect())
  const page = new EnginePage()
  for (const channel of channels) page.engine.join(channel)
  await pass()
  page.news()
  return { gateway, page }
}

const members = (...ids: string[]) => ids.map((id) => ({ id, info: { name: id } }))
const ROOM = 'presence-room'

describe('a channel that is granted', () => {
  it('is told once, whatever streams follow', async () => {
    const { gateway, page } = await start('a')
    gateway.last().grant('a')
    await pass()
    expect(page.news()).toEqual(['subscribed a'])
    gateway.script = (request) => request.welcome()
    page.engine.join('b')
    await pass(50)
    gateway.last().cut()
    await pass(1000)
    expect(page.told.filter((line) => line.startsWith('subscribed'))).toEqual(['subscribed b'])
  })

  it.each(['gap', 'fresh'] as const)('is told anew when the stream goes on as %s', async (resume) => {
    const { gateway, page } = await start('a')
    gateway.last().grant('a')
    gateway.script = (request) => request.connect({ resume })
    gateway.last().cut()
    await pass(1000)
    expect(page.engine.whisper('a', 'client-x', 1)).toBe(false)
    gateway.last().grant('a')
    await pass()
    expect(page.told.filter((line) => line.startsWith('subscribed'))).toEqual(['subscribed a', 'subscribed a'])
    expect(gateway.last().fresh).toEqual([])
  })

  it('is told anew although another stream came before the answer', async () => {
    const { gateway, page } = await start('private-a')
    gateway.last().grant('private-a')
    gateway.script = (request) => request.connect({ resume: 'gap' })
    gateway.last().cut()
    await pass(1000)
    gateway.script = (request) => request.welcome({ resume: 'ok' })
    page.engine.join('b')
    await pass(50)
    expect(page.told.filter((line) => line.endsWith('private-a'))).toHaveLength(2)
  })

  it('is fresh until it was granted, also over a cut', async () => {
    const { gateway } = await start('private-a')
    gateway.last().cut()
    await pass(1000)
    expect(gateway.last().fresh).toEqual(['private-a'])
    gateway.last().grant('private-a')
    await pass()
    gateway.last().cut()
    await pass(5000)
    expect(gateway.last().fresh).toEqual([])
  })

  it('may be called as every object is', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'presence-hasOwnProperty']
    const { gateway, page } = await start(...names)
    expect(gateway.last().channels).toEqual(names)
    for (const name of names) gateway.last().grant(name).message(name, name)
    await pass()
    expect(page.news()).toEqual([
      ...names.flatMap((name) => [`subscribed ${name}`, `message ${name} ${JSON.stringify(name)}`]),
    ])
    expect(page.errors).toEqual([])
    expect(({} as Record<string, unknown>).status).toBeUndefined()
  })
})

describe('messages', () => {
  it('are told once per channel and position', async () => {
    const { gateway, page } = await start('a', 'b')
    gateway.last().grant('a').grant('b')
    gateway.last().message('a', 1, '1.2.0').message('b', 1, '1.1.9').message('a', 2, '1.2.0').message('a', 3, '1.1.9')
    gateway.last().message('a', 4, '1.10.0').message('a', 5, '1.9.0').message('a', 6, '1.1.0~1.10.0')
    await pass()
    expect(page.messages).toEqual(['a 1', 'b 1', 'a 4'])
  })

  it('without a position are always told', async () => {
    const { gateway, page } = await start('a')
    gateway.last().grant('a').message('a', 1, '').message('a', 1, '')
    await pass()
    expect(page.messages).toEqual(['a 1', 'a 1'])
  })

  it('of another epoch are news', async () => {
    const { gateway, page } = await start('a')
    gateway.last().grant('a').message('a', 1, '1.7.0').message('a', 2, '2.0.1').message('a', 3, '2.0.0')
    await pass()
    expect(page.messages).toEqual(['a 1', 'a 2'])
  })

  it('are not told of a channel that is not granted', async () => {
    const { gateway, page } = await start('a')
    gateway.last().message('a', 1)
    await pass()
    expect(page.messages).toEqual([])
  })

  it('that are missing are told to the page', async () => {
    const { gateway, page } = await start('a')
    gateway.last().frame('gap', { channels: ['a'], reason: 'overflow' }, '1.9.0')
    await pass()
    expect(page.news()).toEqual(['gap a overflow'])
  })
})

describe('a presence channel', () => {
  it('knows who is there, and tells who comes and goes', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('1', '2'), me: '1' })
    await pass()
    expect(page.engine.subscription(ROOM)).toMatchObject({ count: 2, me: '1' })
    gateway.last().frame('joining', { channel: ROOM, member: members('3')[0] })
    gateway.last().frame('joining', { channel: ROOM, member: members('3')[0] })
    gateway.last().frame('leaving', { channel: ROOM, member: members('2')[0] })
    gateway.last().frame('leaving', { channel: ROOM, member: members('2')[0] })
    await pass()
    expect(page.news()).toEqual([`subscribed ${ROOM} 1,2`, `joining ${ROOM} 3`, `leaving ${ROOM} 2`])
    expect(page.engine.subscription(ROOM)?.count).toBe(2)
    expect([...(page.engine.subscription(ROOM)?.members.keys() ?? [])]).toEqual(['1', '3'])
  })

  it('tells differences after it was away, and nobody of himself', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('1', '2', '3'), me: '1' })
    await pass()
    page.news()
    gateway.last().cut()
    await pass(1000)
    gateway.last().grant(ROOM, { members: members('3', '4', '1'), me: '1' })
    await pass()
    expect(page.news().slice(2)).toEqual([`leaving ${ROOM} 2`, `joining ${ROOM} 4`])
  })

  it('tells the list anew after a gap', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('1', '2'), me: '1' })
    gateway.script = (request) => request.connect({ resume: 'gap' })
    gateway.last().cut()
    await pass(1000)
    page.news()
    gateway.last().grant(ROOM, { members: members('1', '3'), me: '1' })
    await pass()
    expect(page.news()).toEqual([`subscribed ${ROOM} 1,3`])
  })

  it('knows nobody before the list is there', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().frame('joining', { channel: ROOM, member: members('3')[0] })
    await pass()
    expect(page.news()).toEqual([])
  })

  it('takes nobody for gone or new who is only not in a list that is cut', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('1', '2'), me: '1', count: 5 })
    await pass()
    page.news()
    gateway.last().cut()
    await pass(1000)
    gateway.last().grant(ROOM, { members: members('1', '3'), me: '1', count: 5 })
    await pass()
    expect(page.news().slice(2)).toEqual([])
    gateway.last().frame('leaving', { channel: ROOM, member: members('4')[0] })
    await pass()
    expect(page.news()).toEqual([`leaving ${ROOM} 4`])
    expect(page.engine.subscription(ROOM)?.count).toBe(4)
  })

  it('has members who are called as every object is', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('__proto__', 'constructor'), me: '__proto__' })
    gateway.last().frame('joining', { channel: ROOM, member: members('toString')[0] })
    gateway.last().frame('leaving', { channel: ROOM, member: members('constructor')[0] })
    await pass()
    expect(page.news()).toEqual([
      `subscribed ${ROOM} __proto__,constructor`,
      `joining ${ROOM} toString`,
      `leaving ${ROOM} constructor`,
    ])
  })

  it('keeps its list while it was left for a moment', async () => {
    const { gateway, page } = await start(ROOM)
    gateway.last().grant(ROOM, { members: members('1'), me: '1' })
    await pass()
    page.news()
    page.engine.leave(ROOM)
    gateway.last().grant(ROOM, { members: members('1', '3'), me: '1' })
    gateway.last().frame('joining', { channel: ROOM, member: members('2')[0] })
    await pass()
    expect(page.engine.join(ROOM).count).toBe(3)
    expect(page.news()).toEqual([])
  })
})

describe('an encrypted channel', () => {
  it('keeps the secret it was given', async () => {
    const { gateway, page } = await start('private-encrypted-a')
    gateway.last().grant('private-encrypted-a', { sharedSecret: 'c2VjcmV0' })
    gateway.last().grant('private-encrypted-a')
    await pass()
    expect(page.engine.subscription('private-encrypted-a')?.sharedSecret).toBe('c2VjcmV0')
  })
})
