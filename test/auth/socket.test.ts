import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Grant } from '../../src/auth/authorizer.ts'
import type { Revocation } from '../../src/auth/revocation.ts'
import { Socket, type SocketOptions } from '../../src/auth/socket.ts'
import type { Visit } from '../../src/auth/visit.ts'

const LINGER_MS = 5000
const GRANT_MS = 60_000
const ORDERS = 'private-orders'
const ROOM = 'presence-room.1'
const yes: Grant = { allowed: true }
const as = (id: string): Grant => ({ allowed: true, member: { id, info: {} } })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A socket with a diary of what it has told. */
class Page {
  readonly socket: Socket
  readonly left: string[] = []
  readonly revoked: string[] = []
  changes = 0
  isForgotten = false
  /** Streams that were told to end. */
  goodbyes = 0

  constructor(options: Partial<SocketOptions> = {}) {
    this.socket = new Socket('8123.1', {
      grantMs: GRANT_MS,
      recheckMs: 0,
      now: Date.now,
      onLeave: (channel) => this.left.push(channel),
      onChange: () => {
        this.changes += 1
      },
      onForgotten: () => {
        this.isForgotten = true
      },
      ...options,
    })
  }

  /** A stream begins, undecided. */
  come(...channels: string[]): Visit {
    const visit: Visit = this.socket.visit(new Set(channels), {
      onRevoked: (channel) => this.revoked.push(channel),
      onOver: () => {
        this.goodbyes += 1
        visit.ended(LINGER_MS)
      },
    })
    return visit
  }

  /** A stream that is granted all it wants. */
  join(...channels: string[]): Visit {
    const visit = this.come(...channels)
    for (const channel of channels) visit.granted(channel, channel.startsWith('presence') ? as('7') : yes)
    return visit
  }

  get live(): string[] {
    return [...this.socket.record().keys()]
  }

  get known(): string[] {
    return [...this.socket.known().keys()]
  }

  revoke(named: Partial<Revocation>): number {
    return this.socket.revoke({ user: null, channel: null, socket: null, ...named })
  }
}

const pass = (ms: number) => vi.advanceTimersByTime(ms)

describe('a page', () => {
  it('is on a channel once it is granted, not while it is asked about', () => {
    const page = new Page()
    const visit = page.come(ORDERS, ROOM)
    expect(page.live).toEqual([])
    visit.granted(ROOM, as('7'))
    expect(page.socket.live(ROOM)?.member?.id).toBe('7')
    expect(page.socket.live(ORDERS)).toBeUndefined()
  })

  it('lingers after its last stream, is remembered until its time, and then forgotten', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    pass(LINGER_MS - 1)
    expect([page.left, page.live, page.known]).toEqual([[], [ROOM], [ROOM]])
    pass(1)
    expect([page.left, page.live, page.known]).toEqual([[ROOM], [], [ROOM]])
    expect(page.socket.keepMs).toBe(GRANT_MS - LINGER_MS)
    pass(GRANT_MS - LINGER_MS - 1)
    expect(page.isForgotten).toBe(false)
    pass(1)
    expect([page.isForgotten, page.known, page.left]).toEqual([true, [], [ROOM]])
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['back in time', LINGER_MS - 1, [], [ROOM]],
    ['back later, and has left in between', LINGER_MS, [ROOM], []],
  ])('is %s', (_case, awayMs, left, live) => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    pass(awayMs)
    const visit = page.come(ROOM)
    // However long Laravel takes.
    pass(10 * LINGER_MS)
    expect([page.left, page.live]).toEqual([left, live])
    visit.granted(ROOM, as('7'))
    expect([page.left, page.live]).toEqual([left, [ROOM]])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('counts from its last stream, not from its first', () => {
    const page = new Page()
    for (let times = 0; times < 3; times += 1) {
      page.join(ROOM).ended(LINGER_MS)
      pass(LINGER_MS - 1)
    }
    expect(page.left).toEqual([])
    pass(1)
    expect(page.left).toEqual([ROOM])
  })

  it('that polls is there from one poll to the next', () => {
    const page = new Page()
    const waitMs = 25_000
    for (let polls = 0; polls < 5; polls += 1) {
      page.join(ROOM).ended(waitMs + LINGER_MS)
      pass(waitMs + LINGER_MS - 1)
    }
    expect(page.left).toEqual([])
    pass(1)
    expect(page.left).toEqual([ROOM])
  })

  it('does not leave between a stream and its first poll, nor the other way round', () => {
    const page = new Page()
    const stream = page.join(ROOM)
    const poll = page.join(ROOM)
    poll.ended(30_000)
    stream.ended(LINGER_MS)
    pass(LINGER_MS - 1)
    page.join(ROOM).ended(30_000)
    pass(29_999)
    const back = page.join(ROOM)
    pass(GRANT_MS)
    expect(page.left).toEqual([])
    back.ended(LINGER_MS)
    pass(LINGER_MS)
    expect(page.left).toEqual([ROOM])
  })

  it('is remembered as long as it stays away undecided, and no longer', () => {
    const page = new Page()
    page.join(ORDERS).ended(LINGER_MS)
    pass(40_000)
    page.come(ORDERS).ended(LINGER_MS)
    expect(page.known).toEqual([ORDERS])
    pass(19_999)
    expect(page.known).toEqual([ORDERS])
    pass(1)
    expect(page.known).toEqual([])
    expect(page.isForgotten).toBe(true)
  })

  it('has streams that end once, whoever says so', () => {
    const page = new Page()
    const [first, second] = [page.join(ROOM), page.join(ROOM)]
    first.ended(LINGER_MS)
    first.ended(LINGER_MS)
    expect([page.live, page.socket.isOpen]).toEqual([[ROOM], true])
    second.ended(0)
    pass(0)
    expect([page.left, page.socket.isOpen]).toEqual([[ROOM], false])
  })
})

