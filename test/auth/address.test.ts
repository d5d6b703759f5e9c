import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressGroup, type Connection, describeCaller, parseTrust } from '../../src/auth/address.ts'

const NGINX = ['loopback', 'unix']

const describeWith = (
  headers: Connection['headers'],
  more: Partial<Connection> = {},
  trust: readonly string[] = NGINX,
) => describeCaller({ remoteAddress: '127.0.0.1', headers, encrypted: false, ...more }, trust)

describe('the address of a caller', () => {
  it.each([
    ['is the peer’s without a proxy', '198.51.100.9', undefined, '198.51.100.9'],
    ['is what the trusted proxy saw', '127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['is the rightmost stranger, not what that one claims', '127.0.0.1', '6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['lies behind all trusted proxies', '127.0.0.1', '6.6.6.6, 203.0.113.7, 10.0.0.2, 10.1.2.3', '203.0.113.7'],
    ['is the first one when all are trusted', '127.0.0.1', '10.0.0.5, 10.0.0.2', '10.0.0.5'],
    ['is not taken from a stranger’s header', '198.51.100.9', '127.0.0.1', '198.51.100.9'],
    ['may be IPv6', '::1', '2001:DB8::7', '2001:db8::7'],
    ['may carry a port or brackets', '127.0.0.1', '[2001:db8::7]:4711, 10.0.0.2:80', '2001:db8::7'],
    ['is the same for an IPv4 caller of an IPv6 socket', '::ffff:198.51.100.9', undefined, '198.51.100.9'],
    ['may come through a proxy on an IPv6 socket', '::ffff:127.0.0.1', '::ffff:cb00:7107', '203.0.113.7'],
    ['is the proxy’s when that one does not know', '127.0.0.1', '203.0.113.7, unknown', '127.0.0.1'],
    ['is the proxy’s when the header is empty', '127.0.0.1', ' , ', '127.0.0.1'],
    ['comes through a Unix socket', undefined, '203.0.113.7', '203.0.113.7'],
    ['is "unix" when nobody says more', undefined, undefined, 'unix'],
    ['loses its zone', 'fe80::1%eth0', undefined, 'fe80::1'],
  ])('%s', (_, remoteAddress, forwardedFor, address) => {
    const headers = { 'x-forwarded-for': forwardedFor }
    const caller = describeWith(headers, { remoteAddress }, [...NGINX, '10.0.0.0/8'])
    expect(caller.address).toBe(address)
  })

  it('is "unix" when Unix socket peers are not trusted, whatever they say', () => {
    const caller = describeWith({ 'x-forwarded-for': '1.2.3.4' }, { remoteAddress: undefined }, ['loopback'])
    expect(caller.address).toBe('unix')
  })
})

describe('our own public address', () => {
  it('is what a trusted proxy says', () => {
    const headers = { host: 'gateway:6001', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' }
    expect(describeWith(headers)).toMatchObject({ protocol: 'https', host: 'app.example', forwarded: true })
  })

  it('is what the connection says when a stranger tells otherwise, and the attempt shows', () => {
    const headers = { host: 'gateway:6001', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' }
    const caller = describeWith(headers, { remoteAddress: '198.51.100.9' })
    expect(caller).toMatchObject({ protocol: 'http', host: 'gateway:6001', forwarded: true })
  })

  it('is https on a TLS connection, and may come in the HTTP/2 way', () => {
    const caller = describeWith({ ':authority': 'app.example' }, { encrypted: true })
    expect(caller).toMatchObject({ protocol: 'https', host: 'app.example', forwarded: false })
  })

  it('comes from the nearest of several proxies', () => {
    const headers = { 'x-forwarded-proto': 'http, HTTPS', 'x-forwarded-host': 'evil.example, app.example' }
    expect(describeWith(headers)).toMatchObject({ protocol: 'https', host: 'app.example' })
  })

  it.each([
    ['app.example', '8443', 'app.example:8443'],
    ['app.example', '443', 'app.example'],
    ['app.example', '80', 'app.example'],
    ['app.example:9000', '8443', 'app.example:9000'],
    ['app.example', 'x', 'app.example'],
    ['[::1]', '8443', '[::1]:8443'],
  ])('with host %s and X-Forwarded-Port %s is %s', (host, port, expected) => {
    expect(describeWith({ host, 'x-forwarded-port': port }).host).toBe(expected)
  })

  it.each(['evil.example/path', 'a b', 'user@app.example', 'app.example:port', '[::1', '', 'a\r\nb'])(
    'is not the malformed host %j',
    (host) => {
      expect(describeWith({ host }).host).toBe('')
      expect(describeWith({ host: 'app.example', 'x-forwarded-host': host }).host).toBe('app.example')
    },
  )
})

it.each(['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-server'])(
  'a caller with %s came through a proxy',
  (name) => {
    expect(describeWith({ [name]: 'x' }).forwarded).toBe(true)
    expect(describeWith({ [`not-${name}`]: 'x' }).forwarded).toBe(false)
  },
)

describe('a list of trusted proxies', () => {
  it('holds addresses and ranges of both families', () => {
    const trusts = parseTrust(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1'])
    const trusted = ['10.255.0.1', '192.0.2.7', '2001:db8:ffff::1', '::1']
    expect(trusted.map(trusts)).toEqual([true, true, true, true])
    expect(['11.0.0.1', '192.0.2.8', '2001:db9::1', '127.0.0.1', 'unix', ''].some(trusts)).toBe(false)
  })

  it('with loopback holds 127.0.0.0/8 and ::1', () => {
    expect(['127.0.0.1', '127.8.8.8', '::1'].every(parseTrust(['loopback']))).toBe(true)
  })

  it.each(['localhost', '10.0.0.0/33', '::/129', '10.0.0/8', '', '10.0.0.0/'])('cannot hold %j', (entry) => {
    expect(() => parseTrust(['loopback', entry])).toThrow(`got "${entry}"`)
  })
})

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:0DB8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['unix', 'unix'],
])('%s counts as %s', (address, group) => {
  expect(addressGroup(address)).toBe(group)
})

it('whatever a caller sends is described', () => {
  const part = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('127.0.0.1', ',', '%', '[::1]:1', '::%'))
  const value = fc.array(part).map((parts) => parts.join(','))
  const name = fc.constantFrom('host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port')
  const headers = fc.array(fc.tuple(name, value)).map((entries) => Object.fromEntries(entries))
  fc.assert(
    fc.property(headers, fc.oneof(fc.constant('127.0.0.1'), part), (sent, remoteAddress) => {
      const caller = describeWith(sent, { remoteAddress })
      expect(['http', 'https']).toContain(caller.protocol)
      expect(caller.host).toMatch(/^[\w.~:[\]-]*$/)
      addressGroup(caller.address)
    }),
    { numRuns: 2_000 },
  )
})
