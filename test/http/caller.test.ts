import { expect, it } from 'vitest'
import { describeRequest } from '../../src/http/caller.ts'

const HEADERS = { host: 'gateway.test', 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' }
const TRUST = { trustProxy: ['loopback', 'unix'] }

type Request = Parameters<typeof describeRequest>[0]

/** A request whose connection the client has reset: the system no longer knows its peer. */
const orphan = { headers: HEADERS, protocol: 'http', raw: { socket: { remoteAddress: undefined, destroyed: false } } }

it('a TCP client that resets its connection does not pass for a trusted Unix socket', () => {
  const caller = describeRequest(orphan as unknown as Request, { ...TRUST, socket: null })
  expect(caller).toMatchObject({ protocol: 'http', isLocal: false })
  expect(caller.address).not.toBe('203.0.113.9')
})

it('a proxy on our Unix socket is believed', () => {
  const caller = describeRequest(orphan as unknown as Request, { ...TRUST, socket: '/run/gateway.sock' })
  expect(caller).toMatchObject({ address: '203.0.113.9', protocol: 'https', isLocal: false })
})

it.each(['forwarded', 'via', 'x-real-ip', 'x-forwarded-host'])('%s shows that a caller is not local', (name) => {
  const raw = { socket: { remoteAddress: '127.0.0.1', destroyed: false } }
  const request = { headers: { host: 'localhost' }, protocol: 'http', raw }
  const marked = { ...request, headers: { ...request.headers, [name]: 'x' } }
  const isLocal = (one: object) => describeRequest(one as Request, { ...TRUST, socket: null }).isLocal
  expect([isLocal(request), isLocal(marked)]).toEqual([true, false])
})