describe('make before break', () => {
  it('keeps a channel that both streams have, whichever ends first', () => {
    for (const order of [0, 1]) {
      const page = new Page()
      const streams = [page.join(ROOM), page.join(ROOM)]
      streams[order]?.ended(LINGER_MS)
      pass(10 * GRANT_MS)
      expect([page.left, page.live]).toEqual([[], [ROOM]])
    }
  })

  it('keeps a channel that the new stream asked for before the old one had its answer', () => {
    const page = new Page()
    const old = page.come(ROOM)
    const next = page.come(ROOM)
    old.granted(ROOM, as('7'))
    old.ended(LINGER_MS)
    expect([page.left, page.live]).toEqual([[], [ROOM]])
    next.granted(ROOM, as('7'))
    pass(10 * GRANT_MS)
    expect([page.left, page.live]).toEqual([[], [ROOM]])
  })

  it('leaves a channel that the new stream is refused, though it asked before the old one had its answer', () => {
    const page = new Page()
    const old = page.come(ROOM)
    const next = page.come(ROOM)
    old.granted(ROOM, as('7'))
    old.ended(LINGER_MS)
    next.denied(ROOM, 0)
    expect([page.left, page.live]).toEqual([[ROOM], []])
  })

  it('leaves at once what the new stream goes on without: when the old one ends', () => {
    const page = new Page()
    const old = page.join(ROOM, ORDERS)
    const next = page.join(ORDERS, 'private-new')
    expect(page.left).toEqual([])
    old.ended(LINGER_MS)
    expect(page.left).toEqual([ROOM])
    expect(page.live).toEqual([ORDERS, 'private-new'])
    expect(page.known).toEqual([ORDERS, 'private-new'])
    next.ended(LINGER_MS)
    pass(LINGER_MS)
    expect(page.left).toEqual([ROOM, ORDERS, 'private-new'])
  })

  it('leaves at once what the new stream goes on without: when the old one ended before', () => {
    const page = new Page()
    page.join(ROOM, ORDERS).ended(LINGER_MS)
    page.come(ORDERS)
    expect(page.left).toEqual([ROOM])
    expect([page.live, page.known]).toEqual([[ORDERS], [ORDERS]])
  })

  it('forgets what it only remembered and the new stream goes on without', () => {
    const page = new Page()
    page.join(ROOM, ORDERS).ended(LINGER_MS)
    pass(LINGER_MS)
    page.come(ORDERS)
    expect([page.known, page.left]).toEqual([[ORDERS], [ROOM, ORDERS]])
  })

  it('leaves everything with a stream without guarded channels', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    const empty = page.come()
    expect([page.left, page.isForgotten]).toEqual([[ROOM], false])
    empty.ended(LINGER_MS)
    expect(page.isForgotten).toBe(true)
  })
})

