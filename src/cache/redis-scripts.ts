import type { Commands } from '../broker/redis-connection.ts'

/**
 * Keeps the last event of channels. KEYS the channels; ARGV[1] milliseconds to keep them; then position and payload of
 * each, in turn. A position of another epoch says nothing about which is newer: whoever speaks last is believed, and as
 * every node repeats what it hears, all of them end with the newest.
 */
const WRITE = `
local function parse(position)
  local epoch, marker, count = string.match(position, '^(%d+)%.(%d+)%.(%d+)$')
  return tonumber(epoch), tonumber(marker), tonumber(count)
end

local function isNewer(one, other)
  local epoch, marker, count = parse(one)
  local otherEpoch, otherMarker, otherCount = parse(other)
  return epoch == otherEpoch and (marker > otherMarker or (marker == otherMarker and count > otherCount))
end

for i, key in ipairs(KEYS) do
  local position, payload = ARGV[2 * i], ARGV[2 * i + 1]
  local known = redis.call('HGET', key, 'position')
  if not (known and isNewer(known, position)) then
    redis.call('HSET', key, 'position', position, 'payload', payload)
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
return #KEYS
`

/** KEYS[1] the channel. Answers position, payload, and how many milliseconds they are kept. */
const READ = `
local kept = redis.call('HMGET', KEYS[1], 'position', 'payload')
return {kept[1], kept[2], redis.call('PTTL', KEYS[1])}
`

export type CacheScripts = {
  /** First how many keys there are, then these, then what the script is told. */
  sseWriteCache(keys: number, ...args: (string | number | Buffer)[]): Promise<number>
  sseReadCacheBuffer(channel: string): Promise<[position: Buffer | null, payload: Buffer | null, ttlMs: number]>
}

/** Teaches a connection the scripts of cache channels. */
export function withCacheScripts(commands: Commands): Commands & CacheScripts {
  commands.defineCommand('sseWriteCache', { lua: WRITE })
  commands.defineCommand('sseReadCache', { numberOfKeys: 1, lua: READ })
  return commands as Commands & CacheScripts
}
