import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { printMember } from '../../src/presence/member.ts'
import type { PresenceNews, PresenceStore } from '../../src/presence/store.ts'
import type { PresenceEars } from '../support/presence-ears.ts'
import { storyOf } from '../support/presence-node.ts'

export type PresenceStoreHarness = {
  /** Started. */
  readonly store: PresenceStore
  /** Hears what it publishes. */
  readonly ears: PresenceEars
  /** Who came and who is gone, as it was told. */
  readonly news: readonly PresenceNews[]
  close(): Promise<void>
}

const ROOM = 'presence-room.1'
const ada = printMember({ id: '1', info: { name: 'Ada' } })
const bob = printMember({ id: '2', info: { name: 'Bob' } })
const eve = printMember({ id: '3', info: null })

/** Behaviour every PresenceStore has, wherever it remembers. */
export function presenceStoreContract(name: string, makeHarness: () => Promise<PresenceStoreHarness>): void {
  describe(`${name}, as a PresenceStore`, () => {
    let store: PresenceStore
    let ears: PresenceEars
    let harness: PresenceStoreHarness
    beforeEach(async () => {
      harness = await makeHarness()
      ;({ store, ears } = harness)
    })
    afterEach(() => harness.close())

    const join = (channel: string, ...joined: (typeof ada)[]) =>
      store.update({ channel, joined, left: [], isLast: false })
    const leave = (channel: string, left: string[], isLast = false) =>
      store.update({ channel, joined: [], left, isLast })

    let fences = 0
    /** Whatever was to be told has been told when this has. */
    async function untilAllIsTold(): Promise<void> {
      fences += 1
      const channel = `presence-fence.${fences}`
      await join(channel, eve)
      await ears.until((self) => self.on(channel).length > 0)
    }

    it('knows nobody on a channel where nobody is', async () => {
      expect(await store.read(ROOM)).toEqual({ version: 0, members: [], own: new Set() })
    })

    it('tells who joined, and shows them', async () => {
      await join(ROOM, ada)
      await untilAllIsTold()
      expect(ears.on(ROOM)).toEqual([{ channel: ROOM, version: expect.any(Number), joined: [ada], left: [] }])
      const { version } = ears.on(ROOM)[0] ?? {}
      expect(await store.read(ROOM)).toEqual({ version, members: [ada], own: new Set(['1']) })
    })

    it('tells who left, and shows them no more', async () => {
      await join(ROOM, ada, bob)
      await leave(ROOM, ['1'])
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1 +2', '-1'])
      expect(await store.read(ROOM)).toMatchObject({ members: [bob], own: new Set(['2']) })
    })

    it('raises the version by one with each change, and shows the last one', async () => {
      await join(ROOM, ada)
      await join(ROOM, bob)
      await leave(ROOM, ['1'])
      await untilAllIsTold()
      const [first = 0, ...others] = ears.on(ROOM).map(({ version }) => version)
      expect(first).toBeGreaterThan(0)
      expect(others).toEqual([first + 1, first + 2])
      expect((await store.read(ROOM)).version).toBe(first + 2)
    })

    it('tells nothing twice', async () => {
      for (let times = 0; times < 3; times += 1) await join(ROOM, ada, bob)
      for (let times = 0; times < 3; times += 1) await leave(ROOM, ['1'])
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1 +2', '-1'])
    })

    it('tells of nobody who left without having been there', async () => {
      await leave(ROOM, ['1'])
      await join(ROOM, ada)
      await leave(ROOM, ['2'])
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1'])
      await leave('presence-empty', ['1'], true)
      expect((await store.read('presence-empty')).version).toBe(0)
    })

    it('takes both directions in one step, as one change', async () => {
      await join(ROOM, ada)
      await store.update({ channel: ROOM, joined: [bob, eve], left: ['1'], isLast: false })
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1', '+2 +3 -1'])
    })

    it('tells of a user whose info is another now', async () => {
      await join(ROOM, ada)
      const renamed = printMember({ id: '1', info: { name: 'Ada Lovelace' } })
      await join(ROOM, renamed)
      await untilAllIsTold()
      expect(ears.on(ROOM).map(({ joined, left }) => [joined, left])).toEqual([
        [[ada], []],
        [[renamed], []],
      ])
      expect((await store.read(ROOM)).members).toEqual([renamed])
    })

    it('begins above all it has told before when a channel begins anew', async () => {
      for (let times = 0; times < 3; times += 1) {
        await join(ROOM, ada)
        await leave(ROOM, ['1'], true)
        expect(await store.read(ROOM)).toEqual({ version: 0, members: [], own: new Set() })
      }
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1', '-1', '+1', '-1', '+1', '-1'])
      const versions = ears.on(ROOM).map(({ version }) => version)
      expect(versions).toEqual([...new Set(versions)].sort((one, other) => one - other))
    })

    it('keeps channels apart', async () => {
      await join(ROOM, ada)
      await join('presence-room.2', ada, bob)
      await leave('presence-room.2', ['1'])
      expect((await store.read(ROOM)).members).toEqual([ada])
      expect((await store.read('presence-room.2')).members).toEqual([bob])
    })

    it('takes many users in one change', async () => {
      const crowd = Array.from({ length: 1000 }, (_, index) => printMember({ id: `u${index}`, info: { index } }))
      await join(ROOM, ...crowd)
      await leave(
        ROOM,
        crowd.map(({ id }) => id),
        true,
      )
      await untilAllIsTold()
      expect(ears.on(ROOM).map(({ joined, left }) => [joined.length, left.length])).toEqual([
        [1000, 0],
        [0, 1000],
      ])
    })

    it.each(['7', '07', 'v', '"v"', '', ' ', 'a b', 'a\nb', '__proto__', 'constructor', 'Zoë', '😀', '\0', '\ud800'])(
      'keeps a user whose id is %j apart from all others',
      async (id) => {
        const odd = printMember({ id, info: { id } })
        await join(ROOM, ada, odd, bob)
        await leave(ROOM, ['1', '2'])
        const { members, own } = await store.read(ROOM)
        expect({ members, own }).toEqual({ members: [odd], own: new Set([id]) })
        await leave(ROOM, [id], true)
        await untilAllIsTold()
        expect(ears.on(ROOM).at(-1)?.left).toEqual([id])
      },
    )

    it.each([
      'presence-__proto__',
      'presence-{x}',
      'presence-}{',
      'presence-größe',
      'presence-a"b\\c',
      'presence-😀*?[',
    ])('takes a channel named %s', async (channel) => {
      await join(channel, ada)
      await ears.until((self) => self.on(channel).length === 1)
      expect((await store.read(channel)).members).toEqual([ada])
      await leave(channel, ['1'], true)
      await ears.until((self) => self.on(channel).length === 2)
      expect(ears.story(channel)).toEqual(['+1', '-1'])
    })

    it('keeps info as it is, letter by letter', async () => {
      const json =
        '{"id":"1","info":{"__proto__":1,"big":12345678901234567890,"n":1.0,"é":"\\u00e9 \\n \\\\n 😀","x":[]}}'
      await join(ROOM, { id: '1', json })
      expect((await store.read(ROOM)).members).toEqual([{ id: '1', json }])
      await leave(ROOM, ['2'])
      await untilAllIsTold()
      expect(Object.keys((JSON.parse(ears.on(ROOM)[0]?.joined[0]?.json ?? '') as { info: object }).info)).toEqual([
        '__proto__',
        'big',
        'n',
        'é',
        'x',
      ])
    })

    describe('when it says who came and who is gone', () => {
      const story = () => storyOf(harness.news, ROOM)

      it('says it with the step that did it', async () => {
        await join(ROOM, ada, bob)
        expect(story()).toEqual(['+1 +2'])
        await store.update({ channel: ROOM, joined: [eve], left: ['1'], isLast: false })
        await leave(ROOM, ['2', '3'], true)
        expect(story()).toEqual(['+1 +2', '+3 -1', '-2 -3'])
      })

      it('says nothing of what was so before, nor of another info', async () => {
        await join(ROOM, ada)
        await join(ROOM, ada)
        await join(ROOM, printMember({ id: '1', info: { name: 'Ada Lovelace' } }))
        await leave(ROOM, ['2'])
        await leave('presence-room.2', ['1'], true)
        expect(harness.news).toEqual([{ channel: ROOM, joined: ['1'], left: [] }])
        await leave(ROOM, ['1'], true)
        await leave(ROOM, ['1'], true)
        await join(ROOM, ada)
        expect(story()).toEqual(['+1', '-1', '+1'])
      })

      it.each(['07', '', ' ', 'a\nb', '__proto__', 'Zoë', '\ud800'])(
        'names a user whose id is %j as it is',
        async (id) => {
          await join(ROOM, printMember({ id, info: null }))
          await leave(ROOM, [id], true)
          expect(harness.news).toEqual([
            { channel: ROOM, joined: [id], left: [] },
            { channel: ROOM, joined: [], left: [id] },
          ])
        },
      )

      it('says of all who are there that they are gone when it stops for good', async () => {
        await join(ROOM, ada, bob)
        await join('presence-room.2', ada)
        await store.stop(0)
        expect(story()).toEqual(['+1 +2', '-1 -2'])
        expect(storyOf(harness.news, 'presence-room.2')).toEqual(['+1', '-1'])
      })
    })

    it('is not disturbed by being asked whether it remembers', async () => {
      await join(ROOM, ada)
      await store.verify()
      await untilAllIsTold()
      expect(ears.story(ROOM)).toEqual(['+1'])
    })
  })
}
