import { expect, it, onTestFinished } from 'vitest'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { comeAs, openScene, startGrantsFleet, stay, whisperAt } from '../support/grants-fleet.ts'
import { requirePart } from '../support/parts.ts'
import { publishByHttp } from '../support/publisher.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const APP = { id: 'shop', key: 'public-key', secret: 'a-real-secret' }

it.runIf(requirePart('redis'))(
  'a user who is sent away loses his streams on every gateway, also on one that was cut off from Redis then',
  async () => {
    const fleet = await startGrantsFleet({
      args: ['--app-id', APP.id, '--app-key', APP.key, '--app-secret', APP.secret],
    })
    const line = await startTcpProxy(fleet.server.port)
    onTestFinished(() => line.close())
    const [one, other, remote] = await Promise.all([
      fleet.start(),
      fleet.start(),
      fleet.start({ redis: ['--redis', line.redisUrl], args: ['--ready-timeout-ms', '20000'] }),
    ])
    const { room, lounge, all, ada, bob } = openScene()
    const [here, there, away] = await Promise.all([one, other, remote].map((node) => stay(ada, node, all)))
    const watcher = await stay(bob, other, all)
    if (here === undefined || there === undefined || away === undefined) throw new Error('nobody came')
    for (const page of [here, there, away, watcher]) await fleet.untilKnown(page, 2)

    line.cut()
    fleet.ban(ada)
    expect(await terminate(one, ada)).toBe(200)
    for (const page of [here, there]) await expect.poll(() => page.byes).toMatchObject([{ reason: 'terminated' }])
    expect(await whisperAt([one, other], away)).toEqual([403, 403])
    line.resume()
    await expect.poll(() => away.byes, { timeout: 30_000 }).toMatchObject([{ reason: 'terminated' }])

    // Whoever comes back, with the key or without, is put to Laravel.
    for (const page of [here, there, away]) {
      const asked = fleet.asked(ada).length
      const back = comeAs(page, ada, [room, lounge])
      await back.enter(one)
      expect(fleet.asked(ada).length).toBe(asked + 2)
      expect([back.members, back.denied]).toEqual([[], ['forbidden', 'forbidden']])
    }
    await fleet.publish(lounge, 'still here')
    await watcher.until('still here')
    expect([watcher.byes, watcher.members]).toEqual([[], [bob]])
  },
)

async function terminate({ url }: GatewayProcess, user: string): Promise<number> {
  const path = `/apps/${APP.id}/users/${user}/terminate_connections`
  return (await publishByHttp(url, {}, { app: APP, path })).status
}
