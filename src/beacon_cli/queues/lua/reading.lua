-- The operations of ports.Store that only read; then what runs the one that was called.

function operations.failures()
  return joined(call("HVALS", FAILURES))
end

function operations.set_aside()
  local aside, fields = {}, call("HGETALL", LOST)
  for place = 1, #fields, 2 do
    if tonumber(fields[place + 1]) >= POISON then
      aside[#aside + 1] = fields[place]
    end
  end
  return joined(aside)
end

local function by_number(one, other)
  return tonumber(one) < tonumber(other)
end

-- The records of these tickets as the caller reads them, unread here. `expires`: id → text.
local function texts(ids, expires)
  local found = {}
  in_batches(ids, TICKETS, function(id, record)
    found[#found + 1] = with(record, "expires", expires[id])
  end)
  return joined(found)
end

local function scores(key, least)
  local found, list = {}, call("ZRANGEBYSCORE", key, least, "+inf", "WITHSCORES")
  for place = 1, #list, 2 do
    found[list[place]] = list[place + 1]
  end
  return found
end

local function waiting_records()
  local waiting, expires = "{}", scores(WAITS, digits(NOW))
  for _, region in ipairs(call("SMEMBERS", WAITED)) do
    local ids = {}
    for _, id in ipairs(call("ZRANGE", PREFIX .. "waiting:" .. region, 0, -1)) do
      local short = digits(tonumber(id))
      if expires[short] then
        ids[#ids + 1] = short
      end
    end
    waiting = with(waiting, region, texts(ids, expires))
  end
  return waiting
end

function operations.snapshot()
  local active = call("ZRANGE", ACTIVE, 0, -1)
  table.sort(active, by_number)
  local tallies = "{}"
  for _, region in ipairs(call("SMEMBERS", TALLIED)) do
    tallies = with(tallies, region, tally(region))
  end
  local whole = cjson.encode({ at = WALL, now = NOW })
  whole = with(whole, "caps", caps_kept() or DEFAULT_CAPS)
  whole = with(whole, "active", texts(active, scores(ACTIVE, "-inf")))
  whole = with(whole, "warm", array(warm_pools()))
  whole = with(whole, "waiting", waiting_records())
  return with(whole, "tallies", tallies)
end

local refused = open()
if refused then
  return refused
end
return operations[ARGV[1]](without_nulls(cjson.decode(ARGV[4])), unpack(ARGV, 5))
