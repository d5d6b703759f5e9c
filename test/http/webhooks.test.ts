import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { ask } from '../support/ask.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { grantByToken, joinPage, leave, whisper } from '../support/talking-page.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const ROOM = 'presence-room.1'
const PRIVATE = 'private-room.1'

async function startTelling(overrides: Partial<Config> = {}): Promise<RunningGateway & { receiver: WebhookReceiver }> {
  const receiver = await WebhookReceiver.start()
  const gateway = await startGateway({
    webhookUrls: [receiver.url],
    webhookEvents: ['member_added', 'member_removed', 'client_event'],
    lingerMs: 100,
    ...overrides,
  })
  gateway.authorizer.decides(grantByToken)
  return { ...gateway, receiver }
}

describe('the application is told', () => {
  it('of a user’s first page on a presence channel, and of his last one after the linger time', async () => {
    const gateway = await startTelling()
    const { receiver } = gateway
    const [tab, other] = [await joinPage(gateway, ROOM), await joinPage(gateway, ROOM)]
    await joinPage(gateway, PRIVATE)
    await joinPage(gateway, `${ROOM},presence-room.2`, { user: '7' })
    tab.stream.close()
    const back = await joinPage(gateway, ROOM)
    await Promise.all([leave(other), leave(back)])
    await receiver.until((events) => events.some(({ name }) => name === 'member_removed'))
    await gateway.stop()
    const added = [
      { name: 'member_added', channel: ROOM, user_id: 'ada' },
      { name: 'member_added', channel: ROOM, user_id: '7' },
      { name: 'member_added', channel: 'presence-room.2', user_id: '7' },
    ]
    expect(receiver.events().slice(0, 4)).toEqual([...added, { name: 'member_removed', channel: ROOM, user_id: 'ada' }])
    // The memory broker forgets everybody.
    expect(receiver.events().slice(4)).toEqual([
      { name: 'member_removed', channel: ROOM, user_id: '7' },
      { name: 'member_removed', channel: 'presence-room.2', user_id: '7' },
    ])
  })

  it('of whispers, with the data as a text, and who says it on presence channels', async () => {
    const gateway = await startTelling({ webhookEvents: ['client_event'] })
    const ada = await joinPage(gateway, `${ROOM},${PRIVATE}`)
    await whisper(ada, { data: { at: 3, text: 'é' } })
    const { socketId, key } = ada
    const rest = JSON.stringify({ channel: PRIVATE, event: 'client-e', socketId, key, user_id: 'grace' })
    await whisper(ada, {}, { body: `${rest.slice(0, -1)},"data":[ 9007199254740993 ]}` })
    await gateway.stop()
    expect(gateway.receiver.events()).toEqual([
      {
        ...{ name: 'client_event', channel: ROOM, event: 'client-typing', data: '{"at":3,"text":"é"}' },
        ...{ socket_id: socketId, user_id: 'ada' },
      },
      {
        ...{ name: 'client_event', channel: PRIVATE, event: 'client-e', data: '[ 9007199254740993 ]' },
        socket_id: socketId,
      },
    ])
  })

  it('of no whisper that was refused', async () => {
    const gateway = await startTelling({ webhookEvents: ['client_event'] })
    const ada = await joinPage(gateway, PRIVATE)
    expect((await whisper(ada, { key: 'other' })).status).toBe(401)
    expect((await whisper(ada, { channel: ROOM })).status).toBe(403)
    expect((await whisper(ada, { event: 'App\\Events\\Paid' })).status).toBe(400)
    await gateway.stop()
    expect(gateway.receiver.batches()).toEqual([])
  })

  it('of nothing that it does not want to hear', async () => {
    const gateway = await startTelling({ webhookEvents: ['member_removed'] })
    const ada = await joinPage(gateway, ROOM)
    await whisper(ada)
    await leave(ada)
    await gateway.receiver.until((events) => events.length > 0)
    await gateway.stop()
    expect(gateway.receiver.events()).toEqual([{ name: 'member_removed', channel: ROOM, user_id: 'ada' }])
  })
})

it('the metrics say what became of webhooks', async () => {
  const gateway = await startTelling({ webhookEvents: ['member_added'] })
  await joinPage(gateway, `${ROOM},presence-room.2`)
  await gateway.receiver.until((events) => events.length === 2)
  await expect
    .poll(async () => (await ask(`${gateway.url}/metrics`)).text)
    .toContain('echo_sse_webhooks_total{outcome="delivered"} 2')
})
