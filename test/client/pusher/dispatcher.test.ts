import pusherJs from 'pusher-js'
import { describe, expect, it, vi } from 'vitest'
import { Dispatcher } from '../../../client/src/pusher/dispatcher.ts'

type Call = (dispatcher: Dispatcher, one: () => void, other: () => void, context: object) => unknown

// What is left of: `one` on a and b, `other` on a, and each once more with a context on b.
const UNBINDING: [title: string, call: Call, a: number, b: number][] = [
  ['everything', (on) => on.unbind(), 0, 0],
  ['everything of one event', (on) => on.unbind('a'), 0, 3],
  ['a listener from one event', (on, one) => on.unbind('a', one), 1, 3],
  ['a listener from all events', (on, one) => on.unbind(null, one), 1, 1],
  ['a listener from all events, named undefined', (on, one) => on.unbind(undefined, one), 1, 1],
  ['a context from one event', (on, _one, _other, context) => on.unbind('b', null, context), 2, 1],
  ['a context from all events', (on, _one, _other, context) => on.unbind(null, null, context), 2, 1],
  ['a listener with a context', (on, one, _other, context) => on.unbind('b', one, context), 2, 2],
  ['a listener with a context from all', (on, one, _other, context) => on.unbind(null, one, context), 2, 2],
  ['nothing of a listener that was never bound', (on) => on.unbind('a', () => {}), 2, 3],
  ['nothing of an event nobody listens to', (on) => on.unbind('c'), 2, 3],
]

// Its types say module where there is the class.
const PusherJs = pusherJs as unknown as {
  isReady: boolean
  new (key: string, options: object): { readonly global_emitter: Dispatcher }
}

/** What pusher-js dispatches with; as long as it is not ready, it connects to nobody. */
function dispatcherOfPusherJs(): Dispatcher {
  PusherJs.isReady = false
  return new PusherJs('key', { cluster: 'none' }).global_emitter
}

describe.each([
  ['ours', () => new Dispatcher()],
  ['that of pusher-js itself', dispatcherOfPusherJs],
])('a dispatcher: %s', (_whose, create) => {
  it('tells a listener of its event alone', () => {
    const listener = vi.fn()
    create().bind('a', listener).emit('a', 'data').emit('b', 'other')
    expect(listener.mock.calls).toEqual([['data']])
  })

  it('tells a listener as often as it was bound', () => {
    const listener = vi.fn()
    create().bind('a', listener).bind('a', listener).bind('a', listener, {}).emit('a', 1)
    expect(listener).toHaveBeenCalledTimes(3)
  })

  it('calls a listener with its context, or with the global object', () => {
    const context = {}
    const seen: unknown[] = []
    const listener = function (this: unknown) {
      seen.push(this)
    }
    create().bind('a', listener, context).bind('a', listener).emit('a')
    expect(seen).toEqual([context, globalThis])
    expect(seen[0]).toBe(context)
  })

  it.each([
    ['no argument without data', [undefined], []],
    ['no argument for data that is nothing, as pusher-js', [null], []],
    ['the data alone', [{ a: 1 }], [{ a: 1 }]],
    ['data and metadata', [{ a: 1 }, { user_id: '7' }], [{ a: 1 }, { user_id: '7' }]],
    ['data that is nothing with metadata', [null, {}], [null, {}]],
  ] as const)('gives %s', (_title, [data, metadata], expected) => {
    const listener = vi.fn()
    create().bind('a', listener).emit('a', data, metadata)
    expect(listener.mock.calls).toEqual([expected])
  })

  it('tells global listeners the name and the data, before the others', () => {
    const told: unknown[] = []
    const on = create()
      .bind('a', () => told.push('named'))
      .bind_global((...all) => told.push(all))
    on.emit('a', 1, { user_id: '7' }).emit('b')
    expect(told).toEqual([['a', 1], 'named', ['b', undefined]])
  })

  it.each(UNBINDING)('unbinds %s', (_title, unbind, a, b) => {
    const [one, other] = [vi.fn(), vi.fn()]
    const context = {}
    const on = create().bind('a', one).bind('a', other).bind('b', one)
    on.bind('b', one, context).bind('b', other, context)
    const global = vi.fn()
    on.bind_global(global)
    unbind(on, one, other, context)
    const count = () => one.mock.calls.length + other.mock.calls.length
    on.emit('a')
    expect(count()).toBe(a)
    on.emit('b')
    expect(count() - a).toBe(b)
    expect(global).toHaveBeenCalledTimes(2)
  })

  it('unbinds one global listener, or all, and no named one', () => {
    const [one, other, named] = [vi.fn(), vi.fn(), vi.fn()]
    const on = create().bind_global(one).bind_global(other).bind('a', named)
    on.unbind_global(one).emit('a')
    on.unbind_global().emit('a')
    expect([one, other, named].map(({ mock }) => mock.calls.length)).toEqual([0, 1, 2])
  })

  it('unbinds all there is', () => {
    const listener = vi.fn()
    create().bind('a', listener).bind_global(listener).unbind_all().emit('a')
    expect(listener).not.toHaveBeenCalled()
  })
})

describe('our dispatcher', () => {
  it('tells everybody of an event during which somebody unbinds or binds', () => {
    const on = new Dispatcher()
    const [last, late] = [vi.fn(), vi.fn()]
    on.bind('a', () => on.unbind('a', last).bind('a', late)).bind('a', last)
    on.emit('a')
    expect([last.mock.calls.length, late.mock.calls.length]).toEqual([1, 0])
    on.emit('a')
    expect([last.mock.calls.length, late.mock.calls.length]).toEqual([1, 1])
  })

  it('reports what a listener throws to the page, and tells the others', () => {
    const report = vi.fn()
    vi.stubGlobal('reportError', report)
    const error = new Error('of the page')
    const other = vi.fn()
    const fail = () => {
      throw error
    }
    new Dispatcher().bind_global(fail).bind('a', fail).bind('a', other).emit('a')
    vi.unstubAllGlobals()
    expect(report.mock.calls).toEqual([[error], [error]])
    expect(other).toHaveBeenCalledTimes(1)
  })

  it('takes any name for an event', () => {
    const listener = vi.fn()
    const on = new Dispatcher()
    for (const name of ['__proto__', 'constructor', 'toString', '']) on.bind(name, listener).emit(name, [name])
    expect(listener.mock.calls.flat(2)).toEqual(['__proto__', 'constructor', 'toString', ''])
  })
})
