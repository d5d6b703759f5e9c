import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Member } from '../../src/auth/authorizer.ts'
import { Room } from '../../src/presence/room.ts'
import type { PresenceChange } from '../../src/presence/store.ts'
import { user } from '../support/presence-node.ts'
import { ScriptedPresenceStore } from '../support/scripted-presence-store.ts'

const CHANNEL = 'presence-room.1'
const PATIENCE_MS = 3000
const GRACE_MS = 15_000
const RETRY_MS = 500

/** A room, the store it talks to, and what its pages are told. */
function openRoom({ maxListed = 100 } = {}) {
  const store = new ScriptedPresenceStore(CHANNEL)
  /** `+7` somebody joined, `-7` somebody left. */
  const told: string[] = []
  const errors: unknown[] = []
  let emptied = 0
  const room = new Room({
    channel: CHANNEL,
    store,
    maxListed,
    patienceMs: PATIENCE_MS,
    graceMs: GRACE_MS,
    onDifference: (channel, { joined, left }) => {
      expect(channel).toBe(CHANNEL)
      told.push(...joined.map(({ id }) => `+${id}`), ...left.map(({ id }) => `-${id}`))
    },
    onEmpty: () => {
      emptied += 1
      room.close()
    },
    onError: (error) => void errors.push(error),
  })
  store.onChange = (change) => room.heard(change)
  return {
    room,
    store,
    told,
    errors,
    emptied: () => emptied,
    listed: () => [...room.roster.ids()].sort(),
    /** What was told since the last look. */
    news: () => told.splice(0),
  }
}

const member = (id: string, info: unknown = { name: `User ${id}` }): Member => ({ id, info })

/** What has been answered arrives. */
const settled = () => vi.advanceTimersByTimeAsync(0)
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/** Somebody who waits for the list. */
function visitor(promise: Promise<void>): { isIn: boolean } {
  const state = { isIn: false }
  promise.then(() => {
    state.isIn = true
  })
  return state
}

/** A room where these users are known to be: ours by one socket each, named as they are. */
async function roomWith(ours: readonly string[], peers: readonly string[] = []) {
  const scene = openRoom()
  if (peers.length > 0) scene.store.peer(peers.map((id) => user(id)))
  for (const id of ours) void scene.room.enter(id, member(id))
  await settled()
  expect(scene.listed()).toEqual([...ours, ...peers].sort())
  scene.news()
  return scene
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the first page', () => {
  it('waits for the list, which holds its own member and everybody else', async () => {
    const { room, store, told, listed } = openRoom()
    store.peer([user('7')])
    store.isHeld = true
    const page = visitor(room.enter('s1', member('1')))
    await settled()
    store.next().answer()
    await settled()
    expect([page.isIn, listed()]).toEqual([false, []])
    store.next().answer()
    await settled()
    expect([page.isIn, listed()]).toEqual([true, ['1', '7']])
    // To nobody: the page that waits is not among the listeners yet.
    expect(told.sort()).toEqual(['+1', '+7'])
  })

  it('is not let in by a list that does not hold it', async () => {
    const { room, store, listed } = openRoom()
    store.isHeld = true
    const page = visitor(room.enter('s1', member('1')))
    store.next().answer()
    await settled()
    const read = store.next()
    store.flush()
    read.answer()
    await settled()
    expect([page.isIn, listed()]).toEqual([false, []])
    store.release()
    await settled()
    expect([page.isIn, listed()]).toEqual([true, ['1']])
  })

  it('reads the record once; those who follow hear of themselves', async () => {
    const { room, store } = openRoom()
    const pages = ['1', '2', '3'].map((id) => visitor(room.enter(id, member(id))))
    await settled()
    pages.push(visitor(room.enter('4', member('4'))))
    await settled()
    expect([store.reads, pages.map(({ isIn }) => isIn)]).toEqual([1, [true, true, true, true]])
  })

  it('a second page of a user who is listed does not wait, and nobody is told', async () => {
    const { room, store, news } = await roomWith(['1'])
    store.isHeld = true
    const page = visitor(room.enter('other', member('1')))
    await settled()
    expect([page.isIn, news(), store.calls]).toEqual([true, [], []])
  })
})

