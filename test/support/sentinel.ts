import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { atEndOfTest } from './at-end.ts'
import { freePort, startChild, untilReady } from './child.ts'
import { pathOf } from './parts.ts'
import { cliOf, type RedisServer, startRedis } from './redis.ts'
import { untilTrue } from './until-true.ts'

/** A Sentinel that was starved for two seconds does nothing for thirty (its TILT mode). */
const FAILOVER_TIMEOUT_MS = 60_000

export type ReplicatedRedis = {
  readonly replica: RedisServer
  /** Where gateways ask for the master, as `--redis-sentinels`. */
  readonly sentinel: string
  /** Resolves when the replica is the master. */
  untilPromoted(): Promise<void>
}

/** A replica for this server, and a Sentinel that promotes it when the server is gone for a second. Ends with the test. */
export async function replicate(master: RedisServer): Promise<ReplicatedRedis> {
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  atEndOfTest(replica.close)
  // A Sentinel looks for replicas when it starts, and then only every ten seconds.
  const isFollowing = async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up')
  await untilTrue(isFollowing)

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
    untilPromoted: async () => {
      const isPromoted = async () =>
        (await cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster')).endsWith(`\n${replica.port}`)
      await vi.waitUntil(isPromoted, { interval: 50, timeout: FAILOVER_TIMEOUT_MS })
    },
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
