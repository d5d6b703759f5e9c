import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Clock, parseMarker } from '../../src/broker/clock.ts'
import { comparePositions, formatPosition } from '../../src/history/position.ts'
import { BrokerDiary } from '../support/broker-diary.ts'

type Heard = { interval: number; count: number } | null

function start() {
  const listener = new BrokerDiary()
  const clock = new Clock(listener)
  return {
    clock,
    news: () => listener.news(),
    mark: (number: number, heard: Heard = null, epoch = 7) => clock.marker({ epoch, number, heard }),
    hear: (...texts: string[]) => {
      for (const text of texts) clock.message('a', Buffer.from(text))
    },
  }
}

/** A clock that has heard marker 5 and is in order. */
function running() {
  const stage = start()
  stage.mark(5)
  stage.news()
  return stage
}

describe('a marker’s text', () => {
  it('says epoch, number and what its sender heard', () => {
    expect(parseMarker('1700000000000000 12 11 345')).toEqual({
      epoch: 1_700_000_000_000_000,
      number: 12,
      heard: { interval: 11, count: 345 },
    })
    expect(parseMarker('5 1 -')).toEqual({ epoch: 5, number: 1, heard: null })
  })

  it.each([
    '',
    '5',
    '5 1',
    '5 1 2',
    '5 1 - ',
    ' 5 1 -',
    '5 1 2 3 4',
    '-5 1 -',
    '5  1 -',
    'a b c',
    '9999999999999999 1 -',
  ])('%j is none', (text) => expect(parseMarker(text)).toBeNull())

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void parseMarker(text)),
      { numRuns: 5000 },
    )
  })
})

describe('the first marker', () => {
  it('is the start, and what came before it follows without a place of its own', () => {
    const { hear, mark, news, clock } = start()
    hear('x', 'y')
    expect([news(), clock.isWaiting]).toEqual([[], true])
    mark(5)
    expect(news()).toEqual(['hole restart 7.5.0', 'a x in 7.5.0', 'a y in 7.5.0'])
    expect(clock.isWaiting).toBe(false)
    hear('z')
    expect(news()).toEqual(['a z 7.5.1'])
  })
})

describe('messages', () => {
  it('are counted from marker to marker', () => {
    const { hear, mark, news } = running()
    hear('x', 'y')
    mark(6)
    hear('z')
    expect(news()).toEqual(['a x 7.5.1', 'a y 7.5.2', 'advance 7.6.0', 'a z 7.6.1'])
  })
})

describe('a hole', () => {
  it('lies before a marker whose number is not the next', () => {
    const { hear, mark, news } = running()
    mark(8)
    hear('x')
    expect(news()).toEqual(['hole relay-lost 7.8.0', 'a x 7.8.1'])
  })

  it('lies before a new epoch', () => {
    const { hear, mark, news } = running()
    mark(1, null, 9)
    hear('x')
    expect(news()).toEqual(['hole restart 9.1.0', 'a x 9.1.1'])
  })

  it('reaches from the loss of the connection to the next marker, even to the very next number', () => {
    const { hear, mark, news, clock } = running()
    clock.lost()
    expect(clock.isWaiting).toBe(true)
    hear('x')
    expect(news()).toEqual([])
    mark(6)
    hear('y')
    expect(news()).toEqual(['hole relay-lost 7.6.0', 'a x in 7.6.0', 'a y 7.6.1'])
  })

  it('is one of a restart when the connection comes back to another server', () => {
    const { mark, news, clock } = running()
    clock.lost()
    mark(1, null, 9)
    expect(news()).toEqual(['hole restart 9.1.0'])
  })

  it('is told once, however often the connection was lost before it', () => {
    const { hear, mark, news, clock } = running()
    clock.lost()
    hear('x')
    clock.lost()
    hear('y')
    mark(9)
    mark(10)
    expect(news()).toEqual(['hole relay-lost 7.9.0', 'a x in 7.9.0', 'a y in 7.9.0', 'advance 7.10.0'])
  })
})

describe('a marker that was heard before', () => {
  it('says nothing: positions never go back', () => {
    const { hear, mark, news } = running()
    hear('x')
    mark(5)
    mark(4)
    hear('y')
    expect(news()).toEqual(['a x 7.5.1', 'a y 7.5.2'])
  })
})

describe('what another gateway counted', () => {
  it('is a hole when it is not what was heard here', () => {
    const { hear, mark, news } = running()
    hear('x', 'y')
    mark(6)
    news()
    mark(7, { interval: 5, count: 3 })
    expect(news()).toEqual(['hole relay-lost 7.7.0'])
    mark(8, { interval: 6, count: 0 })
    expect(news()).toEqual(['advance 7.8.0'])
  })

  it('is no hole when it agrees, speaks of another interval, or when one of the two heard only a part', () => {
    const { hear, mark, news } = running()
    hear('x', 'y')
    mark(6)
    news()
    mark(7, { interval: 5, count: 2 })
    mark(8, { interval: 5, count: 99 })
    mark(9, null)
    expect(news()).toEqual(['advance 7.7.0', 'advance 7.8.0', 'advance 7.9.0'])
  })

  it('is what this one says as well, of whole intervals only', () => {
    const { hear, mark, clock } = start()
    expect(clock.heard).toBeNull()
    hear('before')
    mark(5)
    expect(clock.heard).toBeNull()
    hear('x', 'y')
    mark(6)
    expect(clock.heard).toEqual({ interval: 5, count: 2 })
    mark(7)
    expect(clock.heard).toEqual({ interval: 6, count: 0 })
    clock.lost()
    expect(clock.heard).toBeNull()
    mark(8)
    expect(clock.heard).toBeNull()
  })
})

describe('very much that waits for a marker', () => {
  it('is not kept beyond a bound: the hole tells of it', () => {
    const { clock, mark, news } = start()
    for (let count = 0; count < 20; count += 1) clock.message('a', Buffer.alloc(1024 * 1024))
    mark(5)
    // 16 MiB, with what it costs to keep each.
    expect(news()).toHaveLength(1 + 15)
    clock.lost()
    for (let count = 0; count < 200_000; count += 1) clock.message('a', Buffer.alloc(0))
    mark(6)
    expect(news().length).toBeLessThan(170_000)
    clock.lost()
    clock.message('a', Buffer.from('x'))
    mark(7)
    expect(news()).toEqual(['hole relay-lost 7.7.0', 'a x in 7.7.0'])
  })
})

describe('two gateways on one order', () => {
  const item = fc.oneof(
    { weight: 4, arbitrary: fc.constant('message' as const) },
    { weight: 1, arbitrary: fc.constant('marker' as const) },
  )

  it('give every message the same place, whenever they began to listen', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), fc.nat(60), (order, late) => {
        const [early, other] = [new BrokerDiary(), new BrokerDiary()]
        const [one, two] = [new Clock(early), new Clock(other)]
        let number = 0
        order.forEach((what, index) => {
          if (what === 'marker') number += 1
          for (const clock of index < late ? [one] : [one, two]) {
            if (what === 'marker') clock.marker({ epoch: 7, number, heard: one.heard })
            else clock.message('a', Buffer.from(String(index)))
          }
        })
        const places = new Map(early.messages.map(({ payload, position }) => [`${payload}`, formatPosition(position)]))
        for (const { payload, position, hasId } of other.messages) {
          if (hasId) expect(formatPosition(position)).toBe(places.get(`${payload}`))
        }
        for (const { positions } of [early, other]) expect(positions).toEqual([...positions].sort(comparePositions))
      }),
      { numRuns: 1000 },
    )
  })
})
