import { describe, expect, it } from 'vitest'
import { explainRedisError, isPermanent, isReplica } from '../../src/broker/redis-errors.ts'

const SCRIPT = 'ERR Error running script (call to f_1): @user_script:13: @user_script: 13: '

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' })
}

describe('explainRedisError', () => {
  it.each([
    ["NOPERM this user has no permissions to run the 'psubscribe' command", /denies this user a right/],
    ["ERR The user executing the script can't run this command or subcommand script: 1, on @user_script:2.", /a right/],
    [`${SCRIPT}The user executing the script can't run this command or subcommand`, /denies this user a right/],
    ['ERR ACL failure in script: User x has no permissions', /denies this user a right/],
    ['WRONGPASS invalid username-password pair or user is disabled.', /--redis-password/],
    ['NOAUTH Authentication required.', /wants a password/],
    ["OOM command not allowed when used memory > 'maxmemory'.", /no memory left/],
    [`${SCRIPT}-OOM command not allowed when used memory > 'maxmemory'.`, /no memory left/],
    ['MISCONF Redis is configured to save RDB snapshots', /takes no writes/],
    ["READONLY You can't write against a read only replica.", /--redis-sentinels/],
    [`${SCRIPT}-READONLY You can't write against a read only replica.`, /--redis-sentinels/],
    ['connect ECONNREFUSED 127.0.0.1:6379', /is the server running/],
    ['Command timed out', /does not answer/],
    ["Socket timeout. Expecting data, but didn't receive any in 600ms.", /does not answer/],
  ])('says of "%s" what to do next', (message, sentence) => {
    const text = explainRedisError(reply(message), 'Redis at h:1')
    expect(text).toMatch(/^Redis at h:1 /)
    expect(text).toMatch(sentence)
    expect(text).toContain(message)
  })

  it('knows trouble by its code as well', () => {
    const coded = (code: string) => explainRedisError(Object.assign(new Error('no'), { code }), 'Redis at h:1')
    expect(coded('DEPTH_ZERO_SELF_SIGNED_CERT')).toMatch(/--redis-tls-ca/)
    expect(coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE')).toMatch(/--redis-tls-ca/)
    expect(coded('ERR_TLS_CERT_ALTNAME_INVALID')).toMatch(/another name/)
    expect(coded('ENOENT')).toMatch(/no such socket/)
  })

  it('repeats the first line of what it does not know', () => {
    expect(explainRedisError('boom\nsecond', 'Redis at h:1')).toBe('Redis at h:1 answered: boom')
  })
})

describe('isReplica', () => {
  it('knows a replica by its answer only', () => {
    expect(isReplica(reply('READONLY no'))).toBe(true)
    expect(isReplica(reply(`${SCRIPT}-READONLY no`))).toBe(true)
    expect(isReplica(new Error('READONLY no'))).toBe(false)
    expect(isReplica(reply('OOM no'))).toBe(false)
  })
})

describe('isPermanent', () => {
  it('is what waiting cannot cure', () => {
    expect(['WRONGPASS x', 'NOAUTH x', 'NOPERM x'].map((text) => isPermanent(reply(text)))).toEqual([true, true, true])
    expect(['OOM x', 'LOADING x', 'READONLY x'].map((text) => isPermanent(reply(text)))).toEqual([false, false, false])
    expect(isPermanent('NOPERM')).toBe(false)
  })
})
