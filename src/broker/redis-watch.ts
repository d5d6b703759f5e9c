import { openCommands, type RedisAddress } from './redis-connection.ts'
import { isPermanent } from './redis-errors.ts'

export type RedisWatchHooks = {
  onMessage(name: string, payload: Buffer): void
  onSubscribed(): void
  /** Redis does not let this user hear everything. */
  onRefused(error: unknown): void
}

/** Hears every channel of a Redis, on a connection of its own; trouble with it is the relay's to tell. Returns what ends it. */
export function watchRedis(address: RedisAddress, { onMessage, onSubscribed, onRefused }: RedisWatchHooks): () => void {
  // Subscribed anew by itself it would leave a promise behind that nobody holds when the connection ends at that moment.
  const redis = openCommands(address, { maxRetriesPerRequest: 0, autoResubscribe: false })
  let isStopped = false
  const stop = () => {
    isStopped = true
    redis.disconnect()
  }
  redis.on('error', () => {})
  redis.on('pmessageBuffer', (_pattern: Buffer, name: Buffer, payload: Buffer) => onMessage(name.toString(), payload))
  redis.on('ready', () => {
    redis.psubscribe('*').then(onSubscribed, (error: unknown) => {
      if (isStopped || !isPermanent(error)) return
      stop()
      onRefused(error)
    })
  })
  redis.connect().catch(() => {}) // It tries again by itself.
  return stop
}
