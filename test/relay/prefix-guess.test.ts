import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commonPrefix, guessPrefix } from '../../src/relay/prefix-guess.ts'

describe('the prefix of one name', () => {
  const guess = (name: string, configured: string, alternatives: string[] = []) =>
    guessPrefix(name, { configured, alternatives })

  it.each<[name: string, configured: string, expected: string | null]>([
    // What stands before a guarded name is the prefix.
    ['laravel_database_private-orders.1', '', 'laravel_database_'],
    ['laravel-database-presence-room.1', '', 'laravel-database-'],
    ['shop:private-encrypted-a', 'other_', 'shop:'],
    ['app_admin_private-orders.1', 'app_', 'app_admin_'],
    ['private-orders.1', 'laravel_database_', ''],
    ['private-orders.1', '', ''],
    ['shop_private-presence-x', '', 'shop_'],
    ['acme[1]*_private-x', 'acme[1]*_', 'acme[1]*_'],
    // A public name tells when it begins with a prefix that is known, or that looks like Laravel's own.
    ['laravel_database_orders', '', 'laravel_database_'],
    ['my-app-database-orders', '', 'my-app-database-'],
    ['_database_orders', '', '_database_'],
    ['laravel_database_orders', 'laravel_database_', 'laravel_database_'],
    ['laravel_database_laravel_database_x', 'laravel_database_', 'laravel_database_'],
    ['laravel_database_orders', 'laravel_', 'laravel_database_'],
    ['shop_orders', 'shop_', 'shop_'],
    ['shop_database_prod_orders', 'shop_database_prod_', 'shop_database_prod_'],
    // Else it does not.
    ['orders', '', null],
    ['shop_orders', '', null],
    ['shop_orders', 'laravel_database_', null],
    ['databases', '', null],
    ['', '', null],
    ['', 'laravel_database_', null],
  ])('of %j is, with %j configured, %j', (name, configured, expected) => {
    expect(guess(name, configured)).toBe(expected)
  })

  it('may be one that the application could have', () => {
    expect(guess('shop-orders', 'shop_', ['shop-'])).toBe('shop-')
    expect(guess('shop-orders', 'shop_', ['shop', 'shop-'])).toBe('shop-')
    expect(guess('shop-orders', 'shop_', [''])).toBeNull()
  })

  it('is always a beginning of the name, whatever the name', () => {
    const words = fc.constantFrom(
      'private-',
      'presence-',
      '_database_',
      '-database-',
      'shop',
      '_',
      '\n',
      '\0',
      'é',
      '\ud800',
    )
    const anyName = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(words, fc.string())).map((all) => all.join('')),
    )
    fc.assert(
      fc.property(anyName, anyName, fc.array(anyName), (name, configured, alternatives) => {
        const prefix = guess(name, configured, alternatives)
        return prefix === null || name.startsWith(prefix)
      }),
    )
  })
})

describe('the common beginning of several names', () => {
  it.each<[string[], string | null]>([
    [['shop_orders', 'shop_news'], 'shop_'],
    [['shop_orders.1', 'shop_orders.2'], 'shop_'],
    [['acme:shop:orders', 'acme:shop:news', 'acme:shop:other'], 'acme:shop:'],
    [['shop-orders', 'shop-news'], 'shop-'],
    [['orders', 'news'], null],
    [['orders', 'orders.1'], null],
    [['shop_orders'], null],
    [['shop_orders', 'shop_orders'], null],
    [[], null],
  ])('of %j is %j', (names, expected) => {
    expect(commonPrefix(names)).toBe(expected)
  })

  it('is a beginning of each, whatever they are', () => {
    const anyName = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[ab_:-]{0,8}$/))
    fc.assert(
      fc.property(fc.array(anyName), (names) => {
        const prefix = commonPrefix(names)
        return prefix === null || names.every((name) => name.startsWith(prefix))
      }),
    )
  })
})
