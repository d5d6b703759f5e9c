import { describe, expect, it } from 'vitest'
import { MemoryBroker } from '../../src/broker/memory.ts'
import { brokerContract } from '../contract/broker.ts'
import { RecordingListener } from '../support/recording-listener.ts'

brokerContract('MemoryBroker', async () => {
  const broker = new MemoryBroker()
  return { broker, close: () => broker.stop() }
})

describe('the memory broker', () => {
  it('begins a greater epoch at each start, so that ids only grow', async () => {
    const epochs: number[] = []
    for (const ms of [1000, 1001, 1002]) {
      const listener = new RecordingListener()
      await new MemoryBroker({ now: () => ms }).start(listener)
      epochs.push(listener.head?.epoch ?? 0)
    }
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b))
  })

  it('has an epoch that a position can hold exactly', async () => {
    const listener = new RecordingListener()
    await new MemoryBroker().start(listener)
    expect(Number.isSafeInteger(listener.head?.epoch)).toBe(true)
  })

  it('numbers what it hears', async () => {
    const listener = new RecordingListener()
    const broker = new MemoryBroker()
    await broker.start(listener)
    await broker.publish(['a', 'b'], 'x')
    expect(listener.messages.map(({ position }) => [position.marker, position.count])).toEqual([
      [0, 1],
      [0, 2],
    ])
  })

  it('remembers for ten minutes that something was published once', async () => {
    let nowMs = 0
    const listener = new RecordingListener()
    const broker = new MemoryBroker({ now: () => nowMs })
    await broker.start(listener)
    for (const [atMs, once] of [
      [0, 'early'],
      [300_000, 'late'],
      [599_999, 'early'],
      [600_000, 'early'],
      [600_001, 'late'],
    ] as const) {
      nowMs = atMs
      await broker.publishAll([{ channels: ['a'], payload: `${once} ${atMs}`, once }])
    }
    expect(listener.messages.map(({ payload }) => payload)).toEqual(['early 0', 'late 300000', 'early 600000'])
  })

  it('has a secret of its own', async () => {
    expect(await new MemoryBroker().sharedSecret()).not.toBe(await new MemoryBroker().sharedSecret())
  })
})
