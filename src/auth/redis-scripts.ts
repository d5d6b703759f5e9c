import type { Commands } from '../broker/redis-connection.ts'
import { NOW, NOW_US, RUN } from '../broker/redis-lua.ts'

/**
 * What a socket is granted at a node, beside what it is granted at others. KEYS[1] the socket; KEYS[2] the nodes; ARGV[1]
 * the incarnation; ARGV[2] the channels; ARGV[3] milliseconds to live. What others only keep for its return ends.
 */
const GRANT = `${NOW_US}
for _, node in ipairs(redis.call('HKEYS', KEYS[1])) do
  local isAlive = tonumber(redis.call('ZSCORE', KEYS[2], node) or 0) * 1000 > nowUs
  if not isAlive or string.sub(redis.call('HGET', KEYS[1], node), 1, 1) == '0' then redis.call('HDEL', KEYS[1], node) end
end
redis.call('HSET', KEYS[1], ARGV[1], '1 ' .. string.format('%.0f', nowUs) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`

/**
 * A socket is no longer live at a node. KEYS[1] the socket; ARGV[1] the incarnation; ARGV[2] milliseconds to keep what
 * it was granted; where it is live at another node it has gone on there, and nothing is kept.
 */
const RELEASE = `
local own = redis.call('HGET', KEYS[1], ARGV[1])
if not own then return 0 end
if tonumber(ARGV[2]) > 0 and redis.call('HLEN', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], '0' .. string.sub(own, 2))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
`

/** The page is gone. KEYS[1] the socket. */
const FORGET = `
local nodes = redis.call('HKEYS', KEYS[1])
if #nodes > 0 then redis.call('HDEL', KEYS[1], unpack(nodes)) end
return #nodes
`

/**
 * KEYS[1] the nodes; KEYS[2] the socket; KEYS[3] the revocations; KEYS[4] the server's last run. Answers, for each living
 * node that has written, `1` when it is live there, the channels, and what was revoked since; nothing of what so much was
 * revoked after that asking Laravel is less work.
 */
const FIND = `${NOW}${RUN}
if isAnotherRun(KEYS[4]) then return {} end
local found = {}
local record = redis.call('HGETALL', KEYS[2])
for i = 1, #record, 2 do
  local live, at, channels = string.match(record[i + 1], '^(%d) (%d+) (.*)$')
  if live and tonumber(redis.call('ZSCORE', KEYS[1], record[i]) or 0) > now then
    local revoked = redis.call('ZRANGEBYSCORE', KEYS[3], at, '+inf', 'LIMIT', 0, 1000)
    if #revoked < 1000 then found[#found + 1] = {live, channels, unpack(revoked)} end
  end
end
return found
`

/**
 * A revocation was heard. Every node that hears it says so, some of them late: the first one counts, and what was granted
 * after it stays. KEYS[1] the revocations; ARGV[1] this one; ARGV[2] milliseconds to remember it; ARGV[3] its id, empty
 * when the node does not know it: then it is the same one within a second.
 */
const REVOKE = `${NOW_US}
local text = ARGV[3] == '' and ARGV[1] or ARGV[3] .. ' ' .. ARGV[1]
local function isRecent(saidUs) return nowUs - tonumber(saidUs or 0) <= 1000000 end

local function isKnown()
  if isRecent(redis.call('ZSCORE', KEYS[1], ARGV[1])) then return true end
  if ARGV[3] ~= '' then return redis.call('ZSCORE', KEYS[1], text) end
  local suffix = ' ' .. ARGV[1]
  local recent = string.format('%.0f', nowUs - 1000000)
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], recent, '+inf', 'LIMIT', 0, 1000)) do
    if string.sub(one, -#suffix) == suffix then return true end
  end
end

if not isKnown() then redis.call('ZADD', KEYS[1], string.format('%.0f', nowUs), text) end
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', nowUs - ARGV[2] * 1000), 'LIMIT', 0, 100)
if #old > 0 then redis.call('ZREM', KEYS[1], unpack(old)) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`

/** KEYS[1] the revocations. Answers each with its age in microseconds: the clocks of the nodes have no say. */
const REVOCATIONS = `${NOW_US}
local said = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'WITHSCORES')
for i = 2, #said, 2 do said[i] = string.format('%.0f', nowUs - said[i]) end
return said
`

export type GrantScripts = {
  sseGrant(socket: string, nodes: string, incarnation: string, channels: string, keepMs: number): Promise<number>
  sseRelease(socket: string, incarnation: string, keepMs: number): Promise<number>
  sseForget(socket: string): Promise<number>
  sseFindGrants(
    nodes: string,
    socket: string,
    revocations: string,
    run: string,
  ): Promise<[live: string, channels: string, ...revocations: string[]][]>
  sseRevoke(revocations: string, revocation: string, keepMs: number, id: string): Promise<number>
  sseRevocations(revocations: string): Promise<string[]>
}

/** Teaches a connection the scripts of grants. */
export function withGrantScripts(commands: Commands): Commands & GrantScripts {
  commands.defineCommand('sseGrant', { numberOfKeys: 2, lua: GRANT })
  commands.defineCommand('sseRelease', { numberOfKeys: 1, lua: RELEASE })
  commands.defineCommand('sseForget', { numberOfKeys: 1, lua: FORGET })
  commands.defineCommand('sseFindGrants', { numberOfKeys: 4, lua: FIND })
  commands.defineCommand('sseRevoke', { numberOfKeys: 1, lua: REVOKE })
  commands.defineCommand('sseRevocations', { numberOfKeys: 1, lua: REVOCATIONS })
  return commands as Commands & GrantScripts
}
