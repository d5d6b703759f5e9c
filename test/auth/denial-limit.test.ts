import { beforeEach, describe, expect, it } from 'vitest'
import { DenialLimit } from '../../src/auth/denial-limit.ts'

describe('DenialLimit', () => {
  let now = 0
  let limit: DenialLimit
  beforeEach(() => {
    now = 1_000_000
    limit = new DenialLimit({ maxPerMinute: 2, now: () => now })
  })

  it('makes an address wait for the rest of the minute once it had its share of denials', () => {
    limit.count('192.0.2.1')
    expect(limit.waitMs('192.0.2.1')).toBe(0)
    now += 20_000
    limit.count('192.0.2.1')
    expect(limit.waitMs('192.0.2.1')).toBe(40_000)
    expect(limit.waitMs('192.0.2.2')).toBe(0)
    now += 40_000
    expect(limit.waitMs('192.0.2.1')).toBe(0)
  })

  it('takes all addresses of an IPv6 /64 for one caller', () => {
    limit.count('2001:db8::1')
    limit.count('2001:db8::2')
    expect(limit.waitMs('2001:db8:0:0:ffff::3')).toBeGreaterThan(0)
    expect(limit.waitMs('2001:db8:0:1::3')).toBe(0)
  })

  it('forgets the oldest address rather than grow without end', () => {
    limit.count('192.0.2.1')
    limit.count('192.0.2.1')
    for (let n = 0; n < 10_000; n++) limit.count(`10.1.${n >> 8}.${n & 255}`)
    expect(limit.waitMs('192.0.2.1')).toBe(0)
  })

  it('does not lock anybody out when the clock is set back', () => {
    limit.count('192.0.2.1')
    limit.count('192.0.2.1')
    now -= 3_600_000
    expect(limit.waitMs('192.0.2.1')).toBe(0)
  })
})
