import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Grant } from '../../src/auth/authorizer.ts'
import { Grants, type GrantsOptions } from '../../src/auth/grants.ts'
import type { Revocation } from '../../src/auth/revocation.ts'
import type { Visit } from '../../src/auth/visit.ts'
import { ScriptedGrantStore } from '../support/scripted-grant-store.ts'

const LINGER_MS = 5000
const GRANT_MS = 60_000
const ME = '8123.1'
const ORDERS = 'private-orders'
const ROOM = 'presence-room.1'
const yes: Grant = { allowed: true }
const as = (id: string): Grant => ({ allowed: true, member: { id, info: {} } })

let store: ScriptedGrantStore
let errors: unknown[]
let left: string[]

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  store = new ScriptedGrantStore()
  errors = []
  left = []
})
afterEach(() => {
  vi.useRealTimers()
})

function start(options: Partial<GrantsOptions> = {}): Grants {
  return new Grants({
    grantMs: GRANT_MS,
    store,
    onLeave: (channel, socketId) => left.push(`${socketId} ${channel}`),
    onError: (error) => errors.push(error),
    ...options,
  })
}

/** A stream that is granted all it wants. */
function join(grants: Grants, socketId: string, ...channels: string[]): Visit {
  const visit: Visit | null = grants.visit(socketId, new Set(channels), {
    onRevoked: () => {},
    onOver: () => visit?.ended(LINGER_MS),
  })
  if (visit === null) throw new Error('no guarded channel')
  for (const channel of channels) visit.granted(channel, channel.startsWith('presence') ? as('7') : yes)
  return visit
}

/** Time passes, and then the turn of the event loop that it ends in. */
async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms)
  await turn()
}

const revoke = (grants: Grants, named: Partial<Revocation>) =>
  grants.revoke({ user: null, channel: null, socket: null, ...named })

/** The answer, with the second look at other nodes. */
async function live(grants: Grants, socketId: string, channel: string): Promise<Grant | null> {
  const answer = grants.live(socketId, channel)
  for (const _ of [1, 2]) {
    await turn()
    vi.advanceTimersByTime(100)
  }
  return answer
}

const namesOf = async (grants: Grants, socketId = ME) => [...(await grants.continuing(socketId)).keys()]

