import { pino } from 'pino'
import { afterAll, beforeAll, describe } from 'vitest'
import { RedisBroker } from '../../src/broker/redis.ts'
import { type Config, defaultConfig } from '../../src/config/config.ts'
import { type BrokerHarness, brokerContract } from '../contract/broker.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { QUICK } from '../support/redis-broker.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'

describe.runIf(requirePart('redis'))('on a real Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.close())

  brokerContract('RedisBroker', () => harness({ redis: server.url }))
})

describe.runIf(requirePart('redis'))('in a Redis Cluster', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedisCluster()
  })
  afterAll(() => server?.close())

  for (const tag of ['', '{shop}']) {
    brokerContract(`RedisBroker with the prefix "${tag}app_"`, () =>
      harness({ redisCluster: [`127.0.0.1:${server.port}`] }, tag),
    )
  }
})

let count = 0

async function harness(where: Partial<Config>, tag = ''): Promise<BrokerHarness> {
  count += 1
  const config = defaultConfig({ ...QUICK, ...where, redisPrefix: `${tag}app${count}_` })
  const broker = new RedisBroker(config, { logger: pino({ level: 'silent' }) })
  return { broker, close: () => broker.stop() }
}