describe('a rush', () => {
  it('of a thousand pages costs a few steps', async () => {
    const { room, store, listed } = openRoom()
    const pages = Array.from({ length: 1000 }, (_, index) => visitor(room.enter(`s${index}`, member(`u${index}`))))
    await settled()
    expect(pages.every(({ isIn }) => isIn)).toBe(true)
    expect([store.updates.length, store.reads, listed().length]).toEqual([2, 1, 1000])
    for (let index = 0; index < 1000; index += 1) room.leave(`s${index}`)
    await settled()
    expect([store.updates.length, store.ours]).toEqual([4, []])
  })

  it('is told in steps that Redis can take, and only the last says that nobody is left', async () => {
    const { room, store } = openRoom()
    const ids = Array.from({ length: 5000 }, (_, index) => `u${index}`)
    for (const id of ids) void room.enter(id, member(id))
    await settled()
    for (const id of ids) room.leave(id)
    await settled()
    const sizes = store.updates.map(({ joined, left }) => joined.length + left.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1000)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(10_000)
    expect(store.updates.map(({ isLast }) => isLast).indexOf(true)).toBe(store.updates.length - 1)
    expect(store.ours).toEqual([])
  })

  it('through one door, of a user who comes and goes while a step is under way, ends with how it ended', async () => {
    const { room, store } = openRoom()
    store.isHeld = true
    void room.enter('s1', member('1'))
    for (let times = 0; times < 5; times += 1) {
      room.leave('s1')
      void room.enter('s1', member('1'))
    }
    void room.enter('s2', member('2'))
    room.leave('s2')
    store.release()
    await settled()
    expect(store.ours).toEqual(['1'])
    expect(store.updates.flatMap(({ joined }) => joined.map(({ id }) => id))).not.toContain('2')
  })
})

describe('who leaves', () => {
  it('while the news of their coming is on its way is taken off', async () => {
    const { room, store, emptied } = openRoom()
    store.isHeld = true
    void room.enter('s1', member('1'))
    room.leave('s1')
    expect(store.calls).toHaveLength(1)
    store.release()
    await settled()
    expect(store.updates.map(({ joined, left, isLast }) => [joined.length, left, isLast])).toEqual([
      [1, [], false],
      [0, ['1'], true],
    ])
    expect([store.ours, emptied()]).toEqual([[], 1])
  })

  it('is shown leaving once, after the last page', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    void room.enter('1b', member('1'))
    room.leave('1')
    await settled()
    expect([news(), store.ours]).toEqual([[], ['1', '2']])
    room.leave('1b')
    room.leave('1b')
    room.leave('nobody')
    await settled()
    expect([news(), store.ours]).toEqual([['-1'], ['2']])
  })

  it('and comes back before that was heard is not shown at all', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    store.isHeld = true
    room.leave('1')
    const left = store.next()
    void room.enter('1', member('1'))
    left.answer()
    store.release()
    await settled()
    expect([news(), store.ours]).toEqual([[], ['1', '2']])
  })

  it('and is still here through a peer stays on the list', async () => {
    const { room, store, news, listed } = await roomWith(['1', '2'])
    store.peer([user('1')])
    room.leave('1')
    await settled()
    expect([news(), listed(), store.ours]).toEqual([[], ['1', '2'], ['2']])
    store.peer([], ['1'])
    expect(news()).toEqual(['-1'])
  })

  it('no longer waits for the list, and is not kept in mind', async () => {
    const { room, store } = openRoom()
    store.isHeld = true
    const [gone, stays] = [visitor(room.enter('s1', member('1'))), visitor(room.enter('s2', member('2')))]
    room.leave('s1')
    await settled()
    expect([gone.isIn, stays.isIn]).toEqual([true, false])
    room.leave('s2')
    await settled()
    expect([stays.isIn, vi.getTimerCount()]).toEqual([true, 0])
  })
})

