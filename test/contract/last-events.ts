import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LastEvents } from '../../src/cache/last-events.ts'
import { at, laravel } from '../support/history.ts'

export type LastEventsHarness = {
  readonly here: LastEvents
  /** What another gateway of the service knows; the same where there is only one. */
  readonly there: LastEvents
  /** So many seconds go by. */
  wait(seconds: number): Promise<void>
  close(): Promise<void>
}

export const TTL_S = 100
const CHANNEL = 'cache-stock'

/** Behaviour every LastEvents has, wherever it remembers. */
export function lastEventsContract(name: string, makeHarness: (ttlS: number) => Promise<LastEventsHarness>): void {
  describe(`${name}, as LastEvents`, () => {
    let harness: LastEventsHarness
    beforeEach(async () => {
      harness = await makeHarness(TTL_S)
    })
    afterEach(() => harness.close())

    const hear = (position: string, text = position, channel = CHANNEL) =>
      harness.here.heard(channel, laravel(text), at(position))
    const textOf = (event: Awaited<ReturnType<LastEvents['read']>>) =>
      event === null ? null : JSON.parse(event.payload.toString()).data
    const here = async (channel = CHANNEL) => textOf(await harness.here.read(channel))
    const there = async (channel = CHANNEL) => textOf(await harness.there.read(channel))

    it('knows nothing of a channel where nothing was heard', async () => {
      hear('1.1.1')
      expect(await here('cache-other')).toBeNull()
      expect(await there('cache-other')).toBeNull()
    })

    it('reads at once what was heard, byte for byte', async () => {
      const payload = Buffer.from('{"event":"E","data":{"n":9007199254740993,"t":"é\\/\\n\u{1f600}"},"socket":null}')
      harness.here.heard(CHANNEL, payload, at('1700000000000123.12.3'))
      const event = await harness.here.read(CHANNEL)
      expect(event).toEqual({ payload, position: at('1700000000000123.12.3'), ttlS: TTL_S })
      await expect.poll(() => harness.there.read(CHANNEL)).toMatchObject({ payload })
    })

    it('keeps channels apart, whatever they are called', async () => {
      const names = [
        'cache-a',
        'cache-',
        'private-cache-a',
        'cache-{a}',
        'cache-{b',
        'cache-a:b',
        'cache-a b',
        'cache-é',
      ]
      for (const [index, name] of names.entries()) hear(`1.1.${index + 1}`, name, name)
      for (const name of names) await expect.poll(() => there(name)).toBe(name)
      expect(await Promise.all(names.map((name) => here(name)))).toEqual(names)
    })

    it('keeps the newest by its position, in whatever order they are told', async () => {
      for (const position of ['1.9.5', '1.10.1', '1.9.12', '1.10.0']) {
        hear(position)
        // Told one by one and not in one piece.
        await expect.poll(there).not.toBeNull()
      }
      expect(await here()).toBe('1.10.1')
      hear('1.10.2')
      expect(await here()).toBe('1.10.2')
      await expect.poll(there).toBe('1.10.2')
    })

    it('takes the later one where positions are the same: they were heard before their place was known', async () => {
      hear('1.10.0', 'first')
      await expect.poll(there).toBe('first')
      hear('1.10.0', 'second')
      await expect.poll(there).toBe('second')
    })

    it.each([
      ['2.1.1', '1.7.7'],
      ['1.7.7', '2.1.1'],
    ])('takes the later one where the order is another: %s, then %s', async (first, second) => {
      hear(first)
      await expect.poll(there).toBe(first)
      hear(second)
      expect(await here()).toBe(second)
      await expect.poll(there).toBe(second)
    })

    it('forgets what is too old, and counts anew from each event on', async () => {
      await harness.close()
      harness = await makeHarness(3)
      hear('1.1.1')
      hear('1.1.1', 'other', 'cache-other')
      await expect.poll(() => there('cache-other')).toBe('other')
      await harness.wait(1.8)
      hear('1.1.2')
      await expect.poll(there).toBe('1.1.2')
      await harness.wait(1.8)
      expect(await here('cache-other')).toBeNull()
      expect(await there()).toBe('1.1.2')
      expect((await harness.there.read(CHANNEL))?.ttlS).toBe(2)
    })

    it('keeps nothing where nothing is to be kept', async () => {
      await harness.close()
      harness = await makeHarness(0)
      hear('1.1.1')
      expect(await here()).toBeNull()
      expect(await there()).toBeNull()
    })
  })
}
