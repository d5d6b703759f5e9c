import { describe, expect, it } from 'vitest'
import {
  formParameters,
  jsonParameters,
  type Parameters,
  queryParameters,
  readStreamRequest,
} from '../../src/http/stream-request.ts'

const LIMITS = { maxChannels: 100, heartbeatMs: 15_000 }

function fromQuery(query: string, headerId?: string) {
  return readStreamRequest(queryParameters(`/stream?${query}`), headerId, LIMITS)
}

function channelsOf(parameters: Parameters) {
  return readStreamRequest(parameters, undefined, LIMITS).channels
}

describe('channels', () => {
  it.each([
    ['channels=a,b', ['a', 'b']],
    ['channels=a%2Cb', ['a', 'b']],
    ['channels=a%252Cb', ['a%2Cb']],
    ['channels=,a,,b,', ['a', 'b']],
    ['channels=a,a&channel=a', ['a']],
    ['channels=a&channels=b', ['a', 'b']],
    ['channel=a,b&channel=c', ['a,b', 'c']],
    ['channel[]=a&channel[]=b', ['a', 'b']],
    ['channel%5B0%5D=a,b', ['a,b']],
    ['channel=', []],
    ['channels=', []],
    ['channels', []],
    ['channels=caf%C3%A9', ['café']],
    ['channels=%ff', ['\ufffd']],
    ['channels=%', ['%']],
    ['channels=__proto__,constructor,toString', ['__proto__', 'constructor', 'toString']],
  ])('of ?%s are %j', (query, channels) => {
    expect(fromQuery(query).channels).toEqual(channels)
  })

  it('come from a form like from a query', () => {
    expect(channelsOf(formParameters('channels=a%2Cb&channel=c,d'))).toEqual(['a', 'b', 'c,d'])
  })

  it('come from JSON as a text to split or as a list of names', () => {
    expect(channelsOf(jsonParameters({ channels: 'a,b' }))).toEqual(['a', 'b'])
    expect(channelsOf(jsonParameters({ channels: ['a,b', 'c', ''] }))).toEqual(['a,b', 'c'])
    expect(channelsOf(jsonParameters({ channel: ['a,b', 'c'] }))).toEqual(['a,b', 'c'])
    expect(channelsOf(jsonParameters({ channels: [] }))).toEqual([])
  })

  it('are missed when there are none, and may be none when that is said', () => {
    expect(() => fromQuery('mode=poll')).toThrow(expect.objectContaining({ code: 'missing_channels' }))
    expect(() => channelsOf(jsonParameters({}))).toThrow(expect.objectContaining({ code: 'missing_channels' }))
    expect(() => channelsOf(jsonParameters({ channels: null }))).toThrow(
      expect.objectContaining({ code: 'missing_channels' }),
    )
  })

  it('are at most as many as configured, counted once each', () => {
    const names = Array.from({ length: 101 }, (_, index) => `c${index}`)
    expect(fromQuery(`channels=${names.slice(1)},c1,c2`).channels).toHaveLength(100)
    expect(() => fromQuery(`channels=${names}`)).toThrow(
      expect.objectContaining({ code: 'too_many_channels', message: expect.stringContaining('101') }),
    )
  })
})

describe('the other parameters', () => {
  it('have defaults', () => {
    expect(fromQuery('channels=a')).toEqual({
      channels: ['a'],
      fresh: new Set(),
      lastEventId: null,
      socketId: undefined,
      key: undefined,
      mode: 'stream',
      waitMs: 25_000,
      heartbeatMs: 15_000,
    })
  })

  it('are ignored when unknown', () => {
    expect(fromQuery('channels=a&_=1&token=x&wat[]=1')).toEqual(fromQuery('channels=a'))
    expect(jsonParameters({ channels: 'a', unknown: { deep: [true] } })).toEqual(new Map([['channels', ['a']]]))
  })

  it('take the header before the parameter for the last id', () => {
    expect(fromQuery('channels=a&lastEventId=1.2.3').lastEventId).toBe('1.2.3')
    expect(fromQuery('channels=a&lastEventId=1.2.3', '4.5.6').lastEventId).toBe('4.5.6')
  })

  it('name what was just joined, but not to a browser that repeats its old address', () => {
    expect(fromQuery('channels=a,b&fresh=b').fresh).toEqual(new Set(['b']))
    expect(fromQuery('channels=a,b&fresh=b', '4.5.6').fresh).toEqual(new Set())
  })

  it.each([
    ['wait=0', { waitMs: 0 }],
    ['wait=2.5', { waitMs: 2500 }],
    ['wait=3600', { waitMs: 25_000 }],
    ['wait=', { waitMs: 25_000 }],
    ['heartbeat=5000', { heartbeatMs: 5000 }],
    ['heartbeat=1', { heartbeatMs: 2000 }],
    ['heartbeat=60000', { heartbeatMs: 15_000 }],
    ['mode=poll', { mode: 'poll' }],
    ['mode=', { mode: 'stream' }],
  ])('are brought inside their range: %s', (query, expected) => {
    expect(fromQuery(`channels=a&${query}`)).toMatchObject(expected)
  })

  it.each(['mode=sse', 'mode=POLL', 'wait=soon', 'wait=-1', 'wait=1e3', 'wait=NaN', 'heartbeat=0x10', 'heartbeat=1s'])(
    'are refused with their name when they make no sense: %s',
    (query) => {
      const name = query.split('=')[0] as string
      expect(() => fromQuery(`channels=a&${query}`)).toThrow(
        expect.objectContaining({ code: 'invalid_parameter', message: expect.stringContaining(name) }),
      )
    },
  )
})

describe('a JSON body', () => {
  it.each([[null], [[]], ['text'], [5], [true], [undefined]])('is an object, not %j', (body) => {
    expect(() => jsonParameters(body)).toThrow(expect.objectContaining({ code: 'invalid_body' }))
  })

  it.each([
    [{ channels: { a: 1 } }],
    [{ channels: [['a']] }],
    [{ channels: [null] }],
    [{ channels: true }],
    [{ mode: {} }],
  ])('holds texts, numbers and lists of texts, not %j', (body) => {
    expect(() => jsonParameters(body)).toThrow(expect.objectContaining({ code: 'invalid_body' }))
  })
})