describe('one socket', () => {
  it('that is another user now: the one leaves, the other comes', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    void room.enter('1', member('3'))
    await settled()
    expect([news().sort(), store.ours, room.size]).toEqual([['+3', '-1'], ['2', '3'], 2])
  })

  it('that enters twice leaves once', async () => {
    const { room, store } = await roomWith(['1', '2'])
    void room.enter('1', member('1'))
    expect(room.size).toBe(2)
    room.leave('1')
    await settled()
    expect([room.size, store.ours]).toEqual([1, ['2']])
  })
})

describe('what was said and not answered', () => {
  it('is said again, until the store has it', async () => {
    const { room, store, errors, listed } = openRoom()
    store.isHeld = true
    const page = visitor(room.enter('s1', member('1')))
    store.next().fail()
    await wait(RETRY_MS)
    store.next().fail()
    await wait(RETRY_MS)
    store.release()
    await settled()
    expect([page.isIn, listed(), store.updates.length, errors.length]).toEqual([true, ['1'], 3, 2])
  })

  it('leaves no ghost when it was done nevertheless, and the user has gone meanwhile', async () => {
    const { room, store, emptied } = openRoom()
    store.isHeld = true
    void room.enter('s1', member('1'))
    const call = store.next()
    call.arrive()
    call.fail()
    await settled()
    room.leave('s1')
    store.isHeld = false
    await wait(RETRY_MS)
    expect([store.ours, emptied()]).toEqual([[], 1])
  })

  it('leaves nobody out who came back before a failed goodbye', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    store.isHeld = true
    room.leave('1')
    const call = store.next()
    void room.enter('1', member('1'))
    call.arrive()
    call.fail()
    store.isHeld = false
    await wait(RETRY_MS)
    expect([news(), store.ours]).toEqual([[], ['1', '2']])
  })

  it('is told with what changed since', async () => {
    const { room, store } = await roomWith(['1'])
    store.isHeld = true
    void room.enter('2', member('2', 'old'))
    const call = store.next()
    void room.enter('2b', member('2', 'new'))
    room.leave('1')
    call.fail()
    store.isHeld = false
    await wait(RETRY_MS)
    expect(store.ours).toEqual(['2'])
    expect(store.snapshot().members).toEqual([user('2', 'new')])
  })

  it('is asked about at most twice a second', async () => {
    const { room, store } = openRoom()
    store.isAway = true
    for (let index = 0; index < 100; index += 1) void room.enter(`s${index}`, member(`u${index}`))
    await wait(10_000)
    expect(store.updates.length).toBeLessThan(25)
  })

  it('is known for our users who are taken off while their coming is on its way, and then go', async () => {
    const { room, store } = await roomWith(['1'])
    store.isHeld = true
    void room.enter('2', member('2'))
    const call = store.next()
    // A peer thinks us dead, and our word arrives after that.
    store.peer([user('2')])
    store.peer([], ['2'])
    room.leave('2')
    call.arrive()
    store.release()
    call.answer()
    await settled()
    expect(store.ours).toEqual(['1'])
  })
})

