import { expect, it } from 'vitest'
import { MemoryLastEvents } from '../../src/cache/memory.ts'
import { lastEventsContract } from '../contract/last-events.ts'
import { at, laravel } from '../support/history.ts'

lastEventsContract('MemoryLastEvents', async (ttlS) => {
  let nowMs = 0
  const store = new MemoryLastEvents({ ttlS, now: () => nowMs })
  const wait = async (seconds: number) => {
    nowMs += seconds * 1000
  }
  return { here: store, there: store, wait, close: () => store.stop() }
})

it('MemoryLastEvents lets go of what is too old, though nobody asks for it', () => {
  let nowMs = 0
  const store = new MemoryLastEvents({ ttlS: 10, now: () => nowMs })
  for (let user = 1; user <= 100; user += 1) {
    store.heard(`cache-user.${user}`, laravel(user), at(`1.1.${user}`))
    nowMs += 1000
  }
  expect(store.size).toBe(10)
})

it('MemoryLastEvents keeps 128 MiB, and lets go of what was heard longest ago', async () => {
  const store = new MemoryLastEvents({ ttlS: 10, now: () => 0 })
  const large = Buffer.alloc(8 * 1024 * 1024)
  for (let user = 1; user <= 20; user += 1) store.heard(`cache-user.${user}`, large, at(`1.1.${user}`))
  // The same once more takes the place of the one before.
  for (let user = 19; user <= 20; user += 1) store.heard(`cache-user.${user}`, large, at(`1.2.${user}`))
  expect(store.size).toBe(16)
  expect(await store.read('cache-user.4')).toBeNull()
  expect((await store.read('cache-user.5'))?.payload.length).toBe(large.length)
})
