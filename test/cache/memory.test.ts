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