describe('a store that is away', () => {
  it('at the start: a page is told what this node knows; nobody is told twice when the store is back', async () => {
    const { room, store, news, listed } = openRoom()
    store.isAway = true
    store.peer([user('7')])
    const page = visitor(room.enter('s1', member('1')))
    const other = visitor(room.enter('s2', member('2')))
    await wait(PATIENCE_MS - 1)
    expect([page.isIn, other.isIn]).toEqual([false, false])
    await wait(1)
    expect([page.isIn, other.isIn, listed(), news()]).toEqual([true, true, ['1', '2'], ['+1', '+2']])
    store.isAway = false
    await wait(RETRY_MS)
    expect([listed(), news(), store.ours]).toEqual([['1', '2', '7'], ['+7'], ['1', '2']])
  })

  it('later: a page that comes is told after the same patience, and listed for those who are there', async () => {
    const { room, store, news, listed } = await roomWith(['1'], ['7'])
    store.isAway = true
    const page = visitor(room.enter('s2', member('2')))
    await wait(PATIENCE_MS)
    expect([page.isIn, listed(), news()]).toEqual([true, ['1', '2', '7'], ['+2']])
    store.isAway = false
    await wait(RETRY_MS)
    expect([news(), store.ours]).toEqual([[], ['1', '2']])
  })

  it.each([1, GRACE_MS * 3])(
    'and never heard of somebody who came and went: whoever was shown joining is shown leaving (%d ms later)',
    async (stayMs) => {
      const { room, store, news } = await roomWith(['1'])
      store.isAway = true
      void room.enter('s2', member('2'))
      await wait(PATIENCE_MS + stayMs)
      expect(news()).toEqual(['+2'])
      room.leave('s2')
      await wait(RETRY_MS)
      store.isAway = false
      await wait(2 * GRACE_MS + RETRY_MS)
      expect([news(), store.ours]).toEqual([['-2'], ['1']])
    },
  )

  it('for reading only: is asked again until it answers, and what changed meanwhile is not lost', async () => {
    const { room, store, listed, errors } = openRoom()
    store.isHeld = true
    const page = visitor(room.enter('s1', member('1')))
    store.next().answer()
    await settled()
    store.next().fail()
    await settled()
    store.peer([user('7')])
    await wait(RETRY_MS)
    store.peer([user('8')])
    store.release()
    await settled()
    expect([page.isIn, listed(), errors.length]).toEqual([true, ['1', '7', '8'], 1])
  })

  it('for reading only: is asked twice a second, however often there was reason to', async () => {
    const { room, store } = await roomWith(['1'])
    store.isAway = true
    for (let times = 1; times <= 20; times += 1) {
      const { version } = store.snapshot()
      room.heard({ channel: CHANNEL, version: version + 5 * times, joined: [], left: [] })
      await settled()
    }
    const before = store.reads
    await wait(10_000)
    expect(store.reads - before).toBeLessThan(25)
  })

  it('is asked no more about a room that was closed', async () => {
    const { room, store } = openRoom()
    store.isHeld = true
    void room.enter('s1', member('1'))
    store.next().answer()
    await settled()
    const read = store.next()
    room.close()
    read.fail()
    await wait(10 * RETRY_MS)
    expect([store.calls, store.reads, vi.getTimerCount()]).toEqual([[], 1, 0])
  })
})

describe('a change heard while the record is read', () => {
  async function reading() {
    const scene = await roomWith(['1'], ['7'])
    scene.store.isHeld = true
    scene.room.refresh()
    return { ...scene, read: scene.store.next() }
  }

  it('that is older than the record changes nothing', async () => {
    const { store, read, listed, news } = await reading()
    store.peer([user('8')])
    store.peer([], ['8'])
    read.answer()
    await settled()
    expect([listed(), news(), store.reads]).toEqual([['1', '7'], [], 2])
  })

  it('that is newer is followed after it', async () => {
    const { store, read, listed, news } = await reading()
    read.arrive()
    store.peer([user('8')])
    store.peer([user('9')], ['7'])
    expect(news()).toEqual([])
    read.answer()
    await settled()
    expect([listed(), news(), store.reads]).toEqual([['1', '8', '9'], ['+8', '+9', '-7'], 2])
  })

  it('that skips one is a reason to read again', async () => {
    const { store, read, listed, news } = await reading()
    read.arrive()
    store.isMute = true
    store.peer([user('8')])
    store.isMute = false
    store.peer([user('9')])
    store.isHeld = false
    read.answer()
    await settled()
    expect([listed(), news(), store.reads]).toEqual([['1', '7', '8', '9'], ['+8', '+9'], 3])
  })

  it('does not lose what is asked for meanwhile: it reads once more', async () => {
    const { room, store, read, listed } = await reading()
    read.arrive()
    store.isMute = true
    store.peer([user('8')])
    for (let times = 0; times < 5; times += 1) room.refresh()
    store.isHeld = false
    read.answer()
    await settled()
    expect([listed(), store.reads]).toEqual([['1', '7', '8'], 3])
  })
})

