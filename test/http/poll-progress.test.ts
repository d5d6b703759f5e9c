import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { openStream } from '../support/sse-client.ts'

const COOKIE = { headers: { cookie: 'laravel_session=a' } }

it('polls make progress although more was missed than fits and Laravel answers late', async () => {
  const gateway = await startGateway()
  const first = await openStream(`${gateway.url}/stream?channels=a&mode=poll`)
  await first.ended
  const count = 50
  for (let index = 0; index < count; index += 1) await gateway.publish('a', 'E', { index, pad: 'x'.repeat(10_000) })
  // Later than the replay of what is public: an answer of a later turn of the event loop.
  gateway.authorizer.decides(() => new Promise((resolve) => setTimeout(() => resolve({ allowed: true }), 20)))

  const told: number[] = []
  let cursor = first.lastEventId
  for (let polls = 0; told.length < count && polls < 5; polls += 1) {
    const poll = await openStream(`${gateway.url}/stream?channels=a,private-b&mode=poll&lastEventId=${cursor}`, COOKIE)
    await poll.ended
    cursor = poll.lastEventId
    for (const { event, data } of poll.frames) if (event === 'message') told.push((data as Told).data.index)
  }
  expect(told).toEqual(Array.from({ length: count }, (_, index) => index))
})

type Told = { data: { index: number } }
