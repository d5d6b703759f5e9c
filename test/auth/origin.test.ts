import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isListedOrigin, judgeOrigin, parseOrigin } from '../../src/auth/origin.ts'

const LISTED = ['https://shop.example', 'http://localhost:5173']

const judge = (headers: Record<string, string | undefined>, allowOrigins: readonly string[] = LISTED) =>
  judgeOrigin({ headers, protocol: 'https', host: 'app.example' }, allowOrigins)

const CREDENTIALED = { allowed: true, credentials: true }
const REFUSED = { allowed: false, why: expect.any(String) }

describe('a request with credentials is let in', () => {
  it.each([
    ['from a page of ours', { 'sec-fetch-site': 'same-origin' }],
    ['from a page of ours that names itself', { 'sec-fetch-site': 'same-origin', origin: 'https://app.example' }],
    [
      'from a page of ours behind a proxy that hides our host',
      { 'sec-fetch-site': 'same-origin', origin: 'https://public.example' },
    ],
    ['typed into the address bar', { 'sec-fetch-site': 'none', cookie: 'a=1' }],
    ['from a listed origin', { 'sec-fetch-site': 'cross-site', origin: 'https://shop.example' }],
    ['from a listed origin of the same site', { 'sec-fetch-site': 'same-site', origin: 'http://localhost:5173' }],
    ['from a listed origin by an old browser', { origin: 'https://shop.example', cookie: 'a=1' }],
    ['from our own origin by an old browser', { origin: 'https://app.example', cookie: 'a=1' }],
    ['from curl', { 'user-agent': 'curl/8' }],
    ['from curl with a cookie', { cookie: 'laravel_session=1' }],
    ['with a cookie and a Referer of ours', { cookie: 'a=1', referer: 'https://app.example/orders' }],
    ['with a cookie and a listed Referer', { cookie: 'a=1', referer: 'https://shop.example/?q=1' }],
    ['with a foreign Referer but no cookie', { referer: 'https://evil.example/' }],
  ])('%s', (_, headers) => {
    expect(judge(headers)).toEqual(CREDENTIALED)
  })
})

describe('a request is refused', () => {
  it.each([
    ['from another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['from another site that names nobody', { 'sec-fetch-site': 'cross-site' }],
    ['from a sibling that is not listed', { 'sec-fetch-site': 'same-site', origin: 'https://blog.app.example' }],
    ['from a sibling that names nobody', { 'sec-fetch-site': 'same-site', cookie: 'a=1' }],
    [
      'from a site that says it is us while the browser says it is not',
      { 'sec-fetch-site': 'cross-site', origin: 'https://app.example' },
    ],
    ['with a word for Sec-Fetch-Site that nobody knows', { 'sec-fetch-site': 'sideways' }],
    ['with two words for Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin, cross-site' }],
    ['from another origin by an old browser', { origin: 'https://evil.example' }],
    ['from another scheme', { origin: 'http://app.example' }],
    ['from another port', { origin: 'https://app.example:8443' }],
    ['from a listed host on another port', { origin: 'http://localhost:5174' }],
    ['from a subdomain', { origin: 'https://x.shop.example' }],
    ['from a name that only begins alike', { origin: 'https://shop.example.evil.example' }],
    ['from a sandboxed frame', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['with an empty Origin', { origin: '' }],
    ['with two origins', { origin: 'https://shop.example, https://evil.example' }],
    ['with an Origin that has a path', { origin: 'https://shop.example/' }],
    ['with an Origin that has a user', { origin: 'https://shop.example@evil.example' }],
    ['with a cookie and a foreign Referer', { cookie: 'a=1', referer: 'https://evil.example/https://app.example/' }],
    ['with a cookie and a Referer that is no address', { cookie: 'a=1', referer: 'app.example' }],
    ['typed in, but with a foreign Origin', { 'sec-fetch-site': 'none', origin: 'https://evil.example' }],
  ])('%s', (_, headers) => {
    expect(judge(headers)).toEqual(REFUSED)
  })

  it('with a sentence that says what to do', () => {
    expect(judge({ origin: 'https://Evil.example:443' })).toEqual({
      allowed: false,
      why: 'https://evil.example may not use this gateway; add it to --allow-origin.',
    })
  })

  it('when our own host is unknown, rather than taken for the page’s', () => {
    const question = { headers: { origin: 'https://' }, protocol: 'https', host: '' } as const
    expect(judgeOrigin(question, [])).toEqual(REFUSED)
    expect(judgeOrigin({ ...question, headers: { origin: 'null' } }, ['null'])).toEqual(REFUSED)
  })
})

describe('with * everybody is let in, strangers without credentials', () => {
  const ANY = ['*', 'https://shop.example']

  it.each([
    [{ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    [{ origin: 'null' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ cookie: 'a=1', referer: 'https://evil.example/' }],
  ])('%j', (headers) => {
    expect(judge(headers, ANY)).toEqual({ allowed: true, credentials: false })
  })

  it('while listed origins and our own keep theirs', () => {
    expect(judge({ origin: 'https://shop.example' }, ANY)).toEqual(CREDENTIALED)
    expect(judge({ 'sec-fetch-site': 'same-origin' }, ANY)).toEqual(CREDENTIALED)
  })

  it('but an Origin that is none is still refused, and * lists nobody', () => {
    expect(judge({ origin: 'https://a.example, https://b.example' }, ANY)).toEqual(REFUSED)
    expect(isListedOrigin('https://evil.example', ANY)).toBe(false)
    expect(isListedOrigin('*', ANY)).toBe(false)
  })
})

describe('an origin has one spelling', () => {
  it.each([
    ['HTTPS://App.Example', 'https://app.example'],
    ['https://app.example:443', 'https://app.example'],
    ['http://app.example:80', 'http://app.example'],
    ['https://app.example:80', 'https://app.example:80'],
    ['http://[0:0::1]:6001', 'http://[::1]:6001'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['null', null],
    ['*', null],
    ['app.example', null],
    ['https://a.example b', null],
    ['https:\\\\app.example', null],
    ['https://app.example\\@evil.example', null],
    ['http://[::1', null],
    ['http://app.example:99999', null],
  ])('%s is %s', (text, origin) => {
    expect(parseOrigin(text)).toBe(origin)
  })

  it('so a list may be written with capitals, default ports and a slash at the end', () => {
    expect(isListedOrigin('https://shop.example', ['HTTPS://Shop.Example:443/'])).toBe(true)
  })
})

it('whatever a page of another site sends, it gets no credentials', () => {
  const text = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.constantFrom('null', '', '*', 'https://', 'https://shop.example.', '://'),
  )
  const foreign = fc.record({
    origin: fc.option(text, { nil: undefined }),
    'sec-fetch-site': fc.constantFrom('cross-site', 'same-site', 'Same-Origin', ''),
    referer: fc.option(text, { nil: undefined }),
    cookie: fc.option(fc.string(), { nil: undefined }),
  })
  fc.assert(
    fc.property(foreign, fc.boolean(), text, (headers, any, host) => {
      const list = any ? ['*', ...LISTED] : LISTED
      const verdict = judgeOrigin({ headers, protocol: 'https', host }, list)
      expect(verdict.allowed && verdict.credentials).toBe(false)
    }),
    { numRuns: 2_000 },
  )
})
