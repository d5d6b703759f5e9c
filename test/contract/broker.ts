import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker } from '../../src/broker/broker.ts'
import { GatewayError } from '../../src/errors.ts'
import { comparePositions } from '../../src/history/position.ts'
import { RecordingListener } from '../support/recording-listener.ts'

export type BrokerHarness = {
  /** Not started yet. */
  readonly broker: Broker
  close(): Promise<void>
}

/** Behaviour every Broker has, whatever carries the messages. */
export function brokerContract(name: string, makeHarness: () => Promise<BrokerHarness>): void {
  describe(`${name}, as a Broker`, () => {
    let harness: BrokerHarness
    let listener: RecordingListener
    beforeEach(async () => {
      harness = await makeHarness()
      listener = new RecordingListener()
    })
    afterEach(() => harness.close())

    const started = async () => {
      await harness.broker.start(listener)
      return harness.broker
    }
    const texts = () => listener.messages.map(({ channel, payload }) => `${channel} ${payload}`)

    it('says first of all that messages may be missing: it has only just begun to listen', async () => {
      const broker = await started()
      expect(listener.log[0]).toBe('hole restart')
      expect(listener.holes[0]?.position.count).toBe(0)
      expect(broker.isReady()).toBe(true)
    })

    it('is not ready before it is started', () => {
      expect(harness.broker.isReady()).toBe(false)
    })

    it('hands on what is published, with a place and an id', async () => {
      const broker = await started()
      await broker.publish(['orders'], '{"event":"E","data":1,"socket":null}')
      await listener.untilMessages(1)
      const payload = '{"event":"E","data":1,"socket":null}'
      expect(listener.messages).toMatchObject([{ channel: 'orders', payload, id: expect.any(String) }])
    })

    it('gives places that only grow, and no two messages the same', async () => {
      const broker = await started()
      for (let count = 0; count < 50; count += 1) await broker.publish(['a', 'b'], `${count}`)
      await listener.untilMessages(100)
      const positions = listener.messages.map(({ position }) => position)
      const steps = positions
        .slice(1)
        .map((position, index) => comparePositions(position, positions[index] ?? position))
      expect(steps.every((step) => step > 0)).toBe(true)
    })

    it('publishes one payload on several channels, in their order and next to each other', async () => {
      const broker = await started()
      await Promise.all([broker.publish(['a', 'b', 'c'], '1'), broker.publish(['a', 'b', 'c'], '2')])
      await listener.untilMessages(6)
      expect(texts()).toEqual(['a 1', 'b 1', 'c 1', 'a 2', 'b 2', 'c 2'])
    })

    it('keeps the order in which it was asked to publish', async () => {
      const broker = await started()
      const asked = Array.from({ length: 200 }, (_, index) => `${index}`)
      await Promise.all(asked.map((text) => broker.publish(['a'], text)))
      await listener.untilMessages(asked.length)
      expect(texts()).toEqual(asked.map((text) => `a ${text}`))
    })

    it('publishes several payloads next to each other, each on its channels', async () => {
      const broker = await started()
      const all = (payload: string) => [
        { channels: ['a', 'b'], payload: `${payload}-1` },
        { channels: ['a'], payload: `${payload}-2` },
      ]
      await Promise.all([broker.publishAll(all('x')), broker.publishAll(all('y')), broker.publish(['b'], 'z')])
      await listener.untilMessages(7)
      expect(texts()).toEqual(['a x-1', 'b x-1', 'a x-2', 'a y-1', 'b y-1', 'a y-2', 'b z'])
    })

    it('publishes once what bears one name, whoever asks and however often', async () => {
      const broker = await started()
      const order = { channels: ['a', 'b'], payload: 'order', once: 'order 1' }
      await Promise.all(Array.from({ length: 5 }, () => broker.publishAll([order])))
      await broker.publishAll([{ channels: ['a'], payload: 'other', once: 'order 1' }])
      await broker.publishAll([order, { channels: ['a'], payload: 'second', once: 'order 2' }])
      await broker.publishAll([{ channels: ['a'], payload: 'nameless', once: null }])
      await broker.publish(['a'], 'last')
      await listener.untilMessages(5)
      expect(texts()).toEqual(['a order', 'b order', 'a second', 'a nameless', 'a last'])
    })

    it('knows a name again within what is published together', async () => {
      const broker = await started()
      const twice = [1, 2].map((number) => ({ channels: ['a'], payload: `${number}`, once: 'same' }))
      await broker.publishAll([...twice, { channels: ['a'], payload: '3' }])
      await listener.untilMessages(2)
      expect(texts()).toEqual(['a 1', 'a 3'])
    })

    it.each(['__proto__', '{a}{b}', '}{', 'ä 🎉', ' ', '0', 'x'.repeat(128)])(
      'takes any text for a name: %j',
      async (once) => {
        const broker = await started()
        for (const payload of ['1', '2']) await broker.publishAll([{ channels: ['a'], payload, once }])
        await broker.publishAll([{ channels: ['a'], payload: '3', once: `${once}.` }])
        await listener.untilMessages(2)
        expect(texts()).toEqual(['a 1', 'a 3'])
      },
    )

    it('forgets a name with which it could publish nothing', async () => {
      const named = [{ channels: ['a'], payload: '1', once: 'name' }]
      await expect(harness.broker.publishAll(named)).rejects.toMatchObject({ code: 'broker_unavailable' })
      const broker = await started()
      await broker.publishAll(named)
      await listener.untilMessages(1)
      expect(texts()).toEqual(['a 1'])
    })

    it.each([
      ['text of every kind', '{"a":"é🎉\\u0000\\n","n":9007199254740993}'],
      ['nothing', ''],
      ['line breaks and NUL', 'a\r\nb\0c'],
      ['a megabyte', 'x'.repeat(1024 * 1024)],
    ])('leaves the bytes of a payload as they are: %s', async (_what, payload) => {
      const broker = await started()
      await broker.publish(['a'], payload)
      await listener.untilMessages(1)
      expect(listener.messages[0]?.bytes.equals(Buffer.from(payload))).toBe(true)
    })

    it.each(['__proto__', 'private-encrypted-a.b', 'a,b;c', 'ä*?[x]\\', 'x'.repeat(200)])(
      'leaves the name of a channel as it is: %s',
      async (channel) => {
        const broker = await started()
        await broker.publish([channel], '1')
        await listener.untilMessages(1)
        expect(listener.messages[0]?.channel).toBe(channel)
      },
    )

    it('takes nothing that nobody would hear', async () => {
      const isRefused = (error: unknown) => error instanceof GatewayError && error.code === 'broker_unavailable'
      expect(await harness.broker.publish(['a'], '1').catch(isRefused)).toBe(true)
      const broker = await started()
      await broker.stop()
      expect(await broker.publish(['a'], '2').catch(isRefused)).toBe(true)
      expect(texts()).toEqual([])
    })

    it('is not ready and hands on nothing any more once it is stopped', async () => {
      const broker = await started()
      await broker.publish(['a'], '1')
      await listener.untilMessages(1)
      await broker.stop()
      await broker.stop()
      expect(broker.isReady()).toBe(false)
      await broker.publish(['a'], '2').catch(() => {})
      expect(texts()).toEqual(['a 1'])
    })

    it('shares a secret that is worth the name and stays the same', async () => {
      const broker = await started()
      const secret = await broker.sharedSecret()
      expect(secret.length).toBeGreaterThanOrEqual(32)
      expect(await broker.sharedSecret()).toBe(secret)
    })
  })
}
