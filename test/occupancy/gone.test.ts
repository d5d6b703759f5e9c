import { beforeEach, describe, expect, it } from 'vitest'
import { Gone } from '../../src/occupancy/gone.ts'

describe('sockets that have just gone', () => {
  let gone: Gone
  beforeEach(() => {
    gone = new Gone()
  })

  const from = (channel: string) => [...gone.from(channel)].sort()

  it('are kept by channel until their time is up', () => {
    gone.add('orders', '1.1', 100)
    gone.add('news', '1.1', 300)
    gone.add('orders', '2.2', 200)
    expect([from('orders'), from('news'), from('other')]).toEqual([['1.1', '2.2'], ['1.1'], []])
    expect(gone.expire(99)).toEqual(new Set())
    expect(gone.expire(100)).toEqual(new Set(['orders']))
    expect(from('orders')).toEqual(['2.2'])
    expect(gone.expire(300)).toEqual(new Set(['orders', 'news']))
    expect([...gone.channels()]).toEqual([])
  })

  it('have the time that was said last', () => {
    gone.add('orders', '1.1', 100)
    gone.add('orders', '1.1', 300)
    expect(gone.expire(200)).toEqual(new Set())
    gone.add('orders', '1.1', 250)
    expect(gone.expire(250)).toEqual(new Set(['orders']))
  })

  it('are no longer gone from a channel they come back to', () => {
    gone.add('orders', '1.1', 100)
    gone.add('news', '1.1', 100)
    gone.delete('orders', '1.1')
    gone.delete('orders', '2.2')
    expect([from('orders'), from('news'), [...gone.channels()]]).toEqual([[], ['1.1'], ['news']])
  })

  it('are forgotten everywhere at once', () => {
    gone.add('orders', '1.1', 100)
    gone.add('news', '1.1', 100)
    gone.add('news', '2.2', 100)
    expect(gone.forget('1.1')).toEqual(['orders', 'news'])
    expect(gone.forget('1.1')).toEqual([])
    expect([from('orders'), from('news'), [...gone.channels()]]).toEqual([[], ['2.2'], ['news']])
  })
})
