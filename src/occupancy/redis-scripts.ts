import type { Commands } from '../broker/redis-connection.ts'
import { NOW } from '../broker/redis-lua.ts'

/** Changes a total. A channel that nobody is on any more is still known, with 0, until it is vacated. */
const COUNT = `${NOW}
local function count(totals, vacating, channel, difference, vacatedAfterMs)
  local total = redis.call('HINCRBY', totals, channel, string.format('%.0f', difference))
  if total <= 0 then
    -- Less than nothing is left where a part of the record was lost.
    if total < 0 then redis.call('HSET', totals, channel, '0') end
    redis.call('ZADD', vacating, string.format('%.0f', now + vacatedAfterMs), channel)
    return 0
  end
  return total
end
`

/**
 * What a node says about its channels. KEYS[1] the nodes; KEYS[2] the node's channels; KEYS[3] the totals; KEYS[4]
 * channels that may be vacated; ARGV[1] the incarnation; ARGV[2] the field for ARGV[3], the number of this step; ARGV[4]
 * milliseconds until a channel is vacated; then channel and sockets, in turn. Answers 0 when the incarnation was taken
 * for dead, and -1 when a later step came first: what a node sent on a connection it has given up may still arrive.
 * Otherwise 1, and for each channel its total and what was done: 0 nothing, 1 the total is another, 2 the channel is new.
 */
const REPORT = `${COUNT}
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) <= 0 then return {0} end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or 0) >= tonumber(ARGV[3]) then return {-1} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
local answer = {1}
for i = 5, #ARGV, 2 do
  local channel, sockets = ARGV[i], tonumber(ARGV[i + 1])
  local total = redis.call('HGET', KEYS[3], channel)
  local difference = sockets - tonumber(redis.call('HGET', KEYS[2], channel) or 0)
  local done = 0
  if difference ~= 0 then
    if sockets == 0 then redis.call('HDEL', KEYS[2], channel) else redis.call('HSET', KEYS[2], channel, ARGV[i + 1]) end
    done = total and 1 or 2
    total = count(KEYS[3], KEYS[4], channel, difference, ARGV[4])
  end
  answer[#answer + 1] = tonumber(total or 0)
  answer[#answer + 1] = done
end
return answer
`

/**
 * Takes the sockets of a dead node off these channels, each once, whoever comes first. KEYS as in REPORT; ARGV[1] the
 * incarnation; ARGV[2] milliseconds until a channel is vacated; the rest the channels. Answers 0 when the node lives;
 * otherwise 1, its death is final, and then channel and total where something has changed.
 */
const REAP = `${COUNT}
local expiry = redis.call('ZSCORE', KEYS[1], ARGV[1])
if expiry and tonumber(expiry) > now then return {0} end
if expiry and tonumber(expiry) > 0 then redis.call('ZADD', KEYS[1], 0, ARGV[1]) end
local answer = {1}
for i = 3, #ARGV do
  local sockets = redis.call('HGET', KEYS[2], ARGV[i])
  if sockets then
    redis.call('HDEL', KEYS[2], ARGV[i])
    answer[#answer + 1] = ARGV[i]
    answer[#answer + 1] = count(KEYS[3], KEYS[4], ARGV[i], -sockets, ARGV[2])
  end
end
return answer
`

/**
 * KEYS[1] the totals; KEYS[2] channels that may be vacated; KEYS[3] the node's channels; ARGV[1] the field for what it was
 * answered last, ARGV[2] the number of its call. Answers how many were looked at, and those that are vacated: nobody else
 * is told of them, so a call whose answer was lost is answered again.
 */
const VACATE = `${NOW}
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known then
  local taken = cjson.decode(known)
  if taken[1] == ARGV[2] then
    table.remove(taken, 1)
    return taken
  end
end
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 1000)
local vacated = {}
for _, channel in ipairs(due) do
  redis.call('ZREM', KEYS[2], channel)
  if redis.call('HGET', KEYS[1], channel) == '0' then
    redis.call('HDEL', KEYS[1], channel)
    vacated[#vacated + 1] = channel
  end
end
if #due == 0 then
  redis.call('HDEL', KEYS[3], ARGV[1])
else
  redis.call('HSET', KEYS[3], ARGV[1], cjson.encode({ARGV[2], #due, unpack(vacated)}))
end
return {#due, unpack(vacated)}
`

/** KEYS[1] the totals; KEYS[2] the node's channels; ARGV[1] a channel. Answers how many sockets are there elsewhere. */
const ELSEWHERE = `
return tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) - tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
`

/**
 * The same for all channels, some at a time. ARGV[1] where to go on; ARGV[2] what their names begin with. Answers where
 * to go on next, 0 at the end, and then channel and sockets where there are any.
 */
const ALL_ELSEWHERE = `
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 1000)
local answer = {page[1]}
for i = 1, #page[2], 2 do
  local channel = page[2][i]
  if string.sub(channel, 1, #ARGV[2]) == ARGV[2] then
    local sockets = page[2][i + 1] - tonumber(redis.call('HGET', KEYS[2], channel) or 0)
    if sockets > 0 then
      answer[#answer + 1] = channel
      answer[#answer + 1] = sockets
    end
  end
end
return answer
`

type Flat = (string | number)[]

export type OccupancyScripts = {
  sseOccupancy(nodes: string, node: string, totals: string, vacating: string, ...args: Flat): Promise<number[]>
  sseReapOccupancy(nodes: string, node: string, totals: string, vacating: string, ...args: Flat): Promise<Flat>
  sseVacate(
    totals: string,
    vacating: string,
    node: string,
    field: string,
    call: number,
  ): Promise<[due: number, ...channels: string[]]>
  sseElsewhere(totals: string, node: string, channel: string): Promise<number>
  sseAllElsewhere(totals: string, node: string, cursor: string, prefix: string): Promise<[string, ...Flat]>
}

/** Teaches a connection the scripts of occupancy. */
export function withOccupancyScripts(commands: Commands): Commands & OccupancyScripts {
  commands.defineCommand('sseOccupancy', { numberOfKeys: 4, lua: REPORT })
  commands.defineCommand('sseReapOccupancy', { numberOfKeys: 4, lua: REAP })
  commands.defineCommand('sseVacate', { numberOfKeys: 3, lua: VACATE })
  commands.defineCommand('sseElsewhere', { numberOfKeys: 2, lua: ELSEWHERE })
  commands.defineCommand('sseAllElsewhere', { numberOfKeys: 2, lua: ALL_ELSEWHERE })
  return commands as Commands & OccupancyScripts
}
