import fc from 'fast-check'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { ModelService } from '../support/model-service.ts'
import { requirePart } from '../support/parts.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

/** Services that live side by side: most of the time they wait for leases to run out. */
const LANES = 4
const RUNS_PER_LANE = Number(process.env.PRESENCE_E2E_RUNS ?? 3)

type Act = (service: ModelService) => void | Promise<void>

/** A line of the story: what happens, written so that a failure can be read. */
function act<T extends unknown[]>(
  name: string,
  weight: number,
  args: { [K in keyof T]: fc.Arbitrary<T[K]> },
  run: (service: ModelService, ...args: T) => void | Promise<void>,
) {
  const arbitrary = fc.tuple(...args).map((values) => {
    const one: Act = (service) => run(service, ...(values as unknown as T))
    return Object.assign(one, { [fc.toStringMethod]: () => `${name}(${values.join(', ')})` })
  })
  return { weight, arbitrary }
}

const which = fc.nat(7)
const where = fc.nat(2)
const elsewhere = fc.option(where, { freq: 2 })
const user = fc.constantFrom('ada', 'bob', 'cyd')
const channels = fc.subarray(['presence-a', 'presence-b'], { minLength: 1 })

const acts = fc.oneof(
  act<[string, number, string[]]>('open', 14, [user, where, channels], (service, ...rest) => service.open(...rest)),
  act<[number]>('drop', 4, [which], (service, ...rest) => service.drop(...rest)),
  act<[number, number]>('leave', 4, [which, where], (service, ...rest) => service.leave(...rest)),
  act<[number, number]>('reload', 5, [which, where], (service, ...rest) => service.reload(...rest)),
  act<[number, number]>('move', 5, [which, where], (service, ...rest) => service.move(...rest)),
  act<[number, number, string[]]>('change', 5, [which, where, channels], (service, ...rest) => service.change(...rest)),
  act<[number, number | null]>('crash', 3, [where, elsewhere], (service, ...rest) => service.crash(...rest)),
  act<[number, number | null]>('restart', 2, [where, elsewhere], (service, ...rest) => service.restart(...rest)),
  act<[number]>('stall', 3, [where], (service, ...rest) => service.stall(...rest)),
  act<[number]>('freeze', 2, [where], (service, ...rest) => service.freeze(...rest)),
  act<[number]>('thaw', 3, [where], (service, ...rest) => service.thaw(...rest)),
  act<[number]>('blink', 2, [where], (service, ...rest) => service.blink(...rest)),
  act<[]>('flush', 2, [], (service) => service.flush()),
  act<[string]>('revoke', 3, [user], (service, ...rest) => service.revoke(...rest)),
)

const beginning = fc.array(
  act<[string, number, string[]]>('open', 1, [user, where, channels], (service, ...rest) => service.open(...rest))
    .arbitrary,
  { minLength: 3, maxLength: 5, size: 'max' },
)
const story = fc
  .tuple(
    beginning,
    fc.array(fc.array(acts, { minLength: 1, maxLength: 4, size: 'max' }), { minLength: 3, maxLength: 6, size: 'max' }),
  )
  .map(([first, rest]) => [first, ...rest])

describe.runIf(requirePart('redis'))(
  'whatever happens to three gateways on one Redis and the pages that listen',
  () => {
    let servers: RedisServer[]
    let runs = 0

    beforeAll(async () => {
      servers = await Promise.all(Array.from({ length: LANES }, () => startRedis()))
    })
    afterAll(() => Promise.all((servers ?? []).map((server) => server.close())))

    /** Steps in a group do not wait for each other; after each group all pages know what is true. */
    async function play(server: RedisServer, groups: readonly (readonly Act[])[], timeoutMs: number): Promise<void> {
      runs += 1
      const service = await ModelService.start({ server, redisPrefix: `app${runs}_`, timeoutMs })
      try {
        for (const group of groups) {
          for (const one of group) await one(service)
          await service.settle()
        }
        await service.end()
      } finally {
        await service.stop()
      }
    }

    it('every page has the list that is true, and was told of nothing that did not happen', async () => {
      // Shorter than a lease, so that connections are given up during a freeze, or longer, so that they live on.
      const timeoutMs = fc.constantFrom(700, 5000)
      const lanes = await Promise.allSettled(
        servers.map((server) =>
          fc.assert(
            fc.asyncProperty(story, timeoutMs, (groups, timeout) => play(server, groups, timeout)),
            // Played again, a story takes another course: to shorten one tells little and takes long.
            { numRuns: RUNS_PER_LANE, endOnFailure: true },
          ),
        ),
      )
      for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
    }, 3_600_000)
  },
)
