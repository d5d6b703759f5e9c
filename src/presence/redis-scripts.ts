import type { Commands } from '../broker/redis-connection.ts'
import { NOW, RUN } from '../broker/redis-lua.ts'

/**
 * What a server that begins anew remembers was true at some moment: at its last snapshot, or when its master was lost.
 * Since then users may have gone, and been banned. So nothing counts that was said before, and everybody says it again;
 * then it is taken back as what the dead have said. KEYS[1] the nodes; KEYS[2] the server's last run; ARGV[3] and ARGV[4]
 * what the keys of nodes and of channels begin with.
 */
const FORGET_BEFORE = `${RUN}
local function forgetBefore()
  local known, run = redis.call('GET', KEYS[2]), thisRun()
  if not run or known == run then return end
  -- Where no run is known nothing was said, or by gateways that do not know of this.
  if known then
    for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf')) do
      redis.call('ZADD', KEYS[1], -1, node)
      -- Versions may have been higher already.
      for _, channel in ipairs(redis.call('HKEYS', ARGV[3] .. node)) do redis.call('HDEL', ARGV[4] .. channel, 'v') end
    end
  end
  redis.call('SET', KEYS[2], run)
end
`

/** Signs on: KEYS, ARGV[3] and ARGV[4] as above; ARGV[1] a new incarnation; ARGV[2] milliseconds its lease is long. */
const ENROL = `${NOW}${FORGET_BEFORE}
forgetBefore()
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return 1
`

/**
 * Extends a lease. KEYS and ARGV as in ENROL. Answers `dead` when it was taken for dead, `anew` when Redis has begun anew;
 * otherwise `alive`, or `late` when only nobody had noticed, and then some whose lease has run out.
 */
const RENEW = `${NOW}${FORGET_BEFORE}
forgetBefore()
local expiry = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if expiry <= 0 then return {expiry < 0 and 'anew' or 'dead'} end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 16)
return {expiry > now and 'alive' or 'late', unpack(dead)}
`

/**
 * Takes an incarnation whose lease has run out for dead, for good. KEYS[1] the nodes; KEYS[2] its channels; ARGV[1]
 * the incarnation. Answers the channels where its users are still to be taken off.
 */
const KILL = `${NOW}
local expiry = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not expiry or tonumber(expiry) > now then return {} end
if tonumber(expiry) > 0 then redis.call('ZADD', KEYS[1], 0, ARGV[1]) end
local channels = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if field ~= 'step' then channels[#channels + 1] = field end
end
if #channels == 0 then
  redis.call('HDEL', KEYS[2], 'step')
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return channels
`

/** What UPDATE and REAP have in common. The text of a change is that of printChange in store.ts. */
const CHANGE = `
local function parse(value)
  local at = value and string.find(value, '\\n', 1, true)
  -- Without it somebody else has written this.
  if not at then return nil end
  return string.sub(value, 1, at - 1), string.sub(value, at + 1)
end

local function without(nodes, node)
  local rest = {}
  for one in string.gmatch(nodes, '%S+') do
    if one ~= node then rest[#rest + 1] = one end
  end
  return table.concat(rest, ' ')
end

-- Numbers beyond 14 digits would be rounded on their way into a text.
local function raise(key)
  if redis.call('HEXISTS', key, 'v') == 1 then return string.format('%.0f', redis.call('HINCRBY', key, 'v', 1)) end
  local time = redis.call('TIME')
  local version = time[1] .. string.format('%06d', time[2])
  redis.call('HSET', key, 'v', version)
  return version
end

local function tell(key, traffic, channel, joined, left)
  if #joined + #left == 0 then return end
  local version = raise(key)
  if redis.call('HLEN', key) == 1 then redis.call('HDEL', key, 'v') end
  redis.call('PUBLISH', traffic, '{"channel":' .. channel .. ',"version":' .. version ..
    ',"joined":[' .. table.concat(joined, ',') .. '],"left":[' .. table.concat(left, ',') .. ']}')
end
`

/**
 * What a node says about one channel. KEYS[1] the nodes; KEYS[2] the node's channels; KEYS[3] the channel; KEYS[4] the
 * server's last run; ARGV[1] the incarnation; ARGV[2] where changes are published; ARGV[3] the channel's name, ARGV[4] as
 * JSON; ARGV[5] `last` when nobody of this node is left; ARGV[6] the number of this step; ARGV[7] how many joined; then id
 * and member of each, as JSON; the rest who left, as JSON. What was said to another run of the server does not count.
 * Answers 0 when the incarnation was taken for dead or Redis has begun anew, and -1 when a later step came first: what a
 * node sent on a connection it has given up may still arrive, and nobody would take it back. Otherwise a letter for each
 * user, in their order: `n` new to the channel, `o` there on this node's word only, and already before; `g` gone from it,
 * `a` absent already; `-` none of these.
 */
