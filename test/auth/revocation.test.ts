import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GrantedChannels } from '../../src/auth/grant-store.ts'
import {
  parseRevocation,
  type Revocation,
  RevocationLog,
  readRevocation,
  revokedChannels,
  withoutRevoked,
} from '../../src/auth/revocation.ts'

const SOCKET = '8123.1'
const all = (named: Partial<Revocation>): Revocation => ({ user: null, channel: null, socket: null, ...named })
const member = (id: string) => ({ id, info: {} })

describe('the text of a revocation', () => {
  it.each<[string, Partial<Revocation>]>([
    ['{"user":"7"}', { user: '7' }],
    ['{"user":7}', { user: '7' }],
    ['{"user":0}', { user: '0' }],
    ['{"user":-7}', { user: '-7' }],
    ['{"user": 9007199254740993 , "channel": null}', { user: '9007199254740993' }],
    ['{"user":"9007199254740993"}', { user: '9007199254740993' }],
    ['{"user":1,"user":9007199254740993}', { user: '9007199254740993' }],
    ['{"channel":"private-orders"}', { channel: 'private-orders' }],
    ['{"channel":"__proto__"}', { channel: '__proto__' }],
    ['{"socket":"8123.1"}', { socket: '8123.1' }],
    ['{"user":"7","terminate":true}', { user: '7', terminate: true }],
    ['{"user":"7","terminate":false}', { user: '7' }],
    ['{"socket":"8123.1","user":"7","channel":"presence-a"}', { user: '7', channel: 'presence-a', socket: '8123.1' }],
  ])('%s is read', (text, named) => {
    expect(parseRevocation(text)).toEqual(all(named))
  })

  it.each([
    '',
    'null',
    '7',
    '"7"',
    '[]',
    '[{"user":"7"}]',
    '{}',
    '{"user":null,"channel":null,"socket":null}',
    '{"user":""}',
    '{"user":"7","channel":""}',
    '{"user":true}',
    '{"user":{"id":7}}',
    '{"user":["7"]}',
    '{"channel":7}',
    '{"socket":8123.1}',
    '{"__proto__":{"user":"7"}}',
    '{"event":"App\\\\Events\\\\E","data":{},"socket":"8123.1"}',
    '{"User":"7"}',
    '{"channel":"presence-a","usr":"7"}',
    '{"user":"7","__proto__":null}',
    '{"user":1.5}',
    '{"user":"7","terminate":1}',
    '{"user":"7","terminate":"true"}',
    '{"user":"7","terminate":null}',
    '{"terminate":true}',
    '{"user":1e400}',
    '{"user":"7"',
  ])('%s is none, for it would mean nobody or anybody', (text) => {
    expect(parseRevocation(text)).toBeNull()
  })

  it('is whatever is written: what is printed is read, and nothing throws', () => {
    const name = fc.option(fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }), { nil: null })
    fc.assert(
      fc.property(fc.record({ user: name, channel: name, socket: name }), (revocation) => {
        const isAny = Object.values(revocation).some((value) => value !== null)
        expect(parseRevocation(JSON.stringify(revocation))).toEqual(isAny ? revocation : null)
      }),
      { numRuns: 200 },
    )
    fc.assert(fc.property(fc.string(), (text) => void parseRevocation(text)))
    fc.assert(fc.property(fc.jsonValue(), (value) => void parseRevocation(JSON.stringify({ user: value }))))
  })

  it('that is a value already is read the same way, and no number that was rounded', () => {
    expect(readRevocation({ user: 7 })).toEqual(all({ user: '7' }))
    for (const user of [2 ** 53, 1.5, Number.NaN, 7n]) expect(readRevocation({ user })).toBeNull()
    expect(readRevocation(null)).toBeNull()
    expect(readRevocation(['7'])).toBeNull()
  })
})

describe('of the channels of a socket', () => {
  const channels: GrantedChannels = new Map([
    ['private-orders', null],
    ['presence-room', member('7')],
    ['presence-admins', member('3')],
    ['__proto__', null],
  ])

  it.each<[Partial<Revocation>, string[]]>([
    [{ channel: 'private-orders' }, ['private-orders']],
    [{ channel: 'private-order' }, []],
    [{ channel: '__proto__' }, ['__proto__']],
    [{ channel: 'constructor' }, []],
    [{ socket: SOCKET }, [...channels.keys()]],
    [{ socket: '8123.10' }, []],
    [{ user: '7' }, ['private-orders', 'presence-room', '__proto__']],
    [{ user: '3' }, ['private-orders', 'presence-admins', '__proto__']],
    [{ user: '9' }, []],
    [{ user: '7', channel: 'private-orders' }, ['private-orders']],
    [{ user: '7', channel: 'presence-admins' }, []],
    [{ user: '7', socket: '8123.10' }, []],
    [{ user: '7', socket: SOCKET, channel: 'presence-room' }, ['presence-room']],
  ])('%o takes %o', (named, taken) => {
    expect(revokedChannels(all(named), SOCKET, channels)).toEqual(taken)
    const left = [...channels.keys()].filter((name) => !taken.includes(name))
    expect([...withoutRevoked([all(named)], SOCKET, channels).keys()]).toEqual(left)
  })

  it('several revocations take what each takes, whoever the others have made unknown', () => {
    const left = withoutRevoked([all({ channel: 'presence-room' }), all({ user: '7' })], SOCKET, channels)
    expect([...left.keys()]).toEqual(['presence-admins'])
  })

  it('a user takes nothing where nobody is named', () => {
    expect(revokedChannels(all({ user: '7' }), SOCKET, new Map([['private-orders', null]]))).toEqual([])
  })
})

describe('a log of revocations', () => {
  const orders: GrantedChannels = new Map([['private-orders', null]])

  it('counts for a while, or until it need not any more', () => {
    let now = 0
    const log = new RevocationLog({ keepMs: 1000, now: () => now })
    const first = all({ socket: '1.1' })
    log.add(first)
    now = 600
    log.add(all({ socket: '1.2' }))
    const left = (socketId: string) => log.without(socketId, orders).size
    expect([left('1.1'), left('1.2'), left('1.3')]).toEqual([0, 0, 1])
    now = 1001
    expect([left('1.1'), left('1.2')]).toEqual([1, 0])
    log.add(first)
    log.delete(first)
    expect(left('1.1')).toBe(1)
    now = 1601
    expect(left('1.2')).toBe(1)
  })

  it('knows how long ago something came last', () => {
    let now = 0
    const log = new RevocationLog({ keepMs: 1000, now: () => now })
    log.add(all({ user: '7' }))
    log.add(all({ user: '8' }))
    now = 900
    log.add(all({ user: '7' }))
    now = 1100
    expect(log.agoMs(all({ user: '7' }))).toBe(200)
    expect(log.agoMs(all({ user: '8' }))).toBeNull()
    expect(log.agoMs(all({ user: '7', channel: 'private-a' }))).toBeNull()
  })
})
