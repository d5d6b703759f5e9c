import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryPresenceStore } from '../../src/presence/memory.ts'
import { Presence } from '../../src/presence/presence.ts'
import { printChange } from '../../src/presence/store.ts'
import { user } from '../support/presence-node.ts'
import { ScriptedPresenceStore } from '../support/scripted-presence-store.ts'

const ROOM = 'presence-room.1'
const OTHER = 'presence-room.2'

/** The presence of a node on a store of its own. */
function openPresence() {
  const told: string[] = []
  let forgotten = 0
  const store = new MemoryPresenceStore({
    publish: async (_channel, payload) => void presence.heard(Buffer.from(payload)),
  })
  const presence = new Presence({
    store,
    maxListed: 100,
    graceMs: 15_000,
    onDifference: (channel, { joined, left }) => {
      const name = channel.replace('presence-', '')
      told.push(...joined.map(({ id }) => `${name} +${id}`), ...left.map(({ id }) => `${name} -${id}`))
    },
    onForgotten: async () => {
      forgotten += 1
    },
    onError: (error) => {
      throw error
    },
  })
  presence.start()
  return { presence, store, news: () => told.splice(0), forgotten: () => forgotten }
}

/** The same on a store that a test plays. */
function openScripted({ onForgotten = async () => {} } = {}) {
  const told: string[] = []
  let forgotten = 0
  const store = new ScriptedPresenceStore(ROOM)
  const presence = new Presence({
    store,
    maxListed: 100,
    graceMs: 15_000,
    onDifference: (_channel, { joined, left }) => {
      told.push(...joined.map(({ id }) => `+${id}`), ...left.map(({ id }) => `-${id}`))
    },
    onForgotten: () => {
      forgotten += 1
      return onForgotten()
    },
    onError: () => {},
  })
  store.onChange = (change) => void presence.heard(Buffer.from(printChange(change)))
  presence.start()
  return { presence, store, told, forgotten: () => forgotten }
}

const member = (id: string) => ({ id, info: { name: `User ${id}` } })
const settled = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a channel', () => {
  it('has a list that holds who asks, and everybody else', async () => {
    const { presence } = openPresence()
    await presence.enter(ROOM, 's1', member('1'))
    const roster = await presence.enter(ROOM, 's2', member('2'))
    expect(JSON.parse(roster.list('2').json)).toEqual([member('1'), member('2')])
    expect(presence.roster(ROOM)).toBe(roster)
  })

  it('is apart from all others, also for the same socket', async () => {
    const { presence, news } = openPresence()
    await presence.enter(ROOM, 's1', member('1'))
    await presence.enter(OTHER, 's1', member('1'))
    await presence.enter(OTHER, 's2', member('2'))
    expect([news(), presence.size]).toEqual([['room.1 +1', 'room.2 +1', 'room.2 +2'], 3])
    presence.leave(OTHER, 's1')
    await settled()
    expect([news(), presence.size, [...(presence.roster(ROOM)?.ids() ?? [])]]).toEqual([['room.2 -1'], 2, ['1']])
  })

  it('is forgotten with the last who is there, and begins anew with the next', async () => {
    const { presence, store, news } = openPresence()
    const before = await presence.enter(ROOM, 's1', member('1'))
    presence.leave(ROOM, 's1')
    await settled()
    expect([presence.size, presence.roster(ROOM), vi.getTimerCount()]).toEqual([0, undefined, 0])
    const after = await presence.enter(ROOM, 's2', member('2'))
    expect(after).not.toBe(before)
    expect([[...after.ids()], news().at(-1)]).toEqual([['2'], 'room.1 +2'])
    expect((await store.read(ROOM)).members).toEqual([user('2')])
  })

  it('that somebody enters while the last is taken off is the same one', async () => {
    const { presence, store } = openScripted()
    const before = await presence.enter(ROOM, 's1', member('1'))
    store.isHeld = true
    presence.leave(ROOM, 's1')
    const entering = presence.enter(ROOM, 's2', member('2'))
    store.release()
    expect([(await entering) === before, presence.roster(ROOM) === before, store.ours]).toEqual([true, true, ['2']])
  })

  it('that nobody here is on is not followed', async () => {
    const { presence, store, told } = openScripted()
    store.peer([user('7')])
    presence.leave(ROOM, 'nobody')
    expect([told, store.reads, presence.roster(ROOM)]).toEqual([[], 0, undefined])
  })

  it('costs nothing any more after a thousand came and went on many', async () => {
    const { presence, store, news } = openPresence()
    const visits = Array.from({ length: 1000 }, (_, index) => [`presence-${index % 50}`, `s${index}`] as const)
    await Promise.all(visits.map(([channel, socket], index) => presence.enter(channel, socket, member(`u${index}`))))
    expect(presence.size).toBe(1000)
    for (const [channel, socket] of visits) presence.leave(channel, socket)
    await settled()
    expect([presence.size, vi.getTimerCount()]).toEqual([0, 0])
    for (const [channel] of visits) {
      expect(presence.roster(channel)).toBeUndefined()
      expect((await store.read(channel)).members).toEqual([])
    }
    expect(news().length).toBeGreaterThan(1000)
  })
})

