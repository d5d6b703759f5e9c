/** What in an application's configuration keeps its broadcasts from arriving, and what to do about it. */

import type { Env, LaravelApp, ReadFile } from './laravel-env.ts'

/** One sentence each. */
export function describeObstacles(app: LaravelApp, env: Env, readFile: ReadFile): string[] {
  return [...broadcastNotes(app, env, readFile), ...queueNotes(app)]
}

function broadcastNotes({ broadcastConnection }: LaravelApp, env: Env, readFile: ReadFile): string[] {
  if (broadcastConnection === null || broadcastConnection === 'log') {
    const variable = ['BROADCAST_CONNECTION', 'BROADCAST_DRIVER'].find((each) => env[each] !== undefined)
    const what = variable === undefined ? 'no BROADCAST_CONNECTION' : `${variable}=${env[variable]}`
    return [
      `Laravel's .env has ${what}: broadcasts go nowhere and the auth route answers everybody with an empty 200; set it to redis, reverb or pusher.`,
    ]
  }
  if (broadcastConnection !== 'redis') {
    return [
      `Laravel broadcasts through "${broadcastConnection}", so its REDIS_* settings are not used; it must publish to this gateway's /apps address.`,
    ]
  }
  const own = readFile('config/broadcasting.php')
  // Since Laravel 11 the framework's own file stands in for one that is not there.
  const broadcasting = own ?? readFile('vendor/laravel/framework/config/broadcasting.php')
  if (broadcasting === null || /['"]driver['"]\s*=>\s*['"]redis['"]/.test(broadcasting)) return []
  const where =
    own === null
      ? 'Laravel has no redis connection of its own; run php artisan config:publish broadcasting and add to `connections` in config/broadcasting.php'
      : "Laravel's config/broadcasting.php has no redis connection; add to `connections`"
  return [`${where}: 'redis' => ['driver' => 'redis', 'connection' => 'default'].`]
}

/** These run a job in the process that queued it, or start one for it. */
const QUEUES_WITHOUT_WORKER = ['sync', 'deferred', 'background']

function queueNotes({ queueConnection }: LaravelApp): string[] {
  if (queueConnection === null || QUEUES_WITHOUT_WORKER.includes(queueConnection)) return []
  return [
    `Laravel has QUEUE_CONNECTION=${queueConnection}: events that implement ShouldBroadcast wait until a worker runs (php artisan queue:work).`,
  ]
}
