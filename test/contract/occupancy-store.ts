import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OccupancyStore } from '../../src/occupancy/store.ts'

export type OccupancyStoreHarness = {
  /** Started. */
  readonly store: OccupancyStore
  close(): Promise<void>
}

const NOT_SOON_MS = 600_000

/** Behaviour every OccupancyStore has, wherever it remembers. */
export function occupancyStoreContract(name: string, makeHarness: () => Promise<OccupancyStoreHarness>): void {
  describe(`${name}, as an OccupancyStore`, () => {
    let store: OccupancyStore
    let harness: OccupancyStoreHarness
    beforeEach(async () => {
      harness = await makeHarness()
      store = harness.store
    })
    afterEach(() => harness.close())

    const report = (counts: Record<string, number>, vacatedAfterMs = NOT_SOON_MS) =>
      store.report(new Map(Object.entries(counts)), vacatedAfterMs)

    it('answers the total of each channel, and which of them are new', async () => {
      expect(await report({ orders: 2, 'private-a': 1 })).toEqual([
        { channel: 'orders', total: 2, isChanged: true, isNew: true },
        { channel: 'private-a', total: 1, isChanged: true, isNew: true },
      ])
      expect(await report({ orders: 3 })).toEqual([{ channel: 'orders', total: 3, isChanged: true, isNew: false }])
    })

    it('changes nothing by what is repeated, and does nothing for nobody', async () => {
      await report({ orders: 2 })
      expect(await report({ orders: 2, empty: 0 })).toEqual([
        { channel: 'orders', total: 2, isChanged: false, isNew: false },
        { channel: 'empty', total: 0, isChanged: false, isNew: false },
      ])
      expect(await report({})).toEqual([])
      await report({ orders: 0, empty: 0 }, 0)
      expect(await store.takeVacated()).toEqual(['orders'])
    })

    it('gives a channel that was left to whoever asks first, once, and then it is new again', async () => {
      await report({ orders: 2, news: 1 })
      expect(await store.takeVacated()).toEqual([])
      expect(await report({ orders: 0 }, 0)).toEqual([{ channel: 'orders', total: 0, isChanged: true, isNew: false }])
      expect(await store.takeVacated()).toEqual(['orders'])
      expect(await store.takeVacated()).toEqual([])
      expect(await report({ orders: 1 })).toMatchObject([{ isNew: true }])
    })

    it('waits for so long, and for nothing when somebody has come back', async () => {
      await report({ left: 1, back: 1, twice: 1 })
      await report({ left: 0, back: 0, twice: 0 })
      expect(await store.takeVacated()).toEqual([])
      expect(await report({ back: 1, twice: 1 })).toMatchObject([{ isNew: false }, { isNew: false }])
      await report({ back: 0, twice: 0 }, 0)
      await report({ back: 1 })
      expect(await store.takeVacated()).toEqual(['twice'])
      await report({ back: 0 }, 0)
      expect(await store.takeVacated()).toEqual(['back'])
    })

    it('counts from the last time a channel was left', async () => {
      await report({ orders: 1 })
      await report({ orders: 0 }, 0)
      await report({ orders: 1 })
      await report({ orders: 0 })
      expect(await store.takeVacated()).toEqual([])
    })

    it('finds at other nodes none of its own', async () => {
      await report({ orders: 2 })
      expect(await store.elsewhere('orders')).toBe(0)
      expect(await store.elsewhere('unknown')).toBe(0)
      expect(await store.allElsewhere('')).toEqual(new Map())
    })

    it('takes more channels at once than fit into one command', async () => {
      const names = Array.from({ length: 2500 }, (_, index) => `room.${index}`)
      const all = (sockets: number) => new Map(names.map((name) => [name, sockets]))
      const reported = await store.report(all(1), NOT_SOON_MS)
      expect(reported.map(({ channel }) => channel)).toEqual(names)
      expect(new Set(reported.map(({ total, isNew }) => `${total} ${isNew}`))).toEqual(new Set(['1 true']))
      await store.report(all(0), 0)
      expect([...(await store.takeVacated())].sort()).toEqual([...names].sort())
    })

    it.each(['__proto__', 'constructor', 'step', '0', '{x}', '}{', 'größe', 'a"b\\c', '😀*?[%', 'x'.repeat(200)])(
      'takes a channel named %s',
      async (channel) => {
        expect(await store.report(new Map([[channel, 7]]), NOT_SOON_MS)).toEqual([
          { channel, total: 7, isChanged: true, isNew: true },
        ])
        await store.report(new Map([[channel, 0]]), 0)
        expect(await store.takeVacated()).toEqual([channel])
      },
    )
  })
}
