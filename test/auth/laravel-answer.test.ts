import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/auth/authorizer.ts'
import { type Answer, DECISION_REASONS, judge } from '../../src/auth/laravel-answer.ts'
import type { Channel } from '../../src/channels/channel.ts'

const PRIVATE: Channel = { name: 'private-orders.1', kind: 'private' }
const PRESENCE: Channel = { name: 'presence-room.1', kind: 'presence' }
const NOW = Date.UTC(2030, 0, 1)

function answer(status: number, body: string | Uint8Array | null = '', more: Partial<Answer> = {}): Answer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return { status, body: bytes, location: undefined, retryAfter: undefined, ...more }
}

const decide = (channel: Channel, status: number, body?: string | Uint8Array | null, more?: Partial<Answer>) =>
  judge(answer(status, body, more), channel, NOW).decision

const told = (decision: Decision) => (decision.allowed ? '' : decision.message)

describe('a grant', () => {
  it('is the word true, as the redis driver answers for a private channel', () => {
    expect(decide(PRIVATE, 200, 'true')).toEqual({ allowed: true })
  })

  it('is channel_data with the id as a string, as the redis driver answers for a presence channel', () => {
    const body = '{"channel_data":{"user_id":5,"user_info":{"id":5,"name":"U5"}}}'
    expect(decide(PRESENCE, 200, body)).toEqual({
      allowed: true,
      member: { id: '5', info: { id: 5, name: 'U5' } },
    })
  })

  it('is a signature, as pusher, reverb and ably answer for a private channel', () => {
    expect(decide(PRIVATE, 200, '{"auth":"k:sig"}')).toEqual({ allowed: true })
  })

  it('is a signature with channel_data as a JSON text, as those answer for a presence channel', () => {
    const body = JSON.stringify({ auth: 'k:sig', channel_data: '{"user_id":"5","user_info":{"name":"Ada"}}' })
    expect(decide(PRESENCE, 200, body)).toEqual({ allowed: true, member: { id: '5', info: { name: 'Ada' } } })
  })

  it('may be channel_data on a private channel, of which the id is kept', () => {
    expect(decide(PRIVATE, 200, '{"channel_data":{"user_id":5,"user_info":["a"]}}')).toEqual({
      allowed: true,
      member: { id: '5', info: null },
    })
  })

  it('carries the secret of an encrypted channel', () => {
    const body = '{"auth":"k:sig","shared_secret":"c2VjcmV0"}'
    const channel: Channel = { name: 'private-encrypted-vault', kind: 'private' }
    expect(decide(channel, 200, body)).toEqual({ allowed: true, sharedSecret: 'c2VjcmV0' })
  })

  it('may lack user_info, which pusher leaves out when it is empty', () => {
    const body = JSON.stringify({ auth: 'k:sig', channel_data: '{"user_id":"5"}' })
    expect(decide(PRESENCE, 200, body)).toEqual({ allowed: true, member: { id: '5', info: null } })
  })

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['18446744073709551615', '18446744073709551615'],
    ['-9007199254740993', '-9007199254740993'],
    ['"5"', '5'],
    ['"名前"', '名前'],
    ['0', '0'],
  ])('keeps the user id %s to the digit', (json, id) => {
    const inner = `{"user_id":${json},"user_info":{"note":"\\"user_id\\":9007199254740993"}}`
    const info = { note: '"user_id":9007199254740993' }
    expect(decide(PRESENCE, 200, `{"channel_data":${inner}}`)).toEqual({ allowed: true, member: { id, info } })
    const asText = JSON.stringify({ auth: 'k:s', channel_data: inner })
    expect(decide(PRESENCE, 200, asText)).toEqual({ allowed: true, member: { id, info } })
  })

  it('may carry __proto__ and constructor in the info, which stay ordinary keys', () => {
    const info = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'
    const decision = decide(PRESENCE, 200, `{"channel_data":{"user_id":1,"user_info":${info}}}`)
    expect(decision.allowed && JSON.stringify(decision.member?.info)).toBe(info)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('may stand between blanks and after a byte order mark', () => {
    expect(decide(PRIVATE, 200, '\ufeff true\r\n')).toEqual({ allowed: true })
  })
})