describe('a page that comes back', () => {
  it('is known where it was, with all that it was granted, and nobody else is asked', async () => {
    const grants = start()
    const visit = grants.visit(ME, new Set([ROOM, 'private-encrypted-a']), { onRevoked: () => {}, onOver: () => {} })
    visit?.granted(ROOM, as('7'))
    visit?.granted('private-encrypted-a', { allowed: true, sharedSecret: 'secret' })
    visit?.ended(LINGER_MS)
    await pass(LINGER_MS)
    const known = await grants.continuing(ME)
    expect(known.get(ROOM)).toEqual({ grant: as('7'), isDue: false })
    expect(known.get('private-encrypted-a')?.grant.sharedSecret).toBe('secret')
    expect(store.questions).toBe(0)
  })

  it('to another node is known as far as its own told', async () => {
    const grants = start()
    store.knows(ME, [
      [ORDERS, null],
      [ROOM, '7'],
      ['__proto__', null],
    ])
    expect([...(await grants.continuing(ME))]).toEqual([
      [ORDERS, { grant: yes, isDue: false }],
      [ROOM, { grant: as('7'), isDue: false }],
      ['__proto__', { grant: yes, isDue: false }],
    ])
    store.knows(ME, [[ORDERS, null]], false)
    expect(await namesOf(grants)).toEqual([ORDERS])
  })

  it('is looked for at other nodes also while it asks for something here', async () => {
    const grants = start()
    store.knows(ME, [[ORDERS, null]])
    grants.visit(ME, new Set([ORDERS]), { onRevoked: () => {}, onOver: () => {} })
    expect(await namesOf(grants)).toEqual([ORDERS])
  })

  it('too late is unknown, though the page still counts as present', async () => {
    const grants = start({ grantMs: 2000 })
    join(grants, ME, ROOM).ended(LINGER_MS)
    store.knows(ME, [[ROOM, '7']])
    await pass(2000)
    expect(await namesOf(grants)).toEqual([])
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
  })

  it('is always unknown where Laravel is always to be asked', async () => {
    const grants = start({ grantMs: 0 })
    join(grants, ME, ROOM)
    store.knows('9.9', [[ROOM, '7']])
    expect(await namesOf(grants)).toEqual([])
    expect(await namesOf(grants, '9.9')).toEqual([])
    expect(store.questions).toBe(0)
    expect(await live(grants, '9.9', ROOM)).toEqual(as('7'))
  })

  it('is due where Laravel is asked from time to time: nobody knows when another node did', async () => {
    const grants = start({ recheckMs: 30_000 })
    join(grants, ME, ORDERS)
    store.knows('9.9', [[ROOM, '7']])
    expect((await grants.continuing(ME)).get(ORDERS)?.isDue).toBe(false)
    expect((await grants.continuing('9.9')).get(ROOM)).toEqual({ grant: as('7'), isDue: true })
  })

  it.each(['fails', 'hangs'] as const)('is unknown when the store %s, without a long wait', async (trouble) => {
    const grants = start()
    store.knows(ME, [[ROOM, '7']])
    store.behaves(trouble)
    const answers = Promise.all([namesOf(grants), grants.live(ME, ROOM)])
    await pass(1000)
    expect(await answers).toEqual([[], null])
    expect(errors).toHaveLength(trouble === 'fails' ? 2 : 0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('may be alone in the world', async () => {
    const grants = start({ store: null })
    join(grants, ME, ORDERS)
    expect(await namesOf(grants)).toEqual([ORDERS])
    expect(await namesOf(grants, '9.9')).toEqual([])
    expect(await live(grants, '9.9', ORDERS)).toBeNull()
    revoke(grants, { channel: ORDERS })
    grants.tellAgain()
    expect(await namesOf(grants)).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a live grant', () => {
  it('is one while the page counts as present, here', async () => {
    const grants = start()
    const visit = join(grants, ME, ROOM)
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
    expect(await live(grants, ME, ORDERS)).toBeNull()
    expect(await live(grants, '8123.10', ROOM)).toBeNull()
    visit.ended(LINGER_MS)
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
    await pass(LINGER_MS)
    expect(await live(grants, ME, ROOM)).toBeNull()
  })

  it('or elsewhere, but not what is only kept there', async () => {
    const grants = start()
    store.knows(ME, [
      [ORDERS, null],
      [ROOM, '7'],
    ])
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
    expect(await live(grants, ME, ORDERS)).toEqual(yes)
    expect(await live(grants, ME, 'private-x')).toBeNull()
    store.knows(ME, [[ROOM, '7']], false)
    expect(await live(grants, ME, ROOM)).toBeNull()
  })

  it('elsewhere may have been granted this very moment', async () => {
    const grants = start()
    const answer = grants.live(ME, ROOM)
    await turn()
    expect(store.questions).toBe(1)
    store.knows(ME, [[ROOM, '7']])
    vi.advanceTimersByTime(100)
    expect(await answer).toEqual(as('7'))
  })

  it('elsewhere counts although the page has left it here', async () => {
    const grants = start()
    join(grants, ME, ORDERS)
    store.knows(ME, [[ROOM, '7']])
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
  })
})

describe('the other nodes', () => {
  it('are told once of what is granted together', async () => {
    const grants = start()
    join(grants, ME, ORDERS, ROOM)
    join(grants, '9.9', ORDERS)
    expect(store.diary).toEqual([])
    await turn()
    expect(store.diary).toEqual([`write ${ME} ${ORDERS},${ROOM}`, `write 9.9 ${ORDERS}`])
  })

  it('are never told the secret of an encrypted channel', async () => {
    const grants = start()
    const visit = join(grants, ME, ORDERS)
    visit.granted('private-encrypted-a', { allowed: true, sharedSecret: 'secret' })
    await turn()
    expect(store.diary).toEqual([`write ${ME} ${ORDERS}`])
  })

  it('are told when a page has gone, and how long it is remembered', async () => {
    const grants = start()
    join(grants, ME, ORDERS, ROOM).ended(LINGER_MS)
    await pass(LINGER_MS - 1)
    expect(store.diary).toEqual([])
    await pass(1)
    expect(store.diary).toEqual([`release ${ME} ${GRANT_MS - LINGER_MS}`])
    await pass(GRANT_MS)
    expect(store.diary.at(-1)).toBe(`release ${ME} 0`)
    expect(store.diary).toHaveLength(2)
  })

  it('are told at once when a page leaves, or has nothing left', async () => {
    const grants = start()
    join(grants, ME, ORDERS)
    join(grants, '9.9', ROOM).ended(LINGER_MS)
    join(grants, '9.10', ROOM)
    await turn()
    store.diary.length = 0
    grants.leave(ME)
    grants.leave('9.9')
    grants.leave('nobody')
    revoke(grants, { channel: ROOM, socket: '9.10' })
    await turn()
    expect(store.diary.slice(1).sort()).toEqual([`release ${ME} 0`, 'release 9.10 0', 'release 9.9 0'])
  })

  it('are told what is left after a revocation, and for how long', async () => {
    const grants = start()
    const visit = join(grants, ME, ORDERS, ROOM)
    revoke(grants, { channel: ROOM })
    await turn()
    expect(store.diary.at(-1)).toBe(`write ${ME} ${ORDERS}`)
    visit.granted(ROOM, as('7'))
    visit.ended(LINGER_MS)
    await pass(50_000)
    revoke(grants, { channel: ROOM })
    await turn()
    expect(store.diary.at(-1)).toBe(`release ${ME} ${GRANT_MS - 50_000}`)
  })

  it('keep what another node has written while no stream of the page is here', async () => {
    const grants = start()
    join(grants, ME, ORDERS, ROOM).ended(LINGER_MS)
    await turn()
    store.diary.length = 0
    // The page is at another node by now; its record there says more than this node knows.
    revoke(grants, { channel: ROOM })
    await turn()
    expect(store.diary.filter((line) => !line.startsWith('revoke'))).toEqual([])
    await pass(LINGER_MS)
    expect(store.diary.at(-1)).toBe(`release ${ME} ${GRANT_MS - LINGER_MS}`)
  })

  it('are told everything again when it is worth nothing any more', async () => {
    const grants = start()
    join(grants, ME, ORDERS)
    join(grants, '9.9', ROOM).ended(0)
    await pass(1)
    store.diary.length = 0
    grants.tellAgain()
    await turn()
    expect(store.diary).toEqual([`write ${ME} ${ORDERS}`])
  })

  it('are told nothing again of who is between two streams, once they have seen him leave', async () => {
    const grants = start()
    join(grants, ME, ORDERS, ROOM).ended(LINGER_MS)
    join(grants, '9.9', ROOM)
    await turn()
    store.diary.length = 0
    grants.endLinger()
    grants.tellAgain()
    await turn()
    expect(left).toEqual([`${ME} ${ORDERS}`, `${ME} ${ROOM}`])
    expect(store.diary).toEqual([`release ${ME} ${GRANT_MS}`, `write 9.9 ${ROOM}`])
    // The page itself is still known when it comes back, as long as before.
    await pass(GRANT_MS - 1)
    expect((await namesOf(grants)).sort()).toEqual([ROOM, ORDERS])
    await pass(1)
    expect([await namesOf(grants), left.length]).toEqual([[], 2])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('are told later what could not be told, as it is by then', async () => {
    const grants = start()
    store.behaves('fails')
    const visit = join(grants, ME, ORDERS, ROOM)
    join(grants, '9.9', ORDERS)
    await turn()
    expect(errors).toHaveLength(2)
    visit.denied(ROOM, 0)
    await turn()
    store.diary.length = 0
    store.behaves('none')
    await pass(1000)
    expect(store.diary.sort()).toEqual([`write ${ME} ${ORDERS}`, `write 9.9 ${ORDERS}`])
    await pass(60_000)
    expect(store.diary).toHaveLength(2)
  })

  it('hear at last that a page has gone, though the store was away', async () => {
    const grants = start()
    const visit = join(grants, ME, ORDERS)
    await turn()
    store.behaves('fails')
    visit.ended(0)
    await pass(GRANT_MS)
    expect(grants.size).toBe(0)
    store.behaves('none')
    store.diary.length = 0
    await pass(1000)
    expect(store.diary).toEqual([`release ${ME} 0`])
  })

  it('are not asked about thousands while the store is away', async () => {
    const grants = start()
    store.behaves('fails')
    for (let page = 0; page < 1000; page += 1) join(grants, `1.${page}`, ORDERS)
    await turn()
    store.diary.length = 0
    await pass(10_000)
    expect(store.diary.length).toBeLessThanOrEqual(10)
    store.behaves('none')
    await pass(1000)
    expect(new Set(store.diary).size).toBe(1000)
  })
})

describe('a revocation', () => {
  it('counts what it took, of whoever is here', async () => {
    const grants = start()
    join(grants, ME, ORDERS, ROOM)
    join(grants, '9.9', ORDERS, ROOM)
    expect(revoke(grants, { socket: ME, channel: ORDERS })).toBe(1)
    expect(revoke(grants, { socket: 'nobody' })).toBe(0)
    expect(revoke(grants, { user: '7' })).toBe(3)
    expect(left.sort()).toEqual([`${ME} ${ROOM}`, `${ME} ${ORDERS}`, `9.9 ${ROOM}`, `9.9 ${ORDERS}`].sort())
  })

  it('is told to the store, and outlives every record that is older', () => {
    const grants = start()
    revoke(grants, { user: '7', channel: ROOM })
    expect(store.diary).toEqual([`revoke {"user":"7","channel":"${ROOM}","socket":null} 120000`])
  })

  it.each(['fails', 'hangs'] as const)('counts against records of other nodes while the store %s', async (trouble) => {
    const grants = start()
    store.behaves(trouble)
    revoke(grants, { user: '7' })
    await turn()
    store.behaves('none')
    store.knows(ME, [
      [ORDERS, null],
      [ROOM, '7'],
      ['presence-admins', '3'],
    ])
    store.knows('9.9', [[ORDERS, null]])
    // Known by any of its channels.
    expect(await namesOf(grants)).toEqual(['presence-admins'])
    expect(await live(grants, ME, ORDERS)).toBeNull()
    expect(await live(grants, ME, 'presence-admins')).toEqual(as('3'))
    expect(await namesOf(grants, '9.9')).toEqual([ORDERS])
    await pass(GRANT_MS + 60_001)
    expect(await namesOf(grants)).toEqual([ORDERS, ROOM, 'presence-admins'])
  })

  it('is the store’s matter once it knows: only the store can tell what is older', async () => {
    const grants = start()
    revoke(grants, { channel: ROOM })
    await turn()
    store.knows(ME, [[ROOM, '7']])
    expect(await live(grants, ME, ROOM)).toEqual(as('7'))
  })

  it('that comes while another node is asked is not missed', async () => {
    const grants = start()
    store.knows(ME, [[ROOM, '7']])
    const visit = grants.visit(ME, new Set([ROOM]), { onRevoked: () => {}, onOver: () => {} })
    const known = grants.continuing(ME)
    revoke(grants, { user: '7' })
    await turn()
    const { grant } = (await known).get(ROOM) ?? { grant: as('7') }
    expect(visit?.granted(ROOM, grant)).toBe(false)
  })
})

describe('a page with channels at another node too', () => {
  const passedOn: Revocation[] = []
  const startTelling = () => {
    passedOn.length = 0
    return start({ onRevokedElsewhere: (revocation) => passedOn.push(revocation) })
  }

  it.each<[string, Partial<Revocation>, Partial<Revocation>[]]>([
    ['of a user, who may be named here alone', { user: '7' }, [{ socket: ME }]],
    ['of a user on a channel', { user: '7', channel: ORDERS }, [{ socket: ME, channel: ORDERS }]],
    ['that sends a user away', { user: '7', terminate: true }, [{ socket: ME, terminate: true }]],
    ['of somebody else', { user: '8' }, []],
    ['of a socket, which all nodes know', { socket: ME }, []],
    ['of a channel', { channel: ROOM }, []],
  ])('is named by its socket to the others after a revocation %s', (_, named, expected) => {
    const grants = startTelling()
    join(grants, ME, ROOM)
    join(grants, '9.9', ORDERS)
    revoke(grants, named)
    expect(passedOn).toEqual(expected.map((one) => ({ user: null, channel: null, ...one })))
  })

  it('need not be named where there is no other node', () => {
    passedOn.length = 0
    const grants = start({ store: null, onRevokedElsewhere: (revocation) => passedOn.push(revocation) })
    join(grants, ME, ROOM)
    revoke(grants, { user: '7' })
    expect(passedOn).toEqual([])
  })
})

describe('a node that has heard nothing for a while', () => {
  const ban = { user: '7', channel: ROOM, socket: null }

  it('takes away what others have heard be revoked, and says nothing of it to them', async () => {
    const grants = start()
    const visit = join(grants, ME, ORDERS, ROOM)
    join(grants, '9.9', ORDERS)
    store.past = [
      { revocation: ban, agoMs: 3000 },
      { revocation: { ...ban, user: '8' }, agoMs: 10 },
    ]
    await grants.refresh()
    expect(left).toEqual([`${ME} ${ROOM}`])
    expect(visit.grant(ROOM)).toBeUndefined()
    expect(store.diary.filter((line) => line.startsWith('revoke'))).toEqual([])
  })

  it('ends the streams of who was sent away meanwhile', async () => {
    const grants = start()
    const goodbyes: string[] = []
    const hooks = (name: string) => ({
      onRevoked: () => {},
      onOver: (reason: string) => goodbyes.push(`${name} ${reason}`),
    })
    grants.visit(ME, new Set([ROOM]), hooks('first'))?.granted(ROOM, as('7'))
    grants.visit(ME, new Set([ROOM]), hooks('second'))
    grants.visit('9.9', new Set([ROOM]), hooks('other'))?.granted(ROOM, as('8'))
    store.past = [{ revocation: { ...ban, terminate: true }, agoMs: 3000 }]
    await grants.refresh()
    expect(goodbyes).toEqual(['first terminated', 'second terminated'])
    expect(left).toEqual([`${ME} ${ROOM}`])
  })

  it('does not take again what was granted after it had heard of it', async () => {
    const grants = start()
    grants.revoke(ban)
    await pass(5000)
    join(grants, ME, ROOM)
    // Another node was a little later, or a little earlier.
    for (const agoMs of [4000, 5000, 6000]) {
      store.past = [{ revocation: ban, agoMs }]
      await grants.refresh()
    }
    expect(left).toEqual([])
    // This is a second one.
    store.past = [{ revocation: ban, agoMs: 1000 }]
    await grants.refresh()
    expect(left).toEqual([`${ME} ${ROOM}`])
    join(grants, ME, ROOM)
    await pass(1000)
    store.past = [{ revocation: ban, agoMs: 2000 }]
    await grants.refresh()
    expect(left).toHaveLength(1)
  })

  it('asks until the store answers, and no longer than it runs', async () => {
    const grants = start()
    join(grants, ME, ROOM)
    await turn()
    store.past = [{ revocation: ban, agoMs: 3000 }]
    store.behaves('fails')
    await grants.refresh()
    await grants.refresh()
    await pass(1000)
    expect([left, vi.getTimerCount(), errors.length]).toEqual([[], 1, 3])
    store.behaves('none')
    await pass(1000)
    expect([left, vi.getTimerCount()]).toEqual([[`${ME} ${ROOM}`], 0])
    store.behaves('fails')
    await grants.refresh()
    grants.stop()
    await start({ store: null }).refresh()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('when everybody is gone', () => {
  it('nothing is left of them', async () => {
    const grants = start()
    const pages = comeAndGo(grants, 99)
    await turn()
    for (const [index, socketId] of pages.entries()) {
      if (index % 3 === 0) grants.leave(socketId)
      if (index % 3 === 1) revoke(grants, { socket: socketId })
    }
    expect(grants.size).toBe(33)
    await pass(LINGER_MS)
    expect(grants.size).toBe(33)
    await pass(GRANT_MS - LINGER_MS)
    expectNothingLeft(grants, pages)
  })

  it('nothing is left of ten thousand', { timeout: 20_000 }, async () => {
    const grants = start()
    const pages = comeAndGo(grants, 10_000)
    await turn()
    for (const socketId of pages.slice(0, 5000)) grants.leave(socketId)
    expect(grants.size).toBe(5000)
    expect(revoke(grants, { channel: ORDERS })).toBe(5000)
    expect(revoke(grants, { channel: '__proto__' })).toBe(5000)
    await turn()
    expectNothingLeft(grants, pages)
  })

  /** Pages that change their channels and then are away. */
  function comeAndGo(grants: Grants, count: number): string[] {
    return Array.from({ length: count }, (_, page) => {
      const socketId = `${page}.1`
      const first = join(grants, socketId, ORDERS, `private-own.${page}`)
      const second = join(grants, socketId, ORDERS, '__proto__')
      first.ended(LINGER_MS)
      second.ended(LINGER_MS)
      return socketId
    })
  }

  function expectNothingLeft(grants: Grants, pages: readonly string[]): void {
    expect([grants.size, vi.getTimerCount(), left.length]).toEqual([0, 0, 3 * pages.length])
    // The last word on each record is that it is to be forgotten.
    const last = new Map(store.diary.map((line) => [line.split(' ')[1], line]))
    expect(pages.filter((socketId) => last.get(socketId) !== `release ${socketId} 0`)).toEqual([])
  }

  it('a page that never asked for a guarded channel was never known', () => {
    const grants = start()
    expect(grants.visit(ME, new Set(), { onRevoked: () => {}, onOver: () => {} })).toBeNull()
    expect(grants.size).toBe(0)
  })

  it('a stop ends every timer, tells what is untold, and says nothing of pages that are on their way', async () => {
    const grants = start()
    const visit = join(grants, ME, ROOM)
    join(grants, '9.9', ORDERS).ended(LINGER_MS)
    visit.ended(0)
    store.behaves('fails')
    await pass(1)
    join(grants, '9.10', ORDERS)
    store.behaves('none')
    store.diary.length = 0
    grants.stop()
    expect(store.diary).toEqual([`write 9.10 ${ORDERS}`])
    await pass(2 * GRANT_MS)
    expect(store.diary).toHaveLength(1)
    expect(left).toEqual([`${ME} ${ROOM}`])
    expect([grants.size, vi.getTimerCount()]).toEqual([0, 0])
  })
})
