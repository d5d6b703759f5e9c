import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasCredentials, laravelHeaders } from '../../src/auth/laravel-headers.ts'
import { credentials } from '../support/credentials.ts'

const headersFor = (headers: Record<string, string | undefined>) => laravelHeaders(credentials(headers))

describe('the XSRF token', () => {
  it('is copied, decoded, from its cookie', () => {
    expect(headersFor({ cookie: 'a=1; XSRF-TOKEN=abc%3D; b=2' })['x-xsrf-token']).toBe('abc=')
  })

  it('of the caller is not overwritten', () => {
    const headers = headersFor({ cookie: 'XSRF-TOKEN=abc%3D', 'x-xsrf-token': 'own' })
    expect(headers['x-xsrf-token']).toBe('own')
  })

  it.each(['%0D%0A', '%E0%A4%A', '%', 'a%00', '%C3%A9', '', 'a%0D%0AX-Admin: 1'])(
    'is left out when it is %j',
    (value) => {
      expect(headersFor({ cookie: `XSRF-TOKEN=${value}` })).not.toHaveProperty('x-xsrf-token')
    },
  )

  it('is taken from the first cookie of exactly that name', () => {
    const cookie = 'OLD-XSRF-TOKEN=x; xsrf-token=y; XSRF-TOKEN=first; XSRF-TOKEN=second'
    expect(headersFor({ cookie })['x-xsrf-token']).toBe('first')
  })
})

describe('the forwarded headers', () => {
  it('say where the caller is and how it reached us, whatever it claimed itself', () => {
    const caller = credentials({
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-host': 'evil.example',
      'x-real-ip': '6.6.6.6',
    })
    expect(laravelHeaders(caller)).toEqual({
      accept: 'application/json',
      'x-requested-with': 'XMLHttpRequest',
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'app.example',
      'x-forwarded-port': '443',
    })
  })

  it.each([
    ['http', 'app.example', '80'],
    ['http', 'localhost:6001', '6001'],
    ['https', '[::1]:8443', '8443'],
    ['https', '[::1]', '443'],
  ] as const)('name the port of %s://%s as %s', (protocol, host, port) => {
    expect(laravelHeaders(credentials({}, { protocol, host }))['x-forwarded-port']).toBe(port)
  })

  it('leave out an address and a host that are none', () => {
    const headers = laravelHeaders(credentials({}, { address: 'unix', host: '' }))
    expect(Object.keys(headers).filter((name) => name.startsWith('x-forwarded'))).toEqual(['x-forwarded-proto'])
  })
})

describe('a caller has credentials', () => {
  it.each([
    [{ cookie: 'laravel_session=1' }, true],
    [{ authorization: 'Bearer 12|abc' }, true],
    [{ cookie: 'laravel_echo_sse=x; laravel_session=1' }, true],
    [{ cookie: 'laravel_echo_sse=x' }, false],
    [{ cookie: '' }, false],
    [{ cookie: ' ; ' }, false],
    [{ authorization: ' ' }, false],
    [{}, false],
  ])('with %j: %s', (headers, expected) => {
    expect(hasCredentials(credentials(headers))).toBe(expected)
  })
})

describe('whatever a caller sends', () => {
  const name = fc.constantFrom(
    ...[
      'cookie',
      'authorization',
      'origin',
      'referer',
      'user-agent',
      'accept-language',
      'x-csrf-token',
      'x-xsrf-token',
    ],
    ...[
      'sec-fetch-site',
      'x-socket-id',
      'accept',
      'host',
      'last-event-id',
      'x-http-method-override',
      '__proto__',
      'te',
    ],
  )
  const xsrf = fc.string({ unit: 'binary' }).map((value) => `XSRF-TOKEN=${value}`)
  const encoded = fc.string().map((value) => `a=b; XSRF-TOKEN=${encodeURIComponent(value)}`)
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), xsrf, encoded)

  it('no header throws, forges another one or is not on the list', () => {
    const sent = fc.array(fc.tuple(name, value)).map((entries) => Object.fromEntries(entries))
    fc.assert(
      fc.property(sent, fc.string(), fc.string(), (headers, address, host) => {
        const built = laravelHeaders(credentials(headers, { address, host }))
        // The platform's own check of names and values.
        expect(() => new Headers(built)).not.toThrow()
        expect(built.accept).toBe('application/json')
        for (const forbidden of ['host', 'last-event-id', 'x-http-method-override', 'te']) {
          expect(Object.keys(built)).not.toContain(forbidden)
        }
        for (const text of Object.values(built)) expect(text).not.toMatch(/[\0\r\n]/)
      }),
      { numRuns: 2_000 },
    )
  })
})
