import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { Identities, type Identity, type IdentityQuestion } from '../../src/auth/identity.ts'

const DAY_MS = 86_400_000
const BEARER = { authorization: 'Bearer 12|abc' }

let now: number
let identities: Identities

beforeEach(() => {
  now = Date.UTC(2030, 0, 1)
  identities = new Identities({ secret: 'secret', now: () => now })
})

const resolve = (question: Partial<IdentityQuestion> = {}, by = identities) =>
  by.resolve({ headers: {}, mayStoreCookie: false, ...question })

const back = ({ socketId, key }: Identity, question: Partial<IdentityQuestion> = {}) =>
  resolve({ socketId, key, ...question })

const cookieOf = ({ setCookie }: Identity) => setCookie?.split(';')[0] ?? ''

describe('a socket id', () => {
  it('is new for everybody, in the form that Pusher’s libraries accept', () => {
    const ids = Array.from({ length: 500 }, () => resolve().socketId)
    expect(new Set(ids).size).toBe(500)
    for (const id of ids) expect(id).toMatch(/^[1-9]\d{0,9}\.[1-9]\d{0,9}$/)
  })

  it('is kept by who brings it back with its key, on any node with the same secret', () => {
    const first = resolve({ headers: BEARER })
    const node = new Identities({ secret: Buffer.from('secret'), now: () => now })
    const again = resolve({ ...first, headers: BEARER }, node)
    expect(again).toMatchObject({ socketId: first.socketId, kept: true, setCookie: null })
  })

  it('goes on being kept as long as its page comes back within a day', () => {
    let identity = resolve({ headers: BEARER })
    for (let n = 0; n < 5; n++) {
      now += DAY_MS - 1_000
      identity = back(identity, { headers: BEARER })
      expect(identity.kept).toBe(true)
    }
  })

  it.each<[string, (first: Identity) => Partial<IdentityQuestion>]>([
    ['without a key', ({ socketId }) => ({ socketId })],
    ['without the id', ({ key }) => ({ key })],
    ['with the key of another id', ({ socketId }) => ({ socketId, key: resolve({ headers: BEARER }).key })],
    ['with another token', (first) => ({ ...first, headers: { authorization: 'Bearer 13|def' } })],
    ['without its token', (first) => ({ ...first, headers: {} })],
    ['with a cookie instead of the token', (first) => ({ ...first, headers: { cookie: 'laravel_echo_sse=x' } })],
    [
      'with a longer expiry',
      ({ socketId, key }) => ({ socketId, key: key.replace(/^\d+/, (s) => `${Number(s) + 1}`) }),
    ],
    ['with a shortened key', ({ socketId, key }) => ({ socketId, key: key.slice(0, -1) })],
    ['with a lengthened key', ({ socketId, key }) => ({ socketId, key: `${key}A` })],
    ['with the key twice', ({ socketId, key }) => ({ socketId, key: `${key},${key}` })],
    ['with rubbish', () => ({ socketId: '__proto__', key: '\0' })],
  ])('is replaced, without an error, for a caller %s', (_, question) => {
    const first = resolve({ headers: BEARER })
    const other = resolve({ headers: BEARER, ...question(first) })
    expect(other.kept).toBe(false)
    expect(other.socketId).not.toBe(first.socketId)
  })

  it('is replaced when the key is a day old', () => {
    const first = resolve({ headers: BEARER })
    now += DAY_MS
    expect(back(first, { headers: BEARER }).kept).toBe(false)
  })

  it('is replaced by a gateway with another secret', () => {
    const stranger = new Identities({ secret: 'other', now: () => now })
    expect(resolve({ ...resolve(), headers: {} }, stranger).kept).toBe(false)
  })
})

