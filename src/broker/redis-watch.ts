import { openCommands, type RedisAddress } from './redis-connection.ts'

export type RedisWatchHooks = {
  onMessage(name: string, payload: Buffer): void
  onSubscribed(): void
  /** Redis does not let this user hear everything. */
  onRefused(error: unknown): void
}

/** Hears every channel of a Redis, on a connection of its own; trouble with it is the relay's to tell. Returns what ends it. */
export function watchRedis(address: RedisAddress, { onMessage, onSubscribed, onRefused }: RedisWatchHooks): () => void {
  const redis = openCommands(address, { maxRetriesPerRequest: null })
  let isStopped = false
  const stop = () => {
    isStopped = true
    redis.disconnect()
  }
  redis.on('error', () => {})
  redis.on('pmessageBuffer', (_pattern: Buffer, name: Buffer, payload: Buffer) => onMessage(name.toString(), payload))
  redis.psubscribe('*').then(onSubscribed, (error: unknown) => {
    if (isStopped) return
    stop()
    onRefused(error)
  })
  return stop
}
