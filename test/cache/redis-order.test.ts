import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { RedisLastEvents } from '../../src/cache/redis.ts'
import { at, laravel } from '../support/history.ts'
import { ScriptedLease } from '../support/scripted-lease.ts'

function start() {
  const redis = new ScriptedLease()
  const store = new RedisLastEvents({ lease: redis.lease, redisPrefix: '', redisCluster: [], cacheTtlS: 60 })
  const hear = (position: string) => store.heard('cache-a', laravel(position), at(position))
  const read = async () => JSON.parse(String((await store.read('cache-a'))?.payload ?? '{"data":null}')).data
  return { redis, store, hear, read }
}

describe('what Redis has not written yet', () => {
  it('is read all the same, also when the writing begins after the question', async () => {
    const { redis, hear, read } = start()
    hear('1.1.1')
    const before = read()
    await nextTurn()
    const after = read()
    expect(redis.waiting).toBe(2)
    await redis.answer()
    await redis.answer()
    expect(await Promise.all([before, after])).toEqual(['1.1.1', '1.1.1'])
  })

  it('is read by who shares a question that was put before it was heard', async () => {
    const { redis, hear, read } = start()
    redis.stored.set('sse:cache:cache-a', { position: '1.1.1', payload: laravel('1.1.1') })
    const early = read()
    hear('1.1.2')
    await nextTurn()
    const late = read()
    expect(redis.reads).toBe(1)
    await redis.answer()
    expect(await Promise.all([early, late])).toEqual(['1.1.1', '1.1.2'])
  })

  it('gives way to what another node has written since', async () => {
    const { redis, hear, read } = start()
    hear('1.1.2')
    const asked = read()
    redis.stored.set('sse:cache:cache-a', { position: '1.1.3', payload: laravel('1.1.3') })
    await redis.answer()
    expect(await asked).toBe('1.1.3')
  })
})

it('asks once for all who ask at the same time, and anew for who asks later', async () => {
  const { redis, read } = start()
  const together = Promise.all(Array.from({ length: 100 }, read))
  await redis.answer()
  await together
  expect(redis.reads).toBe(1)
  const later = read()
  await redis.answer()
  await later
  expect(redis.reads).toBe(2)
})

it('writes the newest alone of what came while it was writing', async () => {
  const { redis, hear, store } = start()
  hear('1.1.1')
  await nextTurn()
  for (const position of ['1.1.2', '1.1.3', '1.1.4']) hear(position)
  await redis.answer()
  await redis.answer()
  await store.stop()
  expect(redis.writes).toBe(2)
  expect(redis.stored.get('sse:cache:cache-a')?.position).toBe('1.1.4')
})

it('gives up what waits when Redis is away, and writes what comes next', async () => {
  const { redis, hear, store, read } = start()
  hear('1.1.1')
  await nextTurn()
  hear('1.1.2')
  await redis.answer({ isAway: true })
  await store.stop()
  expect(redis.writes).toBe(1)
  hear('1.1.3')
  await nextTurn()
  await redis.answer()
  const asked = read()
  await redis.answer()
  expect(await asked).toBe('1.1.3')
})

it('ends when what waits is written', async () => {
  const { redis, hear, store } = start()
  hear('1.1.1')
  let isStopped = false
  const stopped = store.stop().then(() => {
    isStopped = true
  })
  await nextTurn()
  expect(isStopped).toBe(false)
  await redis.answer()
  await stopped
  expect(redis.stored.size).toBe(1)
})
