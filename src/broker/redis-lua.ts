// What scripts of several rooms begin with.

/** Redis's own time in milliseconds: the clocks of the nodes have no say. */
export const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** Finer than anything done twice: it says which of two writes was first. */
export const NOW_US = `
local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
`

/** Which run of the server this is; unknown to a user without the right to INFO. */
export const RUN = `
local function thisRun()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)')
end

-- All that is here was said to another run, and nobody has noticed yet.
local function isAnotherRun(key)
  local known, run = redis.call('GET', key), thisRun()
  return known and run and known ~= run
end
`
