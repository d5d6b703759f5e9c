import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Authorizer, Decision, Member } from '../../src/auth/authorizer.ts'
import type { Channel } from '../../src/channels/channel.ts'
import { credentials } from '../support/credentials.ts'

/** What an implementation is told to say about a channel. */
export type Told =
  | { readonly grant: { readonly member?: Member; readonly sharedSecret?: string } }
  | { readonly refuse: { readonly status: 401 | 403 | 419; readonly message: string } }
  | { readonly fail: true }

export type AuthorizerHarness = {
  readonly authorizer: Authorizer
  /** Sets the answers by channel name; what is not named is refused with 403. */
  tell(answers: Readonly<Record<string, Told>>): void
  /** Questions arrive but none is answered until the returned function is called. */
  hold(): () => void
  /** The questions that were put so far. */
  asked(): { channel: string; socketId: string; cookie: string | undefined }[]
  untilAsked(count: number): Promise<void>
  close(): Promise<void>
}

const ORDERS: Channel = { name: 'private-orders.1', kind: 'private' }
const SECRET: Channel = { name: 'private-encrypted-vault', kind: 'private' }
const ROOM: Channel = { name: 'presence-room.1', kind: 'presence' }

/** Behaviour every Authorizer has, whoever decides behind it. */
export function authorizerContract(name: string, start: () => Promise<AuthorizerHarness>): void {
  describe(`${name}, as an Authorizer`, () => {
    let harness: AuthorizerHarness
    beforeEach(async () => {
      harness = await start()
    })
    afterEach(() => harness.close())

    const ask = (channel: Channel, cookie = 'laravel_session=alice', socketId = '1.1') =>
      harness.authorizer.open(credentials({ cookie }), socketId).authorize(channel)

    it('grants a private channel', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      expect(await ask(ORDERS)).toEqual({ allowed: true })
    })

    it('says who the caller is on a presence channel', async () => {
      const member = { id: '5', info: { name: 'Ada' } }
      harness.tell({ [ROOM.name]: { grant: { member } } })
      expect(await ask(ROOM)).toEqual({ allowed: true, member })
    })

    it('hands over the secret of an encrypted channel', async () => {
      harness.tell({ [SECRET.name]: { grant: { sharedSecret: 'c2VjcmV0' } } })
      expect(await ask(SECRET)).toEqual({ allowed: true, sharedSecret: 'c2VjcmV0' })
    })

    it.each([401, 403, 419] as const)('passes on a refusal with status %i and its words', async (status) => {
      harness.tell({ [ORDERS.name]: { refuse: { status, message: 'Not you.' } } })
      expect(await ask(ORDERS)).toMatchObject({ allowed: false, status, message: 'Not you.', retry: false })
    })

    it('says that a failure is temporary, and when to come back', async () => {
      harness.tell({ [ORDERS.name]: { fail: true } })
      expect(await ask(ORDERS)).toMatchObject({
        allowed: false,
        status: 503,
        code: 'authorizer_unavailable',
        retry: true,
        retryAfterMs: expect.any(Number),
      })
    })

    it('decides each channel by itself', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} }, [ROOM.name]: { refuse: { status: 403, message: 'No.' } } })
      const session = harness.authorizer.open(credentials(), '1.1')
      const [orders, room] = await Promise.all([session.authorize(ORDERS), session.authorize(ROOM)])
      expect([orders.allowed, room.allowed]).toEqual([true, false])
    })

    it('asks for every user anew, with that user’s own credentials', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      await ask(ORDERS, 'laravel_session=alice', '1.1')
      await ask(ORDERS, 'laravel_session=bob', '2.2')
      await ask(ORDERS, 'laravel_session=alice', '1.1')
      expect(harness.asked()).toEqual([
        { channel: ORDERS.name, socketId: '1.1', cookie: 'laravel_session=alice' },
        { channel: ORDERS.name, socketId: '2.2', cookie: 'laravel_session=bob' },
        { channel: ORDERS.name, socketId: '1.1', cookie: 'laravel_session=alice' },
      ])
    })

    it('gives no grant to a caller who left before the answer came', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      const release = harness.hold()
      const session = harness.authorizer.open(credentials(), '1.1')
      const decision = session.authorize(ORDERS)
      await harness.untilAsked(1)
      session.close()
      expect(await decision).toMatchObject({ allowed: false, retry: true })
      release()
    })

    it('takes no question from a caller who has left, and may be told twice', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      const session = harness.authorizer.open(credentials(), '1.1')
      session.close()
      session.close()
      expect(await session.authorize(ORDERS)).toMatchObject({ allowed: false, retry: true })
      expect(harness.asked()).toEqual([])
    })

    it('lets others be answered when one caller leaves', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      const release = harness.hold()
      const leaving = harness.authorizer.open(credentials(), '1.1')
      const staying = harness.authorizer.open(credentials(), '2.2')
      const decisions: Promise<Decision>[] = [leaving.authorize(ORDERS), staying.authorize(ORDERS)]
      await harness.untilAsked(2)
      leaving.close()
      release()
      expect((await Promise.all(decisions)).map(({ allowed }) => allowed)).toEqual([false, true])
    })

    it('denies what is open and what comes after it has stopped', async () => {
      harness.tell({ [ORDERS.name]: { grant: {} } })
      const release = harness.hold()
      const open = ask(ORDERS)
      await harness.untilAsked(1)
      await harness.authorizer.stop()
      expect(await open).toMatchObject({ allowed: false, retry: true })
      expect(await ask(ORDERS)).toMatchObject({ allowed: false, retry: true })
      release()
    })
  })
}