describe('what comes through the broker', () => {
  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"channel":"presence-room.1"}',
    '{"channel":"presence-room.1","version":"2","joined":[],"left":[]}',
  ])('and is no change (%s) is refused and changes nothing', async (payload) => {
    const { presence, store, told } = openScripted()
    await presence.enter(ROOM, 's1', member('1'))
    told.splice(0)
    expect(presence.heard(Buffer.from(payload))).toBe(false)
    expect([told, store.reads]).toEqual([[], 1])
  })

  it('and is of a channel that is not open here is understood', () => {
    const { presence } = openScripted()
    const change = { channel: OTHER, version: 7, joined: [user('1')], left: [] }
    expect([presence.heard(Buffer.from(printChange(change))), presence.roster(OTHER)]).toEqual([true, undefined])
  })
})

describe('a store that has forgotten this node', () => {
  it('is told everything again, and so is whoever else has told it something', async () => {
    const { presence, store, told, forgotten } = openScripted()
    await presence.enter(ROOM, 's1', member('1'))
    await presence.enter(ROOM, 's2', member('2'))
    told.splice(0)
    store.flush()
    store.onForgotten(false)
    await settled()
    expect([store.ours, told, forgotten()]).toEqual([['1', '2'], [], 1])
  })

  it('is not told of who is found to be off the channel first', async () => {
    const { presence, store } = openScripted({ onForgotten: async () => presence.leave(ROOM, 's1') })
    await presence.enter(ROOM, 's1', member('1'))
    await presence.enter(ROOM, 's2', member('2'))
    store.flush()
    const said: string[] = []
    store.onChange = ({ joined }) => void said.push(...joined.map(({ id }) => id))
    store.onForgotten(false)
    await settled()
    expect(said).toEqual(['2'])
  })
})

describe('a refresh', () => {
  it('asks first whether the store remembers, then compares every list', async () => {
    const { presence, store, told } = openScripted()
    await presence.enter(ROOM, 's1', member('1'))
    told.splice(0)
    store.isMute = true
    store.peer([user('7')])
    let readsBefore = -1
    store.verify = async () => {
      readsBefore = store.reads
    }
    await presence.refresh()
    await settled()
    expect([told, readsBefore, store.reads]).toEqual([['+7'], 1, 2])
  })

  it('of channels nobody is on asks about none', async () => {
    const { presence, store } = openScripted()
    await presence.refresh()
    expect([store.verified, store.reads]).toEqual([1, 0])
  })
})

describe('stop', () => {
  it('leaves on record who is here, for as long as it is told to', async () => {
    const { presence, store, told } = openScripted()
    await presence.enter(ROOM, 's1', member('1'))
    told.splice(0)
    await presence.stop(8000)
    presence.leave(ROOM, 's1')
    store.peer([user('7')])
    await vi.advanceTimersByTimeAsync(60_000)
    expect([store.stoppedFor, store.ours, told, vi.getTimerCount()]).toEqual([8000, ['1'], [], 0])
  })
})
