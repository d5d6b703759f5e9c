import { EventFormatter as EchosFormatter } from 'laravel-echo'
import { describe, expect, it } from 'vitest'
import { EventFormatter } from '../../../client/src/echo/event-formatter.ts'

// The first six are laravel/echo packages/laravel-echo/tests/util/event-formatter.test.ts.
const NAMES: [namespace: string | false | undefined, event: string, formatted: string][] = [
  ['App.Events', 'Users.UserCreated', 'App\\Events\\Users\\UserCreated'],
  ['App.Events', '.App.Users.UserCreated', 'App.Users.UserCreated'],
  ['App.Events', '\\App\\Users\\UserCreated', 'App\\Users\\UserCreated'],
  ['Foo.Bar', 'UserCreated', 'Foo\\Bar\\UserCreated'],
  ['App.Events', 'UserCreated', 'App\\Events\\UserCreated'],
  [undefined, 'Users.UserCreated', 'Users\\UserCreated'],
  [false, 'A.B', 'A\\B'],
  ['App.Events', '..dotted', '.dotted'],
  ['', 'A', 'A'],
]

describe('event names', () => {
  it.each(NAMES)('with the namespace %s: %s is %s', (namespace, event, formatted) => {
    expect(new EventFormatter(namespace).format(event)).toBe(formatted)
  })

  it.each(NAMES)('as laravel-echo has them, with the namespace %s: %s is %s', (namespace, event, formatted) => {
    expect(new EchosFormatter(namespace).format(event)).toBe(formatted)
  })

  it('follow a namespace that is set later', () => {
    const formatter = new EventFormatter('App.Events')
    formatter.setNamespace(false)
    expect(formatter.format('A')).toBe('A')
    formatter.setNamespace('B')
    expect(formatter.format('A')).toBe('B\\A')
  })

  it.each([
    ['App.Events', 'App\\Events\\OrderShipped', 'OrderShipped'],
    ['App.Events', 'App\\Events\\Users\\Created', 'Users\\Created'],
    ['App.Events', 'App\\EventsOfOthers\\A', '.App\\EventsOfOthers\\A'],
    ['App.Events', 'client-typing', '.client-typing'],
    [false, 'App\\Events\\A', '.App\\Events\\A'],
    [false, 'falsehood', '.falsehood'],
  ] as const)('with the namespace %s are shortened: %s to %s', (namespace, event, short) => {
    const formatter = new EventFormatter(namespace)
    expect(formatter.shorten(event)).toBe(short)
    expect(formatter.format(short)).toBe(event)
  })
})