const UPDATE = `${RUN}${CHANGE}
if isAnotherRun(KEYS[4]) then return 0 end
local node = ARGV[1]
if tonumber(redis.call('ZSCORE', KEYS[1], node) or 0) <= 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[2], 'step') or 0) >= tonumber(ARGV[6]) then return -1 end

local areSomeForgotten = #redis.call('ZRANGEBYSCORE', KEYS[1], -1, -1, 'LIMIT', 0, 1) > 0
local function counting(nodes)
  if not nodes or not areSomeForgotten then return nodes end
  local rest = {}
  for one in string.gmatch(nodes, '%S+') do
    if tonumber(redis.call('ZSCORE', KEYS[1], one) or 0) >= 0 then rest[#rest + 1] = one end
  end
  if #rest == 0 then return nil end
  return table.concat(rest, ' ')
end

local joined, left, found = {}, {}, {}
local pairsEnd = 7 + 2 * ARGV[7]
for i = 8, pairsEnd, 2 do
  local id, member = ARGV[i], ARGV[i + 1]
  local nodes, known = parse(redis.call('HGET', KEYS[3], id))
  nodes = counting(nodes)
  if not nodes or known ~= member then joined[#joined + 1] = member end
  found[#found + 1] = not nodes and 'n' or nodes == node and 'o' or '-'
  if not nodes then nodes = node elseif without(nodes, node) == nodes then nodes = nodes .. ' ' .. node end
  redis.call('HSET', KEYS[3], id, nodes .. '\\n' .. member)
end
for i = pairsEnd + 1, #ARGV do
  local nodes, member = parse(redis.call('HGET', KEYS[3], ARGV[i]))
  local rest = nodes and without(nodes, node)
  found[#found + 1] = not nodes and 'a' or rest == '' and 'g' or '-'
  if rest == '' then
    redis.call('HDEL', KEYS[3], ARGV[i])
    left[#left + 1] = ARGV[i]
  elseif rest ~= nodes then
    redis.call('HSET', KEYS[3], ARGV[i], rest .. '\\n' .. member)
  end
end
if ARGV[5] == 'last' then redis.call('HDEL', KEYS[2], ARGV[3]) else redis.call('HSET', KEYS[2], ARGV[3], '') end
redis.call('HSET', KEYS[2], 'step', ARGV[6])
tell(KEYS[3], ARGV[2], ARGV[4], joined, left)
return table.concat(found)
`

/**
 * Takes the users of a dead node off one channel, once, whoever comes first. KEYS and ARGV[1] to ARGV[4] as in UPDATE.
 * The last channel takes the node itself along. Answers who is not there any more, as JSON.
 */
const REAP = `${CHANGE}
local left = {}
if redis.call('HDEL', KEYS[2], ARGV[3]) == 1 then
  local entries = redis.call('HGETALL', KEYS[3])
  for i = 1, #entries, 2 do
    -- An id as JSON: not the version, nor what somebody else has written.
    if string.sub(entries[i], 1, 1) == '"' then
      local nodes, member = parse(entries[i + 1])
      local rest = nodes and without(nodes, ARGV[1])
      if rest == '' then
        redis.call('HDEL', KEYS[3], entries[i])
        left[#left + 1] = entries[i]
      elseif rest ~= nodes then
        redis.call('HSET', KEYS[3], entries[i], rest .. '\\n' .. member)
      end
    end
  end
  tell(KEYS[3], ARGV[2], ARGV[4], {}, left)
end
if redis.call('HLEN', KEYS[2]) == redis.call('HEXISTS', KEYS[2], 'step') then
  redis.call('HDEL', KEYS[2], 'step')
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return left
`

/**
 * KEYS[1] the nodes; KEYS[2] the server's last run. Answers the nodes whose word no longer counts because Redis has begun
 * anew; null when nobody's does.
 */
const FORGOTTEN = `${RUN}
if isAnotherRun(KEYS[2]) then return nil end
return redis.call('ZRANGEBYSCORE', KEYS[1], -1, -1)
`

/** See ENROL. */
export type LeaseArguments = [
  nodes: string,
  run: string,
  incarnation: string,
  leaseMs: number,
  nodePrefix: string,
  presencePrefix: string,
]

export type PresenceScripts = {
  sseEnrol(...lease: LeaseArguments): Promise<number>
  sseRenew(...lease: LeaseArguments): Promise<['dead' | 'anew' | 'alive' | 'late', ...string[]]>
  sseKill(nodes: string, node: string, incarnation: string): Promise<string[]>
  ssePresence(
    nodes: string,
    node: string,
    channel: string,
    run: string,
    ...args: (string | number)[]
  ): Promise<number | string>
  sseReap(nodes: string, node: string, channel: string, ...args: string[]): Promise<string[]>
  sseForgotten(nodes: string, run: string): Promise<string[] | null>
}

/** Teaches a connection the scripts of presence. */
export function withPresenceScripts(commands: Commands): Commands & PresenceScripts {
  commands.defineCommand('sseEnrol', { numberOfKeys: 2, lua: ENROL })
  commands.defineCommand('sseRenew', { numberOfKeys: 2, lua: RENEW })
  commands.defineCommand('sseKill', { numberOfKeys: 2, lua: KILL })
  commands.defineCommand('ssePresence', { numberOfKeys: 4, lua: UPDATE })
  commands.defineCommand('sseReap', { numberOfKeys: 3, lua: REAP })
  commands.defineCommand('sseForgotten', { numberOfKeys: 2, lua: FORGOTTEN })
  return commands as Commands & PresenceScripts
}
