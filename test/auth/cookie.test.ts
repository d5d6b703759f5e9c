import { expect, it } from 'vitest'
import { cookieValue, hasForeignCookie } from '../../src/auth/cookie.ts'

it.each([
  ['a=1; b=2', '2'],
  ['b=2;b=3', '2'],
  [' b = 2 ', '2'],
  ['b=x=y==', 'x=y=='],
  ['b=', ''],
  ['B=2', undefined],
  ['bb=2', undefined],
  ['b', undefined],
  ['=b', undefined],
  ['', undefined],
  [undefined, undefined],
])('in %j the cookie b is %j', (header, value) => {
  expect(cookieValue(header, 'b')).toBe(value)
})

it('our own cookie alone is no login', () => {
  expect(hasForeignCookie('laravel_echo_sse=1')).toBe(false)
  expect(hasForeignCookie('laravel_echo_sse=1; laravel_session=2')).toBe(true)
})