describe('a change', () => {
  it('that was skipped is read from the record, by one question', async () => {
    const { store, listed, news } = await roomWith(['1'], ['7'])
    store.isMute = true
    store.peer([user('8')], ['7'])
    store.isMute = false
    store.peer([user('9')])
    await settled()
    expect([listed(), news().sort(), store.reads]).toEqual([['1', '7', '8', '9'], ['+8', '+9'], 2])
    await wait(GRACE_MS + 100)
    expect([listed(), news()]).toEqual([['1', '8', '9'], ['-7']])
  })

  it('heard twice, or late, changes nothing', async () => {
    const { room, store, news } = await roomWith(['1'])
    const heard: PresenceChange[] = []
    store.onChange = (change) => {
      heard.push(change)
      room.heard(change)
    }
    store.peer([user('8')])
    store.peer([], ['8'])
    expect(news()).toEqual(['+8', '-8'])
    for (const change of heard) room.heard(change)
    expect([news(), store.reads]).toEqual([[], 1])
  })

  it('that no record bears out costs one question, not one after the other', async () => {
    const { room, store, listed, news } = await roomWith(['1'])
    const { version } = store.snapshot()
    room.heard({ channel: CHANNEL, version: version + 7, joined: [user('9')], left: [] })
    await wait(60_000)
    expect([store.reads, listed(), news()]).toEqual([2, ['1'], []])
    store.peer([user('8')])
    expect(news()).toEqual(['+8'])
  })

  it('of what is said about somebody is not told, but later lists show it', async () => {
    const { room, store, news } = await roomWith(['1'], ['7'])
    room.roster.list('1')
    store.peer([user('7', 'renamed')])
    expect(news()).toEqual([])
    expect(JSON.parse(room.roster.list('1').json)).toContainEqual({ id: '7', info: 'renamed' })
  })

  it('of what our own user is reaches the store', async () => {
    const { room, store, news } = await roomWith(['1'], ['7'])
    void room.enter('1b', member('1', 'renamed'))
    await settled()
    expect([news(), store.snapshot().members]).toEqual([[], [user('7'), user('1', 'renamed')]])
    expect(JSON.parse(room.roster.list('1').json)).toContainEqual({ id: '1', info: 'renamed' })
  })

  it('that says somebody left whom nobody saw is not told', async () => {
    const { room, store, news } = await roomWith(['1'])
    const { version } = store.snapshot()
    room.heard({ channel: CHANNEL, version: version + 1, joined: [], left: ['9', '8'] })
    expect(news()).toEqual([])
  })

  it('is not followed before the first list, which holds it', async () => {
    const { room, store, told, listed } = openRoom()
    store.isHeld = true
    void room.enter('s1', member('1'))
    store.peer([user('7')])
    expect([told, listed()]).toEqual([[], []])
    store.release()
    await settled()
    expect([told.sort(), listed()]).toEqual([
      ['+1', '+7'],
      ['1', '7'],
    ])
  })
})