describe('another secret', () => {
  const node = (secret: string) => new Identities({ secret, now: () => now })

  it('signs once it is adopted, and what the one before signed stays good', () => {
    const first = resolve()
    identities.adopt('other')
    expect(identities.secret).toBe('other')
    expect(back(first)).toMatchObject({ socketId: first.socketId, kept: true })
    const renewed = back(first)
    expect(resolve({ ...renewed, headers: {} }, node('other')).kept).toBe(true)
    expect(resolve({ ...renewed, headers: {} }, node('secret')).kept).toBe(false)
  })

  it('may be the same again, which pushes nothing out', () => {
    const first = resolve()
    for (const secret of ['other', 'other', 'secret', 'other', 'secret', 'other']) identities.adopt(secret)
    expect(back(first).kept).toBe(true)
  })

  it('ends the oldest at last', () => {
    const first = resolve()
    for (const secret of ['a', 'b']) identities.adopt(secret)
    expect(back(first).kept).toBe(true)
    identities.adopt('c')
    expect(back(first).kept).toBe(false)
  })

  it('does not lengthen the life of a key', () => {
    const first = resolve()
    identities.adopt('other')
    now += DAY_MS
    expect(back(first).kept).toBe(false)
  })
})

describe('the cookie', () => {
  it('is set where a browser keeps it and nothing else tells it apart, and the key is worth nothing without it', () => {
    const first = resolve({ mayStoreCookie: true })
    expect(first.setCookie).toMatch(/^laravel_echo_sse=[\w-]{24}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/)
    const headers = { cookie: `laravel_session=x; ${cookieOf(first)}` }
    expect(back(first, { headers, mayStoreCookie: true })).toMatchObject({
      socketId: first.socketId,
      kept: true,
      setCookie: null,
    })
    expect(back(first).kept).toBe(false)
    expect(back(first, { headers: { cookie: 'laravel_echo_sse=guess' } }).kept).toBe(false)
  })

  it('is not touched by Laravel’s own cookies, which change with every answer', () => {
    const first = resolve({ mayStoreCookie: true })
    const headers = { cookie: `laravel_session=other; ${cookieOf(first)}` }
    expect(back(first, { headers }).kept).toBe(true)
  })

  it('is Secure on https, and SameSite=None for pages of other sites', () => {
    const ends = (question: Partial<IdentityQuestion>) => resolve({ mayStoreCookie: true, ...question }).setCookie
    expect(ends({ encrypted: true })).toMatch(/; HttpOnly; SameSite=Lax; Secure$/)
    expect(ends({ crossSite: true, encrypted: true })).toMatch(/; HttpOnly; SameSite=None; Secure$/)
    expect(ends({ crossSite: true })).toMatch(/; HttpOnly; SameSite=None; Secure$/)
  })

  it('is not set beside Authorization, nor where the browser would not keep it', () => {
    expect(resolve({ headers: BEARER, mayStoreCookie: true }).setCookie).toBeNull()
    expect(resolve({ mayStoreCookie: false }).setCookie).toBeNull()
  })

  it('may be added later, with another socket id: the key from before proves nothing of what follows', () => {
    const first = resolve()
    const second = back(first, { mayStoreCookie: true })
    expect(second.kept).toBe(false)
    expect(second.socketId).not.toBe(first.socketId)
    expect(back(second, { headers: { cookie: cookieOf(second) } }).kept).toBe(true)
    expect(back(second).kept).toBe(false)
  })
})

