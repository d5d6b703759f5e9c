import { expect, it } from 'vitest'
import { isCacheChannel, isNewer } from '../../src/cache/last-events.ts'
import { at } from '../support/history.ts'

it.each(['cache-a', 'cache-', 'private-cache-a', 'presence-cache-a', 'private-encrypted-cache-a'])(
  '%s is a cache channel',
  (name) => expect(isCacheChannel(name)).toBe(true),
)

it.each([
  'cache',
  'cachea',
  'Cache-a',
  'a-cache-b',
  'my.cache-a',
  'private-cache',
  'private-a-cache-b',
  'presence-encrypted-cache-a',
  'private-private-cache-a',
  'orders',
])('%s is none', (name) => expect(isCacheChannel(name)).toBe(false))

it('is newer only by numbers of the same order', () => {
  expect(isNewer(at('1.10.1'), at('1.9.2'))).toBe(true)
  expect(isNewer(at('1.9.2'), at('1.9.2'))).toBe(false)
  expect(isNewer(at('2.1.1'), at('1.9.2'))).toBe(false)
})