describe('our own users', () => {
  it('whom a peer took off are not shown leaving, and are said again', async () => {
    const { store, news, listed } = await roomWith(['1', '2'], ['7'])
    store.reap()
    await settled()
    expect([news(), listed(), store.ours]).toEqual([[], ['1', '2', '7'], ['1', '2']])
  })

  it('who are missing from the record are said again', async () => {
    const { room, store, news, listed } = await roomWith(['1', '2'])
    store.isMute = true
    store.reap()
    store.isMute = false
    room.refresh()
    await settled()
    expect([news(), listed(), store.ours]).toEqual([[], ['1', '2'], ['1', '2']])
  })

  it('who are on record through a peer only are said again too', async () => {
    const { room, store } = await roomWith(['1', '2'])
    store.peer([user('1')])
    store.reap()
    store.isHeld = true
    room.refresh()
    store.release()
    await settled()
    expect(store.ours).toEqual(['1', '2'])
  })

  it('whom the store has forgotten are said again, though nothing was heard of it', async () => {
    const { room, store, news } = await roomWith(['1', '2'], ['7'])
    store.flush()
    room.forgotten()
    await settled()
    expect([store.ours, news()]).toEqual([['1', '2'], []])
  })

  it('who went while the store was forgetting leave no ghost', async () => {
    const { room, store } = await roomWith(['1', '2'])
    store.isHeld = true
    void room.enter('3', member('3'))
    const call = store.next()
    room.forgotten()
    room.leave('3')
    call.answer()
    store.release()
    await settled()
    expect(store.ours).toEqual(['1', '2'])
  })

  it('who left while the store was forgetting: a room that nobody is in ends at once, and whoever comes sees nobody', async () => {
    const { room, store, emptied } = await roomWith(['1'])
    store.flush()
    store.isHeld = true
    room.leave('1')
    const refused = store.next()
    // The store refuses the step only after it has said that everything is forgotten.
    room.forgotten()
    refused.fail()
    store.release()
    await settled()
    expect([emptied(), store.ours, vi.getTimerCount()]).toEqual([1, [], 0])
  })

  it('who left while the store was away are said as soon as it listens again', async () => {
    const { room, store, emptied } = await roomWith(['1'])
    store.isAway = true
    room.leave('1')
    await settled()
    store.isAway = false
    store.flush()
    room.forgotten()
    await settled()
    expect([emptied(), store.ours, vi.getTimerCount()]).toEqual([1, [], 0])
  })

  it('who leave while others are still saying again who is there, and are there too, are not seen to leave', async () => {
    const { room, store, news, listed } = await roomWith(['1', '2'])
    store.peer([user('1')])
    store.flush()
    room.forgotten()
    await settled()
    room.leave('1')
    await settled()
    expect([store.ours, news()]).toEqual([['1', '2'], []])
    store.peer([user('1')])
    await wait(GRACE_MS)
    expect([store.ours, news(), listed()]).toEqual([['2'], [], ['1', '2']])
  })

  it('who leave for good at that time are taken off a little later, and the room ends with the last', async () => {
    const { room, store, news, emptied } = await roomWith(['1', '2', '3'])
    store.flush()
    room.forgotten()
    await settled()
    for (const id of ['1', '2']) room.leave(id)
    await wait(GRACE_MS / 3)
    expect([store.ours, news()]).toEqual([['3'], ['-1', '-2']])

    store.flush()
    room.forgotten()
    await settled()
    room.leave('3')
    // Something else is said meanwhile.
    store.reap()
    await settled()
    expect(emptied()).toBe(0)
    await wait(GRACE_MS / 3)
    expect([store.ours, emptied(), vi.getTimerCount()]).toEqual([[], 1, 0])
  })

  it('who come back at that time stay', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    store.flush()
    room.forgotten()
    await settled()
    room.leave('1')
    await wait(GRACE_MS / 6)
    void room.enter('1b', member('1'))
    await wait(GRACE_MS)
    expect([store.ours, news()]).toEqual([['1', '2'], []])
  })

  it('are said twice a second and not more when the store refuses them for another reason', async () => {
    const { room, store } = await roomWith(['1', '2'])
    store.isAway = true
    room.forgotten()
    await wait(10_000)
    expect(store.updates.length).toBeLessThan(25)
  })

  it('who come from elsewhere and go before the store was told are shown leaving, after the grace', async () => {
    const { room, store, news, listed } = await roomWith(['1'], ['7'])
    store.isHeld = true
    void room.enter('2', member('2'))
    const other = store.next()
    void room.enter('s7', member('7'))
    store.peer([], ['7'])
    room.leave('s7')
    other.answer()
    store.release()
    await settled()
    expect([news(), store.snapshot().members.map(({ id }) => id)]).toEqual([['+2'], ['1', '2']])
    await wait(2 * GRACE_MS + 100)
    expect([news(), listed()]).toEqual([['-7'], ['1', '2']])
  })

  it('who are missing and go before they could be said again are shown leaving, after the grace', async () => {
    const { room, store, news } = await roomWith(['1', '2'])
    store.flush()
    store.isHeld = true
    room.refresh()
    store.next().answer()
    await settled()
    store.next().fail()
    room.leave('1')
    store.isHeld = false
    await wait(RETRY_MS)
    expect([news(), store.ours]).toEqual([[], ['2']])
    await wait(GRACE_MS + 100)
    expect(news()).toEqual(['-1'])
  })

  it('whom the record still has, though they left, are taken off', async () => {
    const { room, store, listed } = await roomWith(['1', '2'])
    store.update({ channel: CHANNEL, joined: [user('9')], left: [], isLast: false })
    expect([listed(), store.ours]).toEqual([
      ['1', '2', '9'],
      ['1', '2', '9'],
    ])
    room.refresh()
    await settled()
    expect([listed(), store.ours]).toEqual([
      ['1', '2'],
      ['1', '2'],
    ])
  })
})

