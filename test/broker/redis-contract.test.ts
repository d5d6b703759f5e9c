import { pino } from 'pino'
import { afterAll, beforeAll, describe } from 'vitest'
import { RedisBroker } from '../../src/broker/redis.ts'
import { defaultConfig } from '../../src/config/config.ts'
import { brokerContract } from '../contract/broker.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { QUICK } from '../support/redis-broker.ts'

describe.runIf(requirePart('redis'))('on a real Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  let count = 0
  brokerContract('RedisBroker', async () => {
    count += 1
    const config = defaultConfig({ ...QUICK, redis: server.url, redisPrefix: `app${count}_` })
    const broker = new RedisBroker(config, { logger: pino({ level: 'silent' }) })
    return { broker, close: () => broker.stop() }
  })
})
