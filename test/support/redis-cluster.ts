import { vi } from 'vitest'
import { freePort } from './child.ts'
import { PATIENCE_MS } from './patience.ts'
import { type RedisServer, startRedis } from './redis.ts'

/** A Redis Cluster of one node: it refuses whatever names keys of two slots, as a large one does. */
export async function startRedisCluster(): Promise<RedisServer> {
  const port = String(await freePort())
  const server = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-port', port, '--cluster-announce-ip', '127.0.0.1'],
  })
  await server.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  const isReady = async () => (await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')
  await vi.waitUntil(isReady, { interval: 20, timeout: PATIENCE_MS })
  return server
}