describe('a 200 that grants nothing', () => {
  it.each(['', '\n', ' \r\n\t'])('with the empty body %j names the log and null drivers', (body) => {
    for (const channel of [PRIVATE, PRESENCE]) {
      const judgement = judge(answer(200, body), channel, NOW)
      expect(judgement).toMatchObject({ reason: 'empty', decision: { allowed: false, status: 403, retry: false } })
      expect(told(judgement.decision)).toContain('BROADCAST_CONNECTION')
    }
  })

  it.each([
    'false',
    'null',
    '{}',
    '[]',
    '0',
    '1',
    '""',
    '"true"',
    '[true]',
    'TRUE',
    'true true',
    '<html><body>Log in</body></html>',
    '<br />\n<b>Deprecated</b>true',
    '{"auth":""}',
    '{"auth":true}',
    '{"auth":null}',
    '{"auth":["k:s"]}',
    '{"allowed":true}',
    '{"channel_data":true}',
    '{"channel_data":{}}',
    '{"channel_data":"true"}',
    '{"channel_data":[5]}',
    '{"channel_data":{"user_id":null}}',
    '{"channel_data":{"user_id":""}}',
    '{"channel_data":{"user_id":true}}',
    '{"channel_data":{"user_id":{"id":5}}}',
    '{"channel_data":{"user_id":1.2.3}}',
    '{"auth":false,"channel_data":{"user_id":5}}',
    '{"__proto__":{"auth":"k:s","channel_data":{"user_id":5}}}',
    '{"channel_names":[{"name":"private-orders.1"}],"expires_in":300}',
  ])('is refused: %s', (body) => {
    for (const channel of [PRIVATE, PRESENCE]) {
      expect(decide(channel, 200, body)).toMatchObject({ allowed: false, status: 403, retry: false })
    }
  })

  it('is refused when it is not UTF-8, so that two broken ids are not taken for one', () => {
    const body = Buffer.from('{"channel_data":{"user_id":"\xff"}}', 'latin1')
    expect(decide(PRESENCE, 200, body)).toMatchObject({ allowed: false })
  })

  it('is refused when it is longer than the gateway reads', () => {
    expect(judge(answer(200, null), PRIVATE, NOW)).toMatchObject({ reason: 'too_large', decision: { allowed: false } })
  })

  it.each(['true', '{"auth":"k:sig"}', '{"auth":"k:sig","channel_data":"{}"}'])(
    'is refused on a presence channel when it does not say who: %s',
    (body) => {
      const judgement = judge(answer(200, body), PRESENCE, NOW)
      expect(judgement.reason).toBe('no_identity')
      expect(told(judgement.decision)).toContain('routes/channels.php')
    },
  )
})

describe('a refusal', () => {
  it.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [419, 'session_expired'],
  ])('with status %i keeps its status and Laravel’s words', (status, code) => {
    const decision = decide(PRIVATE, status, '{"message":"Only for Ada."}')
    expect(decision).toEqual({ allowed: false, status, code, message: 'Only for Ada.', retry: false })
  })

  it('without words gets ours', () => {
    for (const body of ['{"message":""}', '<html>403</html>', '', '{"message":{"a":1}}', '{"message":" \\u0000 "}']) {
      expect(told(decide(PRIVATE, 403, body))).toBe('Laravel does not allow this user on this channel.')
    }
  })

  it('is judged by its status even when its page is longer than the gateway reads', () => {
    expect(decide(PRIVATE, 419, null)).toMatchObject({ status: 419, code: 'session_expired' })
  })

  it('passes on at most 200 characters, none of them a control character', () => {
    const message = `a\n\u0007b\u202ec\u2028d${'😀'.repeat(150)}`
    const passed = told(decide(PRIVATE, 403, JSON.stringify({ message })))
    expect(passed).toMatch(/^a b c d(😀)+…$/u)
    expect(passed.length).toBeLessThanOrEqual(200)
  })

  it.each([301, 302, 303, 307, 308])('with redirect %i to a login page says that nobody is logged in', (status) => {
    const judgement = judge(answer(status, '', { location: 'https://app.example/login' }), PRIVATE, NOW)
    expect(judgement).toMatchObject({ reason: 'redirect', decision: { status: 401, code: 'unauthenticated' } })
    expect(told(judgement.decision)).toMatch(/redirect to its login page.*middleware/)
  })

  it('with a redirect to elsewhere says what to set', () => {
    const decision = decide(PRIVATE, 302, 'true', { location: 'https://www.app.example/broadcasting/auth' })
    expect(decision).toMatchObject({ allowed: false, status: 403 })
    expect(told(decision)).toContain('--laravel-url')
  })

  it.each([404, 405])('with %i says how to get the route', (status) => {
    expect(told(decide(PRIVATE, status))).toContain('php artisan install:broadcasting')
  })

  it.each([201, 202, 204, 206])('is any other success, even with a grant in it: %i', (status) => {
    expect(decide(PRIVATE, status, 'true')).toMatchObject({ allowed: false, status: 403 })
  })
})

