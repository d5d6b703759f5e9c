import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hidesGuardedName, kindOf, parseChannel } from '../../src/channels/channel.ts'

const RULES = { maxNameBytes: 200, prefix: 'laravel_database_' }
const parse = (name: string, rules = RULES) => parseChannel(name, rules)
const isRefused = (name: string) => 'invalid' in parse(name)

describe('the kind of a channel', () => {
  it.each([
    ['orders', 'public'],
    ['private-orders.1', 'private'],
    ['private-encrypted-vault', 'private'],
    ['presence-room.1', 'presence'],
    ['private', 'public'],
    ['presence', 'public'],
    ['privateorders', 'public'],
    ['App.Models.User.1', 'public'],
    ['a,b;c=d@e_f', 'public'],
    ['bestellung-ä', 'public'],
  ])('%s is %s', (name, kind) => {
    expect(parse(name)).toEqual({ name, kind })
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('%s is an ordinary public name', (name) => {
    expect(parse(name)).toEqual({ name, kind: 'public' })
    expect(parse(`private-${name}`)).toEqual({ name: `private-${name}`, kind: 'private' })
  })
})

describe('a name that hides a guarded one', () => {
  it.each([
    'admin_private-x',
    'laravel-database-private-x',
    'shop_presence-room.1',
    'Private-x',
    'PRESENCE-x',
    'pRIVATE-x',
    'x.private-y',
  ])('%s is refused: it would look public', (name) => {
    expect(parse(name)).toEqual({ name, invalid: expect.stringContaining('private- or presence-') })
    expect(hidesGuardedName(name)).toBe(true)
  })

  it('is not one that begins with private- or presence-', () => {
    expect(['private-x', 'presence-private-x', 'private-presence-x'].map(hidesGuardedName)).toEqual([
      false,
      false,
      false,
    ])
  })
})

describe('a name that still carries the Redis prefix', () => {
  it.each(['laravel_database_orders', 'laravel_database_private-orders.7'])('%s is refused', (name) => {
    expect(parse(name)).toEqual({ name, invalid: expect.stringContaining('"laravel_database_"') })
  })

  it('is an ordinary one when there is no prefix', () => {
    expect(parse('laravel_database_orders', { ...RULES, prefix: '' })).toMatchObject({ kind: 'public' })
    expect(parse('laravel_database_private-x', { ...RULES, prefix: '' })).toHaveProperty('invalid')
  })
})

describe('a name that nobody can mean', () => {
  it.each([
    ['nothing', ''],
    ['a line feed', 'orders\n'],
    ['a carriage return', 'a\rb'],
    ['NUL', 'a\0b'],
    ['a tab', '\torders'],
    ['an escape character', 'a\x1b[0m'],
    ['DEL', 'a\x7f'],
    ['a C1 control', 'a\u0085'],
    ['a space at the end', 'private-orders.7 '],
    ['a space within', 'private-orders 7'],
    ['a no-break space', 'private-orders.7\u00a0'],
    ['an ideographic space', 'private-orders.7\u3000'],
    ['a line separator', 'private-orders.7\u2028'],
    ['a zero-width space', 'private-orders.7\u200b'],
    ['a byte order mark', 'private-orders.7\ufeff'],
    ['a right-to-left mark', 'a\u200fb'],
    ['half a surrogate pair', 'a\ud800'],
    ['what is left of broken UTF-8', 'a\ufffd'],
    ['a leading #', '#server-to-user-1'],
    ['a slash', 'a/b'],
    ['the gateway’s own prefix', 'sse:clock'],
    ['only private-', 'private-'],
    ['only presence-', 'presence-'],
  ])('%s is refused', (_what, name) => {
    expect(parse(name)).toEqual({ name, invalid: expect.stringMatching(/\.$|\?$/) })
  })

  // What Laravel trims before it authorizes: laravel/framework Str::INVISIBLE_CHARACTERS.
  const trimmed = [0x9, 0x20, 0xa0, 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180e, 0x2007, 0x202f, 0x205f]
  const more = [0x2060, 0x2065, 0x206a, 0x206f, 0x2800, 0x3164, 0xfeff, 0xffa0, 0x1d159, 0x1d173, 0x1d17a, 0xe0020]
  it.each([...trimmed, ...more].map((code) => [code.toString(16), code] as const))(
    'U+%s at the end is refused: Laravel would judge another channel',
    (_hex, code) => expect(isRefused(`private-orders.7${String.fromCodePoint(code)}`)).toBe(true),
  )

  it('is counted in bytes, not in letters', () => {
    expect(isRefused('a'.repeat(200))).toBe(false)
    expect(isRefused('a'.repeat(201))).toBe(true)
    expect(isRefused('é'.repeat(101))).toBe(true)
  })
})

describe('whatever a client sends', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc
      .tuple(fc.constantFrom('private-', 'presence-', 'Private-', 'x_private-', 'sse:', ''), fc.string())
      .map((parts) => parts.join('')),
  )

  it('never throws, and what is granted a kind keeps its name to the letter', () => {
    fc.assert(
      fc.property(name, (text) => {
        const channel = parse(text)
        expect(channel.name).toBe(text)
        if ('invalid' in channel) return
        expect(channel.kind).toBe(kindOf(text))
        expect(channel.kind === 'public' && /private-|presence-/i.test(text)).toBe(false)
        expect(/[\s\0-\x1f\x7f]/.test(text)).toBe(false)
      }),
      { numRuns: 20_000 },
    )
  })
})