describe('somebody who is missing from the record', () => {
  it('is not shown leaving when the node says it again in time, nor joining', async () => {
    const { room, store, news, listed } = await roomWith(['1'], ['7', '8'])
    store.flush()
    room.refresh()
    room.forgotten()
    await settled()
    expect([news(), listed()]).toEqual([[], ['1', '7', '8']])
    await wait(GRACE_MS - 1000)
    store.peer([user('7'), user('8')])
    await wait(3 * GRACE_MS)
    expect([news(), listed(), store.ours]).toEqual([[], ['1', '7', '8'], ['1']])
  })

  it('is shown leaving once after the grace when nobody says it again', async () => {
    const { room, store, news, listed } = await roomWith(['1'], ['7', '8'])
    store.flush()
    room.refresh()
    room.forgotten()
    await wait(GRACE_MS - 1000)
    store.peer([user('8')])
    expect(news()).toEqual([])
    await wait(2000)
    expect([news(), listed()]).toEqual([['-7'], ['1', '8']])
    await wait(3 * GRACE_MS)
    expect(news()).toEqual([])
  })

  it('is shown leaving after the grace and not later, also when others were missing before', async () => {
    const { room, store, news } = await roomWith(['1'], ['7', '8'])
    const loses = async (id: string) => {
      store.isMute = true
      store.peer([], [id])
      store.isMute = false
      room.refresh()
      await settled()
    }
    await loses('7')
    await wait(0.6 * GRACE_MS)
    await loses('8')
    await wait(0.4 * GRACE_MS + 100)
    expect(news()).toEqual(['-7'])
    await wait(0.6 * GRACE_MS)
    expect(news()).toEqual(['-8'])
    const reads = store.reads
    await wait(10 * GRACE_MS)
    expect([news(), store.reads]).toEqual([[], reads])
  })

  it('is given the whole grace from the first time missing, also when others were missing before', async () => {
    const { room, store, news } = await roomWith(['1'], ['7', '8'])
    store.isMute = true
    store.peer([], ['7'])
    room.refresh()
    await wait(GRACE_MS - 1000)
    store.peer([], ['8'])
    room.refresh()
    await wait(2000)
    expect(news()).toEqual(['-7'])
    await wait(GRACE_MS - 2000)
    expect(news()).toEqual([])
    await wait(GRACE_MS + 3000)
    expect(news()).toEqual(['-8'])
  })

  it('and comes to this node meanwhile stays, and is shown leaving in the end', async () => {
    const { room, store, news } = await roomWith(['1'], ['7'])
    store.flush()
    room.refresh()
    void room.enter('7', member('7'))
    await wait(3 * GRACE_MS)
    expect(news()).toEqual([])
    room.leave('7')
    await settled()
    expect(news()).toEqual(['-7'])
  })

  it('is believed to be there while the store is away', async () => {
    const { room, store, news } = await roomWith(['1'], ['7'])
    store.isMute = true
    store.peer([], ['7'])
    room.refresh()
    await settled()
    store.isAway = true
    await wait(5 * GRACE_MS)
    expect(news()).toEqual([])
    store.isAway = false
    await wait(RETRY_MS)
    expect(news()).toEqual(['-7'])
  })

  it('and left for good by a change is not shown leaving a second time', async () => {
    const { room, store, news } = await roomWith(['1'], ['7', '8'])
    store.flush()
    room.refresh()
    await settled()
    store.peer([user('7')])
    await settled()
    store.peer([], ['7'])
    await settled()
    expect(news()).toEqual(['-7'])
    await wait(3 * GRACE_MS)
    expect(news()).toEqual(['-8'])
  })
})