describe('a temporary failure', () => {
  it.each([500, 501, 502, 503, 504, 520])('with status %i says so in our words only', (status) => {
    const decision = decide(PRIVATE, status, '{"message":"SQLSTATE[HY000] password=secret"}')
    expect(decision).toMatchObject({ status: 503, code: 'authorizer_unavailable', retry: true })
    expect(told(decision)).toContain('temporary')
    expect(told(decision)).not.toContain('SQLSTATE')
  })

  it('with status 429 keeps Laravel’s words and its Retry-After', () => {
    const decision = decide(PRIVATE, 429, '{"message":"Too Many Attempts."}', { retryAfter: '30' })
    expect(decision).toEqual({
      allowed: false,
      status: 429,
      code: 'too_many_requests',
      message: 'Too Many Attempts.',
      retry: true,
      retryAfterMs: 30_000,
    })
  })

  it.each(['timeout', 'unreachable'] as const)('that is a %s is one as well', (failure) => {
    const judgement = judge({ failure, detail: 'ECONNRESET' }, PRIVATE, NOW)
    expect(judgement).toMatchObject({ reason: failure, askAgain: {}, decision: { status: 503, retry: true } })
  })

  it.each([
    [500, false],
    [501, false],
    [429, true],
    [502, true],
    [503, true],
    [504, true],
  ])('with status %i is worth another try: %s', (status, isWorthIt) => {
    expect(judge(answer(status), PRIVATE, NOW).askAgain !== undefined).toBe(isWorthIt)
  })

  it.each([
    ['7', 7_000],
    ['0', 0],
    ['Tue, 01 Jan 2030 00:00:09 GMT', 9_000],
    ['Mon, 31 Dec 2029 00:00:00 GMT', 0],
    ['soon', null],
    ['-5', null],
    ['1e9', null],
    ['99999999999999999999', null],
    [undefined, null],
  ])('with Retry-After %s waits %s ms', (retryAfter, afterMs) => {
    expect(judge(answer(503, '', { retryAfter }), PRIVATE, NOW).askAgain).toEqual({ afterMs })
  })
})

describe('whatever Laravel answers', () => {
  const status = fc.oneof(fc.constant(200), fc.integer({ min: 100, max: 599 }))
  const words = fc.constantFrom(
    'true',
    '{"auth":"k:s"}',
    '{"channel_data":{"user_id":5}}',
    'user_id',
    '"',
    '{',
    '}',
    ':',
  )
  const body = fc.oneof(
    fc.uint8Array(),
    fc.json().map((text) => Buffer.from(text)),
    fc.array(fc.oneof(words, fc.string())).map((parts) => Buffer.from(parts.join(''))),
    fc
      .record(
        { auth: fc.jsonValue(), channel_data: fc.jsonValue(), message: fc.string({ unit: 'binary' }) },
        { requiredKeys: [] },
      )
      .map((value) => Buffer.from(JSON.stringify(value))),
    fc.constant(null),
  )
  const header = fc.oneof(fc.string(), fc.constant(undefined))

  it('nothing throws, and nothing but a grant to the letter allows', () => {
    fc.assert(
      fc.property(
        status,
        body,
        header,
        header,
        fc.constantFrom(PRIVATE, PRESENCE),
        (code, bytes, location, retryAfter, channel) => {
          const { decision, reason } = judge({ status: code, body: bytes, location, retryAfter }, channel, NOW)
          expect(DECISION_REASONS).toContain(reason)
          if (!decision.allowed) {
            expect(decision.message.length).toBeGreaterThan(0)
            expect(decision.message).not.toMatch(/\p{Cc}/u)
            expect(decision.retry).toBe(decision.retryAfterMs !== undefined)
            return
          }
          expect(code).toBe(200)
          expect(isGrant(Buffer.from(bytes ?? []).toString(), channel)).toBe(true)
          if (channel.kind === 'presence') expect(decision.member?.id).not.toBe('')
        },
      ),
      { numRuns: 5_000 },
    )
  })
})

function parseJson(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The rule said once more, in other words. */
function isGrant(text: string, channel: Channel): boolean {
  const value = JSON.parse(text.replace(/^\ufeff/, ''))
  const data = value?.channel_data
  const inner = typeof data === 'string' ? parseJson(data) : data
  const names = typeof inner?.user_id === 'number' || (typeof inner?.user_id === 'string' && inner.user_id !== '')
  if (channel.kind === 'presence') return names
  return value === true || names || (typeof value?.auth === 'string' && value.auth !== '')
}