describe('a time to be remembered', () => {
  it('of nothing ends with the linger time', () => {
    const page = new Page({ grantMs: 0 })
    const visit = page.join(ROOM)
    expect(page.known).toEqual([])
    visit.ended(LINGER_MS)
    pass(LINGER_MS - 1)
    expect(page.live).toEqual([ROOM])
    pass(1)
    expect([page.left, page.isForgotten]).toEqual([[ROOM], true])
  })

  it('that is shorter than the linger time ends in it: the page is there, and is asked about', () => {
    const page = new Page({ grantMs: 2000 })
    page.join(ROOM).ended(LINGER_MS)
    pass(1999)
    expect(page.known).toEqual([ROOM])
    pass(1)
    expect([page.known, page.live]).toEqual([[], [ROOM]])
    // Asking again does not make it known.
    const visit = page.come(ROOM)
    page.come(ROOM)
    expect(page.known).toEqual([])
    visit.granted(ROOM, as('7'))
    expect(page.known).toEqual([ROOM])
    expect(page.left).toEqual([])
  })

  it('begins at once where nobody lingers', () => {
    const page = new Page()
    page.join(ROOM).ended(0)
    pass(0)
    expect([page.left, page.known]).toEqual([[ROOM], [ROOM]])
    pass(GRANT_MS)
    expect(page.isForgotten).toBe(true)
  })

  it('and no time to linger: gone at once', () => {
    const page = new Page({ grantMs: 0 })
    page.join(ROOM).ended(0)
    pass(0)
    expect([page.left, page.isForgotten]).toEqual([[ROOM], true])
  })
})

describe('a refusal', () => {
  it('that is final ends what was granted before, at once', () => {
    const page = new Page()
    page.join(ROOM, ORDERS).ended(LINGER_MS)
    const visit = page.come(ROOM, ORDERS)
    visit.denied(ROOM, 0)
    expect([page.left, page.live, page.known]).toEqual([[ROOM], [ORDERS], [ORDERS]])
    visit.granted(ORDERS, yes)
    expect(page.live).toEqual([ORDERS])
  })

  it('for now ends it when it lasts longer than the linger time', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    pass(1000)
    const visit = page.come(ROOM)
    visit.denied(ROOM, LINGER_MS)
    pass(LINGER_MS - 1)
    expect(page.live).toEqual([ROOM])
    visit.ended(LINGER_MS)
    pass(1)
    expect([page.left, page.live, page.known]).toEqual([[ROOM], [], [ROOM]])
    // From the end of the stream that had it, not from the refusal.
    pass(GRANT_MS - LINGER_MS - 1000)
    expect(page.isForgotten).toBe(true)
  })

  it('for now is made good by the next stream in time', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    page.come(ROOM).denied(ROOM, LINGER_MS)
    pass(LINGER_MS - 1)
    page.join(ROOM)
    pass(GRANT_MS)
    expect(page.left).toEqual([])
  })

  it('of one stream takes nothing from another', () => {
    const page = new Page()
    const first = page.join(ROOM)
    const second = page.come(ROOM)
    second.denied(ROOM, 0)
    expect(page.live).toEqual([ROOM])
    first.denied(ROOM, 0)
    expect(page.left).toEqual([ROOM])
  })

  it('of what was never granted leaves nothing', () => {
    const page = new Page()
    const visit = page.come(ROOM)
    visit.denied(ROOM, LINGER_MS)
    visit.denied('private-never-asked', 0)
    visit.ended(LINGER_MS)
    expect([page.left, page.isForgotten, vi.getTimerCount()]).toEqual([[], true, 0])
  })
})

describe('Laravel’s word', () => {
  const due = (page: Page) => page.socket.known().get(ORDERS)?.isDue

  it('grows old also while the page only continues', () => {
    const page = new Page({ recheckMs: 30_000 })
    const word: Grant = { allowed: true }
    page.come(ORDERS).granted(ORDERS, word)
    for (let polls = 0; polls < 3; polls += 1) {
      pass(9_999)
      page.come(ORDERS).granted(ORDERS, word)
      expect(due(page)).toBe(false)
    }
    pass(3)
    expect(due(page)).toBe(true)
  })

  it('is new when it is said again', () => {
    const page = new Page({ recheckMs: 30_000 })
    const visit = page.join(ORDERS)
    pass(29_999)
    visit.confirmed(ORDERS)
    visit.confirmed('private-of-others')
    pass(29_999)
    expect(due(page)).toBe(false)
    pass(1)
    expect(due(page)).toBe(true)
    page.come(ORDERS).granted(ORDERS, { allowed: true })
    expect(due(page)).toBe(false)
  })

  it('does not grow old unless it is asked for', () => {
    const page = new Page()
    page.join(ORDERS)
    pass(10 * GRANT_MS)
    expect(due(page)).toBe(false)
  })
})