describe('a record that begins anew', () => {
  it('is read, for its versions are others', async () => {
    const { room, store, news, listed } = await roomWith(['1'], ['7'])
    const before = store.snapshot().version
    store.flush()
    store.peer([user('7'), user('8')])
    await settled()
    expect(store.snapshot().version).toBeGreaterThan(before + 1)
    expect([listed(), news(), store.ours]).toEqual([['1', '7', '8'], ['+8'], ['1']])
    expect(room.size).toBe(1)
  })

  it('also when everybody leaves it and somebody comes again', async () => {
    const { store, news } = await roomWith(['1'], [])
    store.peer([user('7')])
    store.reap()
    store.peer([], ['7'])
    await settled()
    expect(news()).toEqual(['+7', '-7'])
    store.peer([user('8')])
    await settled()
    expect([news(), store.ours]).toEqual([['+8'], ['1']])
  })
})

describe('a room that nobody is in', () => {
  it('says so when the store knows, once, and keeps no timer', async () => {
    const { room, store, emptied } = await roomWith(['1', '2'], ['7'])
    store.isMute = true
    store.peer([], ['7'])
    store.isMute = false
    room.refresh()
    await settled()
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    room.leave('1')
    await settled()
    expect(emptied()).toBe(0)
    store.isHeld = true
    room.leave('2')
    await settled()
    expect(emptied()).toBe(0)
    store.release()
    await settled()
    expect([emptied(), vi.getTimerCount(), store.updates.at(-1)?.isLast]).toEqual([1, 0, true])
  })

  it('is not empty when somebody came while the store was told', async () => {
    const { room, store, emptied, listed } = await roomWith(['1'])
    store.isHeld = true
    room.leave('1')
    const left = store.next()
    const page = visitor(room.enter('s2', member('2')))
    left.answer()
    await settled()
    store.release()
    await settled()
    expect([emptied(), page.isIn, listed(), store.updates.at(-1)?.isLast]).toEqual([0, true, ['2'], false])
  })
})

describe('close', () => {
  it('ends everything: nothing more is asked, told or waited for', async () => {
    const { room, store, told } = await roomWith(['1'], ['7'])
    store.isHeld = true
    room.refresh()
    void room.enter('2', member('2'))
    const waiting = visitor(room.enter('3', member('3')))
    const [read, update] = [store.next(), store.next()]
    room.close()
    read.answer()
    update.fail()
    store.peer([user('9')])
    await wait(10 * GRACE_MS)
    expect([told, store.calls, vi.getTimerCount(), waiting.isIn]).toEqual([[], [], 0, true])
  })

  it('and what is done after it asks nothing', async () => {
    const { room, store, told } = await roomWith(['1'], ['7'])
    room.close()
    const { updates, reads } = store
    const before = [updates.length, reads]
    room.refresh()
    room.forgotten()
    room.leave('1')
    await wait(10 * GRACE_MS)
    expect([[updates.length, store.reads], told, vi.getTimerCount()]).toEqual([before, [], 0])
  })
})
