import { expect, it } from 'vitest'
import { Unwritten } from '../../src/cache/unwritten.ts'
import { at } from '../support/history.ts'

const event = (bytes: number) => ({ payload: Buffer.alloc(bytes), position: at('1.1.1') })

it('hands out the newest of each channel, once', () => {
  const unwritten = new Unwritten()
  const [first, second, other] = [event(1), event(2), event(3)]
  unwritten.add('cache-a', first)
  unwritten.add('cache-b', other)
  unwritten.add('cache-a', second)
  expect([...unwritten.takeBatch()]).toEqual([
    ['cache-b', other],
    ['cache-a', second],
  ])
  expect(unwritten.isEmpty).toBe(true)
})

it('still knows what is being written, and what came after it', () => {
  const unwritten = new Unwritten()
  const [first, second] = [event(1), event(2)]
  unwritten.add('cache-a', first)
  unwritten.takeBatch()
  expect(unwritten.get('cache-a')).toBe(first)
  unwritten.add('cache-a', second)
  expect(unwritten.get('cache-a')).toBe(second)
  unwritten.takeBatch()
  expect(unwritten.get('cache-a')).toBe(second)
  unwritten.drop()
  expect(unwritten.get('cache-a')).toBeUndefined()
})

it('hands out at most 64 channels at a time, or one megabyte, and one in any case', () => {
  const unwritten = new Unwritten()
  for (let count = 0; count < 100; count += 1) unwritten.add(`cache-${count}`, event(10))
  expect([unwritten.takeBatch().size, unwritten.takeBatch().size, unwritten.takeBatch().size]).toEqual([64, 36, 0])
  for (const name of ['cache-a', 'cache-b', 'cache-c']) unwritten.add(name, event(400 * 1024))
  unwritten.add('cache-d', event(2 * 1024 * 1024))
  expect([...unwritten.takeBatch().keys()]).toEqual(['cache-a', 'cache-b'])
  expect([...unwritten.takeBatch().keys()]).toEqual(['cache-c'])
  expect([...unwritten.takeBatch().keys()]).toEqual(['cache-d'])
})

it('gives up what has waited longest when too much waits, and holds no more than that', () => {
  const unwritten = new Unwritten()
  for (let count = 0; count < 40; count += 1) unwritten.add(`cache-${count % 20}`, event(1024 * 1024))
  const names: string[] = []
  while (!unwritten.isEmpty) names.push(...unwritten.takeBatch().keys())
  expect(names).toEqual(Array.from({ length: 16 }, (_, index) => `cache-${index + 4}`))
})
