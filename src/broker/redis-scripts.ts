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
 * Publishes one payload on several channels at once, as Laravel does. KEYS[1] the clock, so that a cluster runs
 * it where the relays listen; ARGV[1] the payload; the rest the channels. Answers the smallest number of hearers.
 */
const PUBLISH = `
local heard = nil
for i = 2, #ARGV do
  local n = redis.call('PUBLISH', ARGV[i], ARGV[1])
  if heard == nil or n < heard then heard = n end
end
return heard or 0
`

export type Scripts = {
  sseMark(clock: string, channel: string, heard: string): Promise<number>
  ssePublish(clock: string, payload: string, ...channels: string[]): Promise<number>
}

/** Teaches a connection the gateway's scripts. */
export function withScripts(commands: Commands): Commands & Scripts {
  commands.defineCommand('sseMark', { numberOfKeys: 1, lua: MARK })
  commands.defineCommand('ssePublish', { numberOfKeys: 1, lua: PUBLISH })
  return commands as Commands & Scripts
}
