import { describe, expect, it } from 'vitest'
import { MemoryBroker } from '../../../src/broker/memory.ts'
import { startGateway } from '../../support/gateway.ts'
import { LOCAL_APP, type PublishChange, publishByHttp } from '../../support/publisher.ts'
import { openStream } from '../../support/sse-client.ts'
import { StuckBroker } from '../../support/stuck-broker.ts'
import { grantByToken, joinPage } from '../../support/talking-page.ts'

const PATH = '/apps/local/batch_events'
const ITEM = { name: 'E', data: '{"a":1}', channel: 'orders' }

function publishBatch(url: string, batch: unknown, change: PublishChange = {}) {
  return publishByHttp(url, { batch }, { path: PATH, ...change })
}

const items = (count: number) => Array.from({ length: count }, (_, index) => ({ ...ITEM, data: `${index}` }))

describe('a signed batch', () => {
  it('reaches the streams event by event, each on its channel, in its order', async () => {
    const { url } = await startGateway()
    const page = await openStream(`${url}/stream?channels=orders,news`)
    const { socketId } = (await page.next('connected')).data
    await page.take(2, 'subscribed')
    const batch = [
      { ...ITEM, name: 'First', data: '{"n":9007199254740993}' },
      { ...ITEM, name: 'Not me', socket_id: socketId },
      { ...ITEM, name: 'Second', channel: 'news', data: 'no JSON' },
    ]
    expect(await publishBatch(url, batch)).toMatchObject({ status: 200, text: '{}' })
    expect((await page.take(2, 'message')).map(({ text }) => text)).toEqual([
      '{"channel":"orders","event":"First","data":{"n":9007199254740993}}',
      '{"channel":"news","event":"Second","data":"no JSON"}',
    ])
  })

  it('may hold ten events', async () => {
    const { url, gateway } = await startGateway()
    expect((await publishBatch(url, items(10))).status).toBe(200)
    expect(gateway.services.history.length).toBe(10)
    const { values } = await gateway.services.metrics.published.get()
    expect(values).toEqual([{ labels: { outcome: 'ok' }, value: 1 }])
  })

  it('goes to the broker in one piece', async () => {
    const calls: number[] = []
    class CountingBroker extends MemoryBroker {
      override async publishAll(...[publications]: Parameters<MemoryBroker['publishAll']>): Promise<void> {
        calls.push(publications.length)
        await super.publishAll(publications)
      }
    }
    const { url } = await startGateway({}, { broker: new CountingBroker() })
    await publishBatch(url, items(7))
    expect(calls).toEqual([7])
  })

  it('is told of the channels what each event asks for, by its place', async () => {
    const gateway = await startGateway()
    gateway.authorizer.decides(grantByToken)
    await joinPage(gateway, 'presence-a,orders')
    const batch = [
      { ...ITEM, info: 'subscription_count' },
      ITEM,
      { ...ITEM, channel: 'presence-a', info: 'user_count,subscription_count' },
      { ...ITEM, info: 'user_count' },
    ]
    await expect
      .poll(async () => JSON.parse((await publishBatch(gateway.url, batch)).text))
      .toEqual({ batch: [{ subscription_count: 1 }, {}, { user_count: 1, subscription_count: 1 }, {}] })
  })

  it('publishes what bears a key once, and the rest of a repetition again', async () => {
    const { url, gateway } = await startGateway()
    const batch = [{ ...ITEM, idempotency_key: 'a' }, { ...ITEM, idempotency_key: 'a' }, ITEM]
    await publishBatch(url, batch)
    expect(gateway.services.history.length).toBe(2)
    await publishBatch(url, batch)
    expect(gateway.services.history.length).toBe(3)
  })
})

describe('a batch of which anything makes no sense', () => {
  it.each<[string, unknown, number, string]>([
    ['eleven events', items(11), 400, 'invalid_body'],
    ['none', [], 400, 'invalid_body'],
    ['nothing', undefined, 400, 'invalid_body'],
    ['an object', { 0: ITEM }, 400, 'invalid_body'],
    ['a text', 'batch', 400, 'invalid_body'],
    ['something that is no event', [ITEM, null], 400, 'invalid_body'],
    ['a list for an event', [ITEM, []], 400, 'invalid_body'],
    ['an event without a channel', [ITEM, { ...ITEM, channel: undefined }], 400, 'invalid_body'],
    ['an event with several channels', [ITEM, { ...ITEM, channels: ['a', 'b'] }], 400, 'invalid_body'],
    ['a list for the channel', [ITEM, { ...ITEM, channel: ['a'] }], 400, 'invalid_body'],
    ['a channel that nobody can have', [ITEM, { ...ITEM, channel: 'a b' }], 400, 'invalid_channel'],
    ["the gateway's own channel", [ITEM, { ...ITEM, channel: 'sse:revoke' }], 400, 'invalid_channel'],
    ['an event without a name', [ITEM, { ...ITEM, name: '' }], 400, 'invalid_body'],
    ['data that is no text', [ITEM, { ...ITEM, data: {} }], 400, 'invalid_body'],
    ['a socket id that is none', [ITEM, { ...ITEM, socket_id: 'x' }], 400, 'invalid_body'],
    ['info that there is not', [ITEM, { ...ITEM, info: 'x' }], 400, 'invalid_parameter'],
    ['data that is too long', [ITEM, { ...ITEM, data: 'x'.repeat(10_241) }], 413, 'body_too_large'],
  ])('is refused as a whole and reaches nobody: %s', async (_, batch, status, code) => {
    const { url, gateway } = await startGateway()
    const answer = await publishBatch(url, batch)
    expect(answer).toMatchObject({ status, code, message: expect.stringMatching(/\.$/) })
    expect(gateway.services.history.length).toBe(0)
  })

  it.each(['', '{', '[]', 'null'])('or with the body %j', async (body) => {
    const { url } = await startGateway()
    expect(await publishBatch(url, null, { body })).toMatchObject({ status: 400, code: 'invalid_body' })
  })

  it('or without a signature, from a page, or while the broker takes nothing', async () => {
    const broker = new StuckBroker()
    broker.release()
    const { url, gateway } = await startGateway({}, { broker })
    const unsigned = await publishBatch(url, items(1), { query: (query) => query.delete('auth_signature') })
    const paged = await publishBatch(url, items(1), { headers: { origin: 'https://app.example' } })
    const other = await publishBatch(url, items(1), { app: { ...LOCAL_APP, secret: 'wrong' } })
    broker.isRefusing = true
    const refused = await publishBatch(url, items(1))
    expect([unsigned, paged, other, refused].map(({ status }) => status)).toEqual([401, 403, 401, 503])
    expect(gateway.services.history.length).toBe(0)
  })
})
