import type { Logger } from 'pino'
import { describe, expect, it } from 'vitest'
import { LifeLog } from '../src/log.ts'

function start() {
  const lines: { fields: object; text: string }[] = []
  const logger = { info: (fields: object, text: string) => lines.push({ fields, text }) } as unknown as Logger
  const clock = { nowMs: 0 }
  return { lines, clock, log: new LifeLog(logger, { now: () => clock.nowMs }) }
}

describe('the log of life events', () => {
  it('has one line for each event', () => {
    const { log, lines } = start()
    log.write({ socketId: '1.1' }, 'stream opened')
    log.write({ socketId: '1.1', reason: 'client' }, 'stream ended')
    expect(lines).toEqual([
      { fields: { socketId: '1.1' }, text: 'stream opened' },
      { fields: { socketId: '1.1', reason: 'client' }, text: 'stream ended' },
    ])
  })

  it('counts a storm instead of writing it, and says how many were left out', () => {
    const { log, lines, clock } = start()
    for (let count = 0; count < 250; count += 1) log.write({ count }, 'stream opened')
    expect(lines).toHaveLength(100)
    clock.nowMs = 1000
    log.write({}, 'stream ended')
    expect(lines.slice(100)).toEqual([
      { fields: { left: 150 }, text: expect.stringContaining('not written') },
      { fields: {}, text: 'stream ended' },
    ])
  })

  it('begins anew each second, and has nothing to add when nothing was left out', () => {
    const { log, lines, clock } = start()
    for (let second = 0; second < 3; second += 1) {
      clock.nowMs = second * 1000
      for (let count = 0; count < 100; count += 1) log.write({ second }, 'stream opened')
    }
    expect(lines).toHaveLength(300)
    expect(new Set(lines.map(({ text }) => text))).toEqual(new Set(['stream opened']))
  })
})
