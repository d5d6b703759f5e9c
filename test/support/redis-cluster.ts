import { freePort } from './child.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { untilTrue } from './until-true.ts'

/** A Redis Cluster of one node: it refuses whatever names keys of two slots, as a large one does. */
export async function startRedisCluster(): Promise<RedisServer> {
  const port = String(await freePort())
  const server = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-port', port, '--cluster-announce-ip', '127.0.0.1'],
  })
  await server.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  const isReady = async () => (await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')
  await untilTrue(isReady)
  return server
}