describe('a revocation', () => {
  it.each<[string, Partial<Revocation>, string[]]>([
    ['the user', { user: '7' }, [ORDERS, ROOM]],
    ['the channel', { channel: ROOM }, [ROOM]],
    ['the socket', { socket: '8123.1' }, [ORDERS, ROOM]],
    ['the user on the channel', { user: '7', channel: ORDERS }, [ORDERS]],
    ['all three', { user: '7', channel: ROOM, socket: '8123.1' }, [ROOM]],
    ['another user', { user: '8' }, []],
    ['another channel', { channel: 'presence-room.2' }, []],
    ['another socket', { socket: '8123.10' }, []],
    ['the user on another channel', { user: '7', channel: 'private-x' }, []],
    ['another user on the channel', { user: '07', channel: ROOM }, []],
  ])('of %s takes what fits, at once and once', (_case, named, taken) => {
    const page = new Page()
    const visit = page.join(ORDERS, ROOM)
    expect(page.revoke(named)).toBe(taken.length)
    expect(page.revoked).toEqual(taken)
    expect(page.left).toEqual(taken)
    expect(page.live).toEqual([ORDERS, ROOM].filter((name) => !taken.includes(name)))
    expect(page.revoke(named)).toBe(0)
    visit.ended(LINGER_MS)
    pass(GRANT_MS)
    expect([page.isForgotten, vi.getTimerCount()]).toEqual([true, 0])
  })

  it('of a user finds nobody where Laravel has named nobody', () => {
    const page = new Page()
    page.join(ORDERS, 'private-other')
    expect(page.revoke({ user: '7' })).toBe(0)
  })

  it('of a user takes of the channels with names only those of the user', () => {
    const page = new Page()
    const visit = page.come(ORDERS, ROOM, 'presence-admins')
    visit.granted(ORDERS, yes)
    visit.granted(ROOM, as('7'))
    visit.granted('presence-admins', as('3'))
    page.revoke({ user: '3' })
    expect(page.revoked).toEqual([ORDERS, 'presence-admins'])
    expect(page.live).toEqual([ROOM])
  })

  it('reaches every stream that has the channel', () => {
    const page = new Page()
    page.join(ORDERS)
    page.join(ORDERS)
    page.come('private-other')
    page.revoke({ channel: ORDERS })
    expect(page.revoked).toEqual([ORDERS, ORDERS])
  })

  it('reaches what lingers, and what is only remembered', () => {
    for (const awayMs of [0, LINGER_MS]) {
      const page = new Page()
      page.join(ROOM, ORDERS).ended(LINGER_MS)
      pass(awayMs)
      expect(page.revoke({ channel: ROOM })).toBe(1)
      expect([page.known, page.isForgotten]).toEqual([[ORDERS], false])
      expect(page.revoke({ user: '7' })).toBe(0)
      expect(page.revoke({ socket: '8123.1' })).toBe(1)
      expect([page.left.sort(), page.isForgotten]).toEqual([[ROOM, ORDERS], true])
      expect(vi.getTimerCount()).toBe(0)
    }
  })

  it('does not lengthen the time for what is left', () => {
    const page = new Page()
    page.join(ROOM, ORDERS).ended(LINGER_MS)
    pass(50_000)
    page.revoke({ channel: ROOM })
    expect(page.socket.keepMs).toBe(GRANT_MS - 50_000)
  })

  it.each<[string, Partial<Revocation>, boolean]>([
    ['of the channel', { channel: ROOM }, true],
    ['of the socket', { socket: '8123.1' }, true],
    ['of the user that the answer names', { user: '7' }, true],
    ['of another user', { user: '8' }, false],
    ['of another channel', { channel: ORDERS }, false],
  ])('%s overtakes an answer that is on its way: %o', (_case, named, isOvertaken) => {
    const page = new Page()
    const visit = page.come(ROOM)
    page.revoke(named)
    expect(visit.granted(ROOM, as('7'))).toBe(!isOvertaken)
    expect(page.live).toEqual(isOvertaken ? [] : [ROOM])
    // Asked after it, Laravel knows.
    visit.asks(ROOM)
    expect(visit.granted(ROOM, as('7'))).toBe(true)
    expect(page.live).toEqual([ROOM])
  })

  it('of a user overtakes the answer for a channel without names, as far as the user was known', () => {
    for (const isKnown of [true, false]) {
      const page = new Page()
      const visit = page.come(ROOM, ORDERS)
      if (isKnown) visit.granted(ROOM, as('7'))
      page.revoke({ user: '7' })
      expect(visit.granted(ORDERS, yes)).toBe(!isKnown)
    }
  })

  it('during a claim takes what was granted before, and overtakes the answer', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    const visit = page.come(ROOM)
    page.revoke({ user: '7' })
    expect([page.revoked, page.left]).toEqual([[ROOM], [ROOM]])
    expect(visit.granted(ROOM, as('7'))).toBe(false)
  })

  it('is no word about what is asked for after it', () => {
    const page = new Page()
    const first = page.join(ROOM)
    page.revoke({ user: '7' })
    expect(first.grant(ROOM)).toBeUndefined()
    expect(page.join(ROOM).grant(ROOM)).toEqual(as('7'))
  })
})

