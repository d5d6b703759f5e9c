import type { Commands } from './redis-connection.ts'

/**
 * Puts a marker into Redis's order. KEYS[1] the clock (hash: run_id, epoch, n); ARGV[1] the marker channel;
 * ARGV[2] what the sender heard in its last interval. A server that is not the one of the last marker
 * (restart, failover, flush) begins a new epoch, named by its own time in microseconds.
 */
const MARK = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local stored = redis.call('HMGET', KEYS[1], 'run_id', 'epoch')
local epoch = stored[2]
if not epoch or stored[1] ~= run then
  local time = redis.call('TIME')
  epoch = time[1] .. string.format('%06d', time[2])
  if stored[2] and tonumber(epoch) <= tonumber(stored[2]) then
    epoch = string.format('%.0f', tonumber(stored[2]) + 1)
  end
  redis.call('HSET', KEYS[1], 'run_id', run, 'epoch', epoch, 'n', '0')
end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('PUBLISH', ARGV[1], epoch .. ' ' .. n .. ' ' .. ARGV[2])
return n
`

/**
 * Publishes payloads on several channels at once, as Laravel does. KEYS[1] the clock, so that a cluster runs it where
 * the relays listen; the other keys remember what was published once. ARGV[1] for how many ms; then for each payload:
 * which of the keys is its own (0: none), the payload, the number of channels, the channels. Answers the smallest number
 * of hearers; what was published before has been heard. What nobody hears is not remembered. A Redis that has no memory
 * to remember with still publishes.
 */
const PUBLISH = `
local heard = nil
local at = 2
while at <= #ARGV do
  local key, payload, last = KEYS[tonumber(ARGV[at])], ARGV[at + 1], at + 2 + tonumber(ARGV[at + 2])
  if not key or not redis.call('GET', key) then
    local least = nil
    for i = at + 3, last do
      local n = redis.call('PUBLISH', ARGV[i], payload)
      if least == nil or n < least then least = n end
    end
    if key and least > 0 then redis.pcall('SET', key, '1', 'PX', ARGV[1]) end
    if heard == nil or least < heard then heard = least end
  end
  at = last + 1
end
return heard or 1
`

export type Scripts = {
  sseMark(clock: string, channel: string, heard: string): Promise<number>
  /** The clock is the first of so many keys. */
  ssePublish(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<number>
}

/** Teaches a connection the gateway's scripts. */
export function withScripts(commands: Commands): Commands & Scripts {
  commands.defineCommand('sseMark', { numberOfKeys: 1, lua: MARK })
  commands.defineCommand('ssePublish', { lua: PUBLISH })
  return commands as Commands & Scripts
}
