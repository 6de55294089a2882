-- The operations of ports.Store that only read; then what runs the one that was called.

local FEW = 100

function operations.failures(given)
  if given.run_id == "" then
    return joined(call("HVALS", FAILURES))
  end
  return joined({ call("HGET", FAILURES, pair(given.run_id, given.region)) or nil })
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

-- How many executions the turns of each of these users were granted within the hour.
function operations.granted(given)
  local counts = {}
  for place, user in ipairs(given.users) do
    counts[place] = digits(asked(user, NOW - HOUR))
  end
  return joined(counts)
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

-- The first ids that wait in a region and were renewed in time, and how many such there are.
local function first_in(region, most)
  local first, count = {}, 0
  for _, id in ipairs(call("ZRANGE", PREFIX .. "waiting:" .. region, 0, -1)) do
    if tonumber(call("ZSCORE", WAITS, id)) >= NOW then
      count = count + 1
      if count <= most then
        first[count] = id
      end
    end
  end
  return first, count
end

-- As `first_in` where nobody is overdue, as is nearly always so: without a look at each.
local function head_of(region, most)
  if call("ZCOUNT", WAITS, "-inf", "(" .. digits(NOW)) > 0 then
    return first_in(region, most)
  end
  local queue = PREFIX .. "waiting:" .. region
  return most > 0 and call("ZRANGE", queue, 0, most - 1) or {}, call("ZCARD", queue)
end

-- As `times`, of these ids that wait.
local function times_of(ids)
  local list = {}
  for _, id in ipairs(ids) do
    list[#list + 1], list[#list + 2] = id, call("ZSCORE", WAITS, id)
  end
  return array(list)
end

-- What there is but tickets, as JSON; then by turns a region and records of tickets that wait there; active ones
-- stand under an empty name.
function operations.snapshot(given)
  local without_data, restarted = quiet_left(caps_now())
  local whole = cjson.encode({ at = WALL, now = NOW, quiet = math.max(without_data, restarted) })
  whole = with(whole, "caps", caps_kept() or DEFAULT_CAPS)
  whole = with(whole, "warm", array(warm_pools()))
  local tallies = "{}"
  for _, region in ipairs(call("SMEMBERS", TALLIED)) do
    tallies = with(tallies, region, tally(region))
  end
  whole = with(whole, "tallies", tallies)
  local waits, expiries, here = "{}", { times(ACTIVE) }, {}
  for _, region in ipairs(call("SMEMBERS", WAITED)) do
    if given.most then
      local count
      here[region], count = head_of(region, given.most)
      waits = with(waits, region, digits(count))
      expiries[#expiries + 1] = times_of(here[region])
    else
      here[region] = call("ZRANGE", PREFIX .. "waiting:" .. region, 0, -1)
    end
  end
  if not given.most then
    expiries[#expiries + 1] = times(WAITS)
  end
  whole = with(with(whole, "times", joined(expiries)), "waits", waits)
  local answer, active = { whole }, call("ZRANGE", ACTIVE, 0, -1)
  table.sort(active)
  add_records(answer, "", active)
  for region, ids in pairs(here) do
    add_records(answer, region, ids)
  end
  return answer
end

local refused = open()
if refused then
  return refused
end
return operations[ARGV[1]](without_nulls(cjson.decode(ARGV[4])), unpack(ARGV, 5))
