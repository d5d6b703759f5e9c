import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type RequestToVerify, signRequest, verifyRequest } from '../../../src/http/pusher-api/signature.ts'

// The vector of Pusher's own documentation (library_auth_reference/rest-api, "Worked authentication example").
const APP = { id: '3', key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }
const NOW = 1353088179 * 1000
const BODY = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
const MD5 = 'ec365a775a4cd0599faeb73354201b6f'
const SIGNATURE = 'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c'
const QUERY = `auth_key=${APP.key}&auth_signature=${SIGNATURE}&auth_timestamp=1353088179&auth_version=1.0&body_md5=${MD5}`

const REQUEST: RequestToVerify = {
  method: 'POST',
  path: '/apps/3/events',
  query: QUERY,
  body: BODY,
  apps: [{ id: '1', key: 'other', secret: 'other' }, APP],
  now: NOW,
}

function verify(change: Partial<RequestToVerify> = {}) {
  return verifyRequest({ ...REQUEST, ...change })
}

/** Signs exactly these parameters, right or wrong as they are. */
function signedQuery(parameters: string, method = 'GET', path = '/apps/3/channels'): string {
  const text = `${method}\n${path}\n${parameters}`
  return `${parameters}&auth_signature=${createHmac('sha256', APP.secret).update(text).digest('hex')}`
}

const AUTH = `auth_key=${APP.key}&auth_timestamp=1353088179&auth_version=1.0`

describe('signRequest', () => {
  it("gives the signature of Pusher's example", () => {
    const query = signRequest({ method: 'POST', path: '/apps/3/events', body: BODY, app: APP, now: NOW })
    expect(query.get('body_md5')).toBe(MD5)
    expect(query.get('auth_signature')).toBe(SIGNATURE)
  })

  it('signs what verifyRequest accepts, with further parameters and without a body', () => {
    const path = '/apps/3/channels'
    const parameters = { info: 'user_count,subscription_count', filter_by_prefix: 'presence-ä &=' }
    const query = signRequest({ method: 'GET', path, parameters, body: '', app: APP, now: NOW }).toString()
    expect(query).not.toContain('body_md5')
    expect(verify({ method: 'GET', path, query, body: '' })).toEqual({ ok: true, app: APP })
  })
})

describe('verifyRequest', () => {
  it("accepts Pusher's example, as text and as bytes", () => {
    expect(verify()).toEqual({ ok: true, app: APP })
    expect(verify({ body: Buffer.from(BODY) })).toEqual({ ok: true, app: APP })
  })

  it('accepts parameters in any order and in any case', () => {
    expect(verify({ query: QUERY.split('&').reverse().join('&') }).ok).toBe(true)
    expect(verify({ query: QUERY.replace('auth_key', 'Auth_Key') }).ok).toBe(true)
  })

  it('accepts array parameters in both spellings, signed as one value with commas', () => {
    const signed = signedQuery(`${AUTH}&channels=b,a`)
    const signature = signed.split('auth_signature=')[1]
    for (const array of ['channels[]=b&channels[]=a', 'channels%5B0%5D=b&channels%5B1%5D=a']) {
      const query = `${AUTH}&${array}&auth_signature=${signature}`
      expect(verify({ method: 'GET', path: '/apps/3/channels', query, body: '' }).ok).toBe(true)
    }
  })

  it('accepts each key of an application with its own secret', () => {
    const next = { id: '3', key: 'next', secret: 'next-secret' }
    const other = { id: '4', key: 'fourth', secret: 'fourth-secret' }
    const apps = [APP, other, next]
    const signedBy = (app: typeof APP, path = '/apps/3/events') => {
      const query = signRequest({ method: 'POST', path, body: BODY, app, now: NOW }).toString()
      return verify({ apps, path, query })
    }
    expect(signedBy(APP)).toEqual({ ok: true, app: APP })
    expect(signedBy(next)).toEqual({ ok: true, app: next })
    expect(signedBy({ ...next, secret: APP.secret })).toMatchObject({ ok: false, why: /auth_signature/ })
    const unknown = signedBy({ ...next, key: 'unknown' })
    expect(unknown).toMatchObject({ ok: false, why: /No application/ })
    expect([signedBy(other), signedBy(APP, '/apps/5/events')]).toEqual([unknown, unknown])
  })

  it('accepts a path that was signed before its special characters were encoded', () => {
    const signed = '/apps/3/users/ada lovelace ü/terminate_connections'
    const query = signRequest({ method: 'POST', path: signed, body: BODY, app: APP, now: NOW }).toString()
    expect(verify({ path: encodeURI(signed), query }).ok).toBe(true)
    expect(verify({ path: encodeURI(signed).replace('ada', 'bob'), query }).ok).toBe(false)
    expect(verify({ path: `${encodeURI(signed)}%zz`, query }).ok).toBe(false)
  })

  it('accepts 600 seconds in either direction and no more', () => {
    expect(verify({ now: NOW + 600_000 }).ok).toBe(true)
    expect(verify({ now: NOW - 600_000 }).ok).toBe(true)
    expect(verify({ now: NOW + 601_000 })).toMatchObject({ ok: false, why: expect.stringMatching(/600 s.*clocks/) })
    expect(verify({ now: NOW - 601_000 }).ok).toBe(false)
  })

  it.each<[string, Partial<RequestToVerify>, RegExp]>([
    ['another body', { body: `${BODY} ` }, /body_md5 does not fit/],
    ['a body without body_md5', { query: QUERY.replace(`&body_md5=${MD5}`, '') }, /body_md5 is missing/],
    ['another signature', { query: QUERY.replace('da4548', 'da4549') }, /auth_signature/],
    ['a signature of another length', { query: QUERY.replace(SIGNATURE, 'da45') }, /auth_signature/],
    ['no signature', { query: QUERY.replace(`&auth_signature=${SIGNATURE}`, '') }, /auth_signature/],
    ['another method', { method: 'PUT' }, /auth_signature/],
    ['another path', { path: '/apps/3/batch_events' }, /auth_signature/],
    ['another key', { query: QUERY.replace(APP.key, 'other') }, /No application/],
    ['the id of another app', { path: '/apps/1/events' }, /No application/],
    ['an unknown id', { path: '/apps/4/events' }, /No application/],
    ['no apps at all', { apps: [] }, /No application/],
    ['no parameters', { query: '' }, /No application/],
    ['no timestamp', { query: QUERY.replace('auth_timestamp=1353088179&', '') }, /auth_timestamp/],
    ['a timestamp that is no number', { query: QUERY.replace('1353088179', 'NaN') }, /auth_timestamp/],
    ['another version', { query: QUERY.replace('1.0', '2.0') }, /auth_version/],
    ['a parameter given twice', { query: `${QUERY}&auth_key=${APP.key}` }, /twice/],
    ['a signature in a list', { query: QUERY.replace('auth_signature=', 'auth_signature[]=') }, /as a list/],
    ['a key in a list', { query: QUERY.replace('auth_key=', 'auth_key[0]=') }, /as a list/],
    ['a digest in a list', { query: QUERY.replace('body_md5=', 'body_md5[]=') }, /as a list/],
    ['an array beside a plain one', { query: `${QUERY}&info=x&info[]=y` }, /twice/],
    ['a further parameter', { query: `${QUERY}&info=user_count` }, /auth_signature/],
    ['garbage', { query: '%&=&&%%[]=__proto__' }, /./],
  ])('refuses %s', (_what, change, why) => {
    expect(verify(change)).toEqual({ ok: false, why: expect.stringMatching(why) })
  })
})