describe('a page is proven', () => {
  const OURS = { headers: { cookie: 'laravel_echo_sse=mine' } }

  it('by a key that is bound to its token or its cookie', () => {
    const bearer = resolve({ headers: BEARER })
    expect(bearer.proven).toBe(false)
    expect(back(bearer, { headers: BEARER })).toMatchObject({ kept: true, proven: true })
    const cookie = resolve({ mayStoreCookie: true })
    expect(cookie.proven).toBe(false)
    expect(back(cookie, { headers: { cookie: cookieOf(cookie) } })).toMatchObject({ kept: true, proven: true })
  })

  it('not by a key alone: whoever read it from an address has it too', () => {
    const first = resolve()
    expect(back(first)).toMatchObject({ kept: true, proven: false })
    expect(back(first, { headers: { cookie: 'laravel_session=x' } })).toMatchObject({ kept: true, proven: false })
    // It is given a cookie and another socket id now, and is proven from the next time on.
    const second = back(first, { mayStoreCookie: true })
    expect(second).toMatchObject({ kept: false, proven: false })
    expect(back(second, { headers: { cookie: cookieOf(second) } }).proven).toBe(true)
  })

  it.each<[string, (first: Identity) => Partial<IdentityQuestion>]>([
    ['another token', ({ socketId, key }) => ({ socketId, key, headers: { authorization: 'Bearer 13|def' } })],
    ['another cookie', ({ socketId, key }) => ({ socketId, key, headers: { cookie: 'laravel_echo_sse=other' } })],
    [
      'the cookie and a token beside it',
      ({ socketId, key }) => ({ socketId, key, headers: { ...OURS.headers, ...BEARER } }),
    ],
    [
      'a forged key',
      ({ socketId, key }) => ({ ...OURS, socketId, key: key.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')) }),
    ],
    ['another socket id', ({ key }) => ({ ...OURS, key, socketId: '1.1' })],
    ['no key', ({ socketId }) => ({ ...OURS, socketId })],
    ['an empty key', ({ socketId }) => ({ ...OURS, socketId, key: '' })],
  ])('not with %s', (_case, question) => {
    const first = resolve(OURS)
    const { headers = {}, ...claim } = question(first)
    expect(resolve({ ...claim, headers })).toMatchObject({ kept: false, proven: false })
    expect(identities.proves({ ...claim, headers })).toBe(false)
  })
})

describe('a proof', () => {
  it('is the key with what it is bound to, for as long as the key is good', () => {
    const { socketId, key } = resolve({ headers: BEARER })
    expect(identities.proves({ socketId, key, headers: BEARER })).toBe(true)
    expect(identities.proves({ socketId, key, headers: {} })).toBe(false)
    now += DAY_MS - 1
    expect(identities.proves({ socketId, key, headers: BEARER })).toBe(true)
    now += 1
    expect(identities.proves({ socketId, key, headers: BEARER })).toBe(false)
  })

  it('of a page that has nothing to bind it to is the key alone', () => {
    const { socketId, key } = resolve()
    expect(identities.proves({ socketId, key, headers: {} })).toBe(true)
    expect(identities.proves({ socketId, key, headers: BEARER })).toBe(false)
  })

  it('is good on any node with the same secret, and after a change of secret', () => {
    const { socketId, key } = resolve()
    const node = new Identities({ secret: 'secret', now: () => now })
    expect(node.proves({ socketId, key, headers: {} })).toBe(true)
    node.adopt('other')
    expect(node.proves({ socketId, key, headers: {} })).toBe(true)
    expect(new Identities({ secret: 'other', now: () => now }).proves({ socketId, key, headers: {} })).toBe(false)
  })
})

it('no invented key keeps an identity, and nothing throws', () => {
  const text = fc.option(fc.string({ unit: 'binary' }), { nil: undefined })
  const key = fc.oneof(
    text,
    fc.tuple(fc.nat(), fc.string()).map((parts) => parts.join('.')),
  )
  const socketId = fc.oneof(text, fc.constant('1.1'))
  fc.assert(
    fc.property(socketId, key, text, text, fc.boolean(), (id, invented, authorization, cookie, mayStoreCookie) => {
      const headers = { authorization, cookie }
      const identity = identities.resolve({ socketId: id, key: invented, headers, mayStoreCookie })
      expect(identity.kept || identity.proven).toBe(false)
      expect(identities.proves({ socketId: id, key: invented, headers })).toBe(false)
      const cookies = identity.setCookie === null ? cookie : cookieOf(identity)
      expect(back(identity, { headers: { authorization, cookie: cookies } }).kept).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})