describe('a revocation that terminates', () => {
  it('ends all streams of who loses something, and lets nothing linger; the page hears of no channel', () => {
    const page = new Page()
    page.join(ROOM, ORDERS)
    page.join(ROOM)
    page.come('private-undecided')
    expect(page.revoke({ user: '7', terminate: true })).toBe(2)
    expect([page.goodbyes, page.revoked, page.left.toSorted(), page.live]).toEqual([
      3,
      [],
      [ROOM, ORDERS].toSorted(),
      [],
    ])
    expect([page.isForgotten, vi.getTimerCount()]).toEqual([true, 0])
    expect(page.revoke({ user: '7', terminate: true })).toBe(0)
    expect(page.goodbyes).toBe(3)
  })

  it('takes what is kept for a page that is away', () => {
    const page = new Page()
    page.join(ROOM).ended(30_000)
    expect(page.revoke({ user: '7', terminate: true })).toBe(1)
    expect([page.goodbyes, page.left, page.isForgotten, vi.getTimerCount()]).toEqual([0, [ROOM], true, 0])
  })

  it('ends nobody else', () => {
    const page = new Page()
    page.join(ROOM, ORDERS)
    expect(page.revoke({ user: '8', terminate: true })).toBe(0)
    expect([page.goodbyes, page.live]).toEqual([0, [ROOM, ORDERS]])
  })
})

describe('leaving', () => {
  it('ends all its streams, and everything with them', () => {
    const page = new Page()
    page.join(ROOM)
    page.join(ROOM, ORDERS)
    page.come('private-undecided')
    page.socket.leave()
    expect([page.left, page.goodbyes, page.isForgotten]).toEqual([[ROOM, ORDERS], 3, true])
    page.socket.leave()
    expect([page.left, page.goodbyes, vi.getTimerCount()]).toEqual([[ROOM, ORDERS], 3, 0])
  })

  it('between two polls needs no stream', () => {
    const page = new Page()
    page.join(ROOM).ended(30_000)
    page.socket.leave()
    expect([page.left, page.goodbyes, page.isForgotten, vi.getTimerCount()]).toEqual([[ROOM], 0, true, 0])
  })

  it('of a page that is only remembered shows nobody leaving twice', () => {
    const page = new Page()
    page.join(ROOM).ended(LINGER_MS)
    pass(LINGER_MS)
    page.socket.leave()
    expect([page.left, page.isForgotten]).toEqual([[ROOM], true])
  })
})

describe('what other nodes are told', () => {
  it('is what is live, without what is for its page alone', () => {
    const page = new Page()
    const visit = page.come('private-encrypted-a', '__proto__', ROOM, ORDERS)
    visit.granted('private-encrypted-a', { allowed: true, sharedSecret: 'secret' })
    visit.granted('__proto__', as('__proto__'))
    visit.granted(ROOM, as('7'))
    expect([...page.socket.record()]).toEqual([
      ['__proto__', { id: '__proto__', info: {} }],
      [ROOM, { id: '7', info: {} }],
    ])
    expect(page.socket.live('private-encrypted-a')?.sharedSecret).toBe('secret')
    expect(page.socket.live('constructor')).toBeUndefined()
  })

  it('is another with every grant, every leaving and every end', () => {
    const page = new Page()
    const visit = page.join(ROOM)
    expect(page.changes).toBe(1)
    visit.ended(LINGER_MS)
    pass(LINGER_MS)
    expect(page.changes).toBe(2)
    pass(GRANT_MS)
    expect(page.changes).toBe(3)
  })
})

describe('a list of members', () => {
  it('is news until the page was told that state of it', () => {
    const page = new Page()
    const poll = page.join(ROOM)
    expect(poll.sees(ROOM, 1)).toBe(true)
    expect(poll.sees(ROOM, 1)).toBe(false)
    poll.ended(30_000)
    const next = page.join(ROOM)
    expect(next.sees(ROOM, 1)).toBe(false)
    expect(next.sees(ROOM, 2)).toBe(true)
    expect(next.sees('presence-of-others', 2)).toBe(false)
  })
})
