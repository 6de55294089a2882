-- The operations of ports.Store that only read; then what runs the one that was called.

local FEW = 100

function operations.failures()
  return joined(call("HVALS", FAILURES))
end

function operations.set_aside()
  local aside, fields = {}, call("HGETALL", LOST)
  for place = 1, #fields, 2 do
    if #cjson.decode(fields[place + 1]) >= POISON then
      aside[#aside + 1] = fields[place]
    end
  end
  return joined(aside)
end

-- The records of these tickets, unread here, a few in one text: Lua is slow at joining a long one.
local function add_records(answer, name, ids)
  for first = 1, #ids, FEW do
    local few = { unpack(ids, first, math.min(first + FEW - 1, #ids)) }
    answer[#answer + 1] = name
    answer[#answer + 1] = table.concat(call("HMGET", TICKETS, unpack(few)), ",")
  end
end

-- Ids and the times at which they expire, by turns, as texts.
local function times(key)
  local list = call("ZRANGE", key, 0, -1, "WITHSCORES")
  return #list == 0 and "[]" or '["' .. table.concat(list, '","') .. '"]'
end

-- What there is but tickets, as JSON; then by turns a region and records of tickets that wait there; active ones
-- stand under an empty name.
function operations.snapshot()
  local whole = cjson.encode({ at = WALL, now = NOW })
  whole = with(whole, "caps", caps_kept() or DEFAULT_CAPS)
  whole = with(whole, "warm", array(warm_pools()))
  local tallies = "{}"
  for _, region in ipairs(call("SMEMBERS", TALLIED)) do
    tallies = with(tallies, region, tally(region))
  end
  whole = with(whole, "tallies", tallies)
  whole = with(whole, "times", joined({ times(WAITS), times(ACTIVE) }))
  local answer, active = { whole }, call("ZRANGE", ACTIVE, 0, -1)
  table.sort(active)
  add_records(answer, "", active)
  for _, region in ipairs(call("SMEMBERS", WAITED)) do
    add_records(answer, region, call("ZRANGE", PREFIX .. "waiting:" .. region, 0, -1))
  end
  return answer
end

local refused = open()
if refused then
  return refused
end
return operations[ARGV[1]](without_nulls(cjson.decode(ARGV[4])), unpack(ARGV, 5))
