import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AuthLane, AuthQueue, DROPPED } from '../../src/auth/auth-queue.ts'

/** Tasks that end when told, and a record of the order in which they began. */
function recorder() {
  const began: string[] = []
  const ends = new Map<string, () => void>()
  const run = (lane: AuthLane, name: string) =>
    lane.run(() => {
      began.push(name)
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)))
    })
  const end = async (name: string) => {
    ends.get(name)?.()
    await new Promise(setImmediate)
  }
  return { began, run, end }
}

describe('AuthQueue', () => {
  it('keeps to its number of calls in flight', async () => {
    const { began, run, end } = recorder()
    const lane = new AuthQueue({ concurrency: 2, perLane: 9 }).lane()
    for (const name of ['a', 'b', 'c', 'd']) run(lane, name)
    expect(began).toEqual(['a', 'b'])
    await end('b')
    expect(began).toEqual(['a', 'b', 'c'])
  })

  it('keeps to the number of one lane while others pass it', async () => {
    const { began, run, end } = recorder()
    const queue = new AuthQueue({ concurrency: 9, perLane: 1 })
    const [one, two] = [queue.lane(), queue.lane()]
    run(one, 'one.1')
    run(one, 'one.2')
    run(two, 'two.1')
    expect(began).toEqual(['one.1', 'two.1'])
    await end('one.1')
    expect(began).toEqual(['one.1', 'two.1', 'one.2'])
  })

  it('goes round: a request of one channel does not wait for all of a request of many', async () => {
    const { began, run, end } = recorder()
    const queue = new AuthQueue({ concurrency: 1, perLane: 1 })
    const [many, few] = [queue.lane(), queue.lane()]
    for (const name of ['m1', 'm2', 'm3', 'm4']) run(many, name)
    for (const name of ['f1', 'f2']) run(few, name)
    for (const name of ['m1', 'f1', 'm2', 'f2', 'm3']) await end(name)
    expect(began).toEqual(['m1', 'f1', 'm2', 'f2', 'm3', 'm4'])
  })

  it('drops what waits in a closed lane at once, and holds the slot of what runs until it ends', async () => {
    const { began, run, end } = recorder()
    const queue = new AuthQueue({ concurrency: 1, perLane: 1 })
    const [leaving, staying] = [queue.lane(), queue.lane()]
    const running = run(leaving, 'running')
    const waiting = run(leaving, 'waiting')
    run(staying, 'next')
    leaving.close()
    expect(await waiting).toBe(DROPPED)
    expect(await run(leaving, 'late')).toBe(DROPPED)
    expect([began, queue.inFlight]).toEqual([['running'], 1])
    await end('running')
    expect(await running).toBe('running')
    expect(began).toEqual(['running', 'next'])
  })

  it('gives a slot back when a task fails', async () => {
    const lane = new AuthQueue({ concurrency: 1, perLane: 1 }).lane()
    await expect(lane.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await lane.run(async () => 'next')).toBe('next')
  })

  it('answers every task once and never exceeds its bounds, whatever the order', async () => {
    const step = fc.record({ lane: fc.nat(4), close: fc.boolean(), turns: fc.nat(3) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, concurrency) => {
          const queue = new AuthQueue({ concurrency, perLane: 2 })
          const lanes = Array.from({ length: 5 }, () => ({ lane: queue.lane(), running: 0 }))
          const results: Promise<unknown>[] = []
          for (const { lane: index, close, turns } of steps) {
            const chosen = lanes[index]
            if (chosen === undefined) continue
            if (close) chosen.lane.close()
            const task = async () => {
              chosen.running++
              expect(chosen.running).toBeLessThanOrEqual(2)
              expect(queue.inFlight).toBeLessThanOrEqual(concurrency)
              for (let turn = 0; turn < turns; turn++) await null
              chosen.running--
            }
            results.push(chosen.lane.run(task))
            await null
          }
          await Promise.all(results)
          await new Promise(setImmediate)
          expect(queue.inFlight).toBe(0)
        },
      ),
    )
  })
})
