import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { encodeBroadcast } from '../../src/channels/broadcast.ts'
import { PrefixWatch } from '../../src/relay/prefix-watch.ts'
import { Log } from '../support/log.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const BROADCAST = encodeBroadcast('App\\Events\\OrderShipped', '{"secret":"4711"}', null)

function startWatch({ configured = 'shop_', alternatives = [] as string[] } = {}) {
  const log = new Log()
  let hear: ((name: string, payload: Buffer) => void) | null = null
  const onOtherPrefix = vi.fn()
  const watch = new PrefixWatch({
    configured,
    alternatives,
    logger: log.logger,
    onOtherPrefix,
    hearAll: (onMessage) => {
      hear = onMessage
      return () => {
        hear = null
      }
    },
  })
  watch.start()
  return {
    watch,
    onOtherPrefix,
    isHearing: () => hear !== null,
    publish: (name: string, payload = BROADCAST) => hear?.(name, Buffer.from(payload)),
    said: () => log.lines.map(({ msg }) => msg),
  }
}

describe('broadcasts under another prefix', () => {
  it('are counted, and the prefix is named once, with the flag', () => {
    const { publish, said, onOtherPrefix, isHearing } = startWatch()
    publish('acme_database_private-orders.1')
    publish('acme_database_orders')
    publish('other_private-x')
    expect(said()).toEqual([
      'Broadcasts arrive on Redis under the prefix "acme_database_", but none yet under "shop_": ' +
        "if they are this application's, set --redis-prefix acme_database_ or REDIS_PREFIX.",
    ])
    expect(onOtherPrefix).toHaveBeenCalledTimes(3)
    expect(isHearing()).toBe(true)
  })

  it('are named when no prefix is configured, for public channels too', () => {
    const { publish, said, onOtherPrefix } = startWatch({ configured: '' })
    publish('orders')
    expect(said()).toEqual([])
    publish('laravel_database_orders')
    expect(said()).toEqual([
      'Broadcasts arrive on Redis under the prefix "laravel_database_", but --redis-prefix is empty: ' +
        'set --redis-prefix laravel_database_ or REDIS_PREFIX.',
    ])
    // They reach the relay, which counts what it passes over by itself.
    expect(onOtherPrefix).not.toHaveBeenCalled()
  })

  it('may have none', () => {
    const { publish, said } = startWatch()
    publish('private-orders.1')
    expect(said()).toEqual([
      'Broadcasts arrive on Redis without a prefix, but none yet under "shop_": ' +
        "if they are this application's, set --redis-prefix=''.",
    ])
  })

  it('may have one that the application could have', () => {
    const { publish, said } = startWatch({ configured: 'shop_', alternatives: ['shop-'] })
    publish('shop-orders')
    expect(said().join()).toMatch(/set --redis-prefix shop- or/)
  })

  it.each([
    ["it's_private-x", "--redis-prefix='it'\\''s_' or"],
    ['-database-private-x', '--redis-prefix=-database- or'],
    ['a b_private-x', "--redis-prefix='a b_' or"],
  ])('are told with a flag that a shell takes: %j', (name, flag) => {
    const { publish, said } = startWatch()
    publish(name)
    expect(said().join()).toContain(flag)
  })

  it('that do not tell it are compared for some seconds', () => {
    const { publish, said } = startWatch()
    publish('acme:orders')
    publish('acme:news')
    expect(said()).toEqual([])
    vi.advanceTimersByTime(5000)
    expect(said().join()).toMatch(/under the prefix "acme:", .* set --redis-prefix acme: or REDIS_PREFIX/)
  })

  it('that do not tell it even then are named themselves', () => {
    const { publish, said } = startWatch()
    publish('orders')
    vi.advanceTimersByTime(5000)
    expect(said().join()).toMatch(/on "orders" for one, but none yet under "shop_"/)
  })

  it('are told without a word of what they say', () => {
    const { publish, said } = startWatch()
    publish('acme_private-x')
    expect(said()).toHaveLength(1)
    expect(said().join()).not.toContain('4711')
  })
})

describe('what is no broadcast', () => {
  it.each([
    ['other_private-x', 'i:1;'],
    ['other_private-x', ''],
    ['other_private-x', '{"event":'],
    // laravel-echo-server's own.
    ['PresenceChannelUpdated', '{"event":{"channel":"presence-room","members":[]}}'],
    [`${'a'.repeat(300)}_private-x`, BROADCAST],
    ['__keyspace@0__:acme_database_private-x', 'set'],
  ])('is passed over: %j %j', (name, payload) => {
    const { publish, said, onOtherPrefix } = startWatch()
    publish(name, payload)
    vi.advanceTimersByTime(5000)
    expect(said()).toEqual([])
    expect(onOtherPrefix).not.toHaveBeenCalled()
  })
})

describe('the watch ends', () => {
  it.each([
    ['shop_', 'shop_orders'],
    ['shop_', 'shop_private-orders.1'],
    ['', 'private-orders.1'],
  ])('with prefix %j at the first broadcast on %j', (configured, name) => {
    const { publish, said, isHearing } = startWatch({ configured })
    publish('elsewhere')
    publish(name)
    expect(isHearing()).toBe(false)
    vi.advanceTimersByTime(5000)
    expect(said()).toEqual([])
  })

  it('after ten minutes', () => {
    const { isHearing } = startWatch()
    vi.advanceTimersByTime(10 * 60_000 - 1)
    expect(isHearing()).toBe(true)
    vi.advanceTimersByTime(1)
    expect(isHearing()).toBe(false)
  })

  it('after 10,000 messages', () => {
    const { publish, isHearing, said } = startWatch()
    publish('elsewhere')
    for (let count = 2; count <= 10_000; count += 1) publish('counter', '1')
    expect(isHearing()).toBe(true)
    expect(said()).toEqual([])
    publish('counter', '1')
    expect(isHearing()).toBe(false)
    expect(said().join()).toMatch(/on "elsewhere" for one/)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('when it is stopped, also twice', () => {
    const { watch, isHearing, publish, said } = startWatch()
    publish('elsewhere')
    watch.stop()
    watch.stop()
    expect(isHearing()).toBe(false)
    vi.advanceTimersByTime(5000)
    expect(said()).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
