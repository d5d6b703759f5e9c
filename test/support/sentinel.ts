import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { atEndOfTest } from './at-end.ts'
import { freePort, startChild, untilReady } from './child.ts'
import { pathOf } from './parts.ts'
import { cliOf, type RedisServer, startRedis } from './redis.ts'

export type ReplicatedRedis = {
  readonly replica: RedisServer
  /** Where gateways ask for the master, as `--redis-sentinels`. */
  readonly sentinel: string
  /** The port of the server that is the master at this moment. */
  masterPort(): Promise<number>
}

/** A replica for this server, and a Sentinel that promotes it when the server is gone for a second. Ends with the test. */
export async function replicate(master: RedisServer): Promise<ReplicatedRedis> {
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  atEndOfTest(replica.close)
  // A Sentinel looks for replicas when it starts, and then only every ten seconds.
  const isFollowing = async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up')
  await vi.waitUntil(isFollowing, { interval: 20, timeout: 10_000 })

  const dir = mkdtempSync(join(tmpdir(), 'sentinel-'))
  const port = await freePort()
  const config = join(dir, 'sentinel.conf')
  writeFileSync(config, configOf(port, dir, master.port))
  const child = await startChild(pathOf('redis'), [config, '--sentinel'])
  atEndOfTest(async () => {
    await child.stop('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  const cli = cliOf(port)
  const knowsReplica = async () => (await cli('SENTINEL', 'REPLICAS', 'mymaster')).includes(String(replica.port))
  await untilReady(child, () => knowsReplica().catch(() => false))
  return {
    replica,
    sentinel: `127.0.0.1:${port}`,
    masterPort: async () => Number((await cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster')).split('\n')[1]),
  }
}

function configOf(port: number, dir: string, masterPort: number): string {
  return [
    `bind 127.0.0.1`,
    `port ${port}`,
    `dir ${dir}`,
    `sentinel monitor mymaster 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds mymaster 500`,
    `sentinel failover-timeout mymaster 2000`,
    '',
  ].join('\n')
}
