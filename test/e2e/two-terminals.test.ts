import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Curl } from '../support/curl.ts'
import { openPage } from '../support/curl-page.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { type Laravel, startLaravel } from '../support/laravel.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const PARTS = ['redis', 'php', 'curl', 'laravel-12'] as const

describe.runIf(requirePart(...PARTS))('two terminals with curl -N on two gateways', () => {
  let redis: RedisServer
  let laravel: Laravel
  let left: GatewayProcess
  let right: GatewayProcess

  beforeAll(async () => {
    redis = await startRedis()
    laravel = await startLaravel({ app: 'laravel-12', redisClient: 'predis', redisPort: redis.port })
    // So long that whoever is shown leaving has said so.
    const args = ['--laravel', laravel.dir, '--auth-endpoint', '/api/broadcasting/auth', '--linger-ms', '60000']
    ;[left, right] = await Promise.all([startGatewayProcess(args), startGatewayProcess(args)])
  })

  afterAll(async () => {
    await Promise.all([left?.stop(), right?.stop()])
    await laravel?.stop()
    await redis?.close()
  })

  it('show each other joining, whispering and leaving', async () => {
    const ada = await openPage(left.url, 'presence-room.1', withToken(1))
    await ada.stream.next('ping')
    const grace = await openPage(right.url, 'presence-room.1', withToken(2))
    await grace.stream.next('ping')
    await ada.stream.next('joining')

    expect(await ada.whisper(left.url, 'presence-room.1', 'client-says', 'Hello?')).toEqual({ status: 204, body: '' })
    await grace.stream.next('message')
    expect(await grace.whisper(right.url, 'presence-room.1', 'client-says', { text: 'Hi!' })).toMatchObject({
      status: 204,
    })
    await ada.stream.next('message')
    // The other gateway knows the page as well as its own.
    expect(await grace.leave(left.url)).toEqual({ status: 204, body: '' })
    await grace.stream.exited
    await ada.stream.next('leaving')
    expect(await ada.leave(left.url)).toMatchObject({ status: 204 })

    expect(await ada.stream.exited).toBe(0)
    expect(afterwards(ada.stream)).toEqual([
      'subscribed {"channel":"presence-room.1","members":[{"id":"1","info":{"id":1,"name":"Ada"}}],"me":"1"}',
      'joining {"channel":"presence-room.1","member":{"id":"2","info":{"id":2,"name":"Grace"}}}',
      'message {"channel":"presence-room.1","event":"client-says","data":{"text":"Hi!"},"userId":"2"}',
      'leaving {"channel":"presence-room.1","member":{"id":"2","info":{"id":2,"name":"Grace"}}}',
      'bye {"reason":"left","retryAfterMs":1000}',
    ])
    expect(afterwards(grace.stream)).toEqual([
      'subscribed {"channel":"presence-room.1","members":[{"id":"1","info":{"id":1,"name":"Ada"}},' +
        '{"id":"2","info":{"id":2,"name":"Grace"}}],"me":"2"}',
      'message {"channel":"presence-room.1","event":"client-says","data":"Hello?","userId":"1"}',
      'bye {"reason":"left","retryAfterMs":1000}',
    ])
  })
})

function withToken(userId: number) {
  return { headers: { Authorization: `Bearer token-${userId}` } }
}

/** What it printed after it was told who it is, without the signs of life. */
function afterwards({ frames }: Curl): string[] {
  return frames
    .filter(({ event }) => !['connected', 'ping'].includes(event))
    .map(({ event, text }) => `${event} ${text}`)
}
