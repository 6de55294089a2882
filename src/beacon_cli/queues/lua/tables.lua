-- The tables of the queue in Redis: what is kept under which key. What queues/tables.py is to the other stores.
--
-- KEYS[1] is the prefix of all keys. ARGV: the operation; the store's clock and the time for people, both empty
-- unless a test sets them; the arguments as JSON; then what is kept word for word.
--
--   meta            form, server (its run id), born (when this server's queue began), emptied (when it was found
--                   without its data, until somebody vouches for it), number, entered, caps, asked
--   tickets         id → record as JSON, whose `expires` is that of its last change
--   waits, active   ids by `expires`: of those that wait, of those that reserve GPUs; each ticket is in one of them
--   waiting:REGION  ids by `rank`: those that wait and are not cancelled; `waited`: the regions with any
--   run:R holder:H  ids; user:U: id → run, without those cancelled that waited
--   warm lost       JSON of [region, pool] → record; JSON of [run, region] → JSON of holders
--   failures        JSON of [run, region] → list as the holder wrote it; `failed`: how many each holds, `failed_order`:
--                   in which order they were told
--   tally:REGION services:REGION asked:USER   counts; turns of the past; executions by time; `tallied`, `paused`: regions
--   log             one record an entry, in order; meta has how many of its first are `forgotten`, and the numbers of
--                   the first and the last entry that said how everything stood (`checkpoint`, `checkpointed`)
--
-- POISON, QUIET, KEPT_LOG, KEPT_FAILURES, CANCELLED, STEPS, KEPT_SERVICES, HOUR, FORM and DEFAULT_CAPS (as JSON) stand before this: queues/redis.py says them.
-- Ids are padded to one length where they are keys or members, so that their order is that of their numbers.
-- cjson and Lua write 14 digits of a number: times are kept in tenths of a millisecond, so that they are exact.

local PREFIX = KEYS[1]
local META = PREFIX .. "meta"
local TICKETS, WAITS, ACTIVE = PREFIX .. "tickets", PREFIX .. "waits", PREFIX .. "active"
local WAITED, TALLIED, PAUSED = PREFIX .. "waited", PREFIX .. "tallied", PREFIX .. "paused"
local FAILED, FAILED_ORDER = PREFIX .. "failed", PREFIX .. "failed_order"
local WARM, LOST, FAILURES, LOG = PREFIX .. "warm", PREFIX .. "lost", PREFIX .. "failures", PREFIX .. "log"

local LISTS = { models = true, calls = true, working = true }
local BATCH = 1000  -- Lua's stack holds only so many values
local PAGE = 16

local call = redis.call

local function tidy(seconds)
  return math.floor(seconds * 10000 + 0.5) / 10000
end

local function digits(number)
  return string.format("%.14g", number)
end

local NOW, WALL = tonumber(ARGV[2]), tonumber(ARGV[3])
if not NOW or not WALL then
  local time = call("TIME")
  local now = tidy(tonumber(time[1]) + tonumber(time[2]) / 1000000)
  NOW, WALL = NOW or now, WALL or now
end

-- Lists are told from objects by hand: to cjson an empty one is an object.
local function array(list)
  return #list == 0 and "[]" or cjson.encode(list)
end

local function joined(texts)
  return "[" .. table.concat(texts, ",") .. "]"
end

-- The object with one more field, whose value is JSON already.
local function with(object, name, json)
  local comma = object == "{}" and "" or ","
  return string.sub(object, 1, -2) .. comma .. cjson.encode(name) .. ":" .. json .. "}"
end

local function pair(one, other)
  return cjson.encode({ one, other })
end

-- Byte by byte, which in UTF-8 is by code point; Lua's own order would be that of the server's language.
local function is_less(one, other)
  for place = 1, math.min(#one, #other) do
    local left, right = string.byte(one, place), string.byte(other, place)
    if left ~= right then
      return left < right
    end
  end
  return #one < #other
end

local function in_batches(ids, key, each)
  for first = 1, #ids, BATCH do
    local batch = { unpack(ids, first, math.min(first + BATCH - 1, #ids)) }
    for place, record in ipairs(call("HMGET", key, unpack(batch))) do
      each(batch[place], record)
    end
  end
end

local function number()
  return call("HINCRBY", META, "number", 1)
end

-- The time of an entry: now, and never before one that was given out.
local function entered()
  local latest = math.max(tonumber(call("HGET", META, "entered") or 0), NOW)
  call("HSET", META, "entered", digits(latest))
  return latest
end

local function caps_kept()
  return call("HGET", META, "caps")
end

local function without_nulls(object)
  for name, value in pairs(object) do
    if value == cjson.null then
      object[name] = nil
    end
  end
  return object
end

-- Tickets ----------------------------------------------------------------------------------------------------------

local function is_active(ticket)
  return ticket.state ~= "waiting"
end

local function is_served(ticket)
  return ticket.state == "waiting" and ticket.cancelled_by == ""
end

-- It waited until it was cancelled, and is there for its holder to be told, and nothing else.
local function is_cancelled(ticket)
  return ticket.state == "waiting" and ticket.cancelled_by ~= ""
end

local function padded(id)
  return string.format("%015.0f", id)
end

local function encoded(ticket)
  local rest = {}
  for name, value in pairs(ticket) do
    if not LISTS[name] then
      rest[name] = value
    end
  end
  local json = cjson.encode(rest)
  for name in pairs(LISTS) do
    json = with(json, name, array(ticket[name]))
  end
  return json
end

local function expires_of(id)
  return call("ZSCORE", WAITS, id) or call("ZSCORE", ACTIVE, id)
end

local function fetched(id, record)
  if not record then
    return nil
  end
  local ticket = cjson.decode(record)
  ticket.expires = tonumber(expires_of(id))
  return ticket
end

local function ticket_by_id(id)
  return fetched(padded(id), call("HGET", TICKETS, padded(id)))
end

local function tickets_by_ids(ids)
  local found = {}
  table.sort(ids)
  in_batches(ids, TICKETS, function(id, record)
    found[#found + 1] = fetched(id, record)
  end)
  return found
end

local function tickets_of_run(run_id)
  return tickets_by_ids(call("SMEMBERS", PREFIX .. "run:" .. run_id))
end

local function tickets_of_holder(holder)
  return tickets_by_ids(call("SMEMBERS", PREFIX .. "holder:" .. holder))
end

local function active_tickets()
  return tickets_by_ids(call("ZRANGE", ACTIVE, 0, -1))
end

local function overdue_tickets()
  return tickets_by_ids(call("ZRANGEBYSCORE", WAITS, "-inf", "(" .. digits(NOW)))
end

local function forget(ticket)
  local id = padded(ticket.id)
  call("HDEL", TICKETS, id)
  call("SREM", PREFIX .. "run:" .. ticket.run_id, id)
  call("SREM", PREFIX .. "holder:" .. ticket.holder, id)
  call("HDEL", PREFIX .. "user:" .. ticket.user, id)
  call("ZREM", WAITS, id)
  call("ZREM", ACTIVE, id)
  local queue = PREFIX .. "waiting:" .. ticket.region
  call("ZREM", queue, id)
  if call("ZCARD", queue) == 0 then
    call("SREM", WAITED, ticket.region)
  end
end

local function keep(ticket)
  local id = padded(ticket.id)
  call("HSET", TICKETS, id, encoded(ticket))
  call("SADD", PREFIX .. "run:" .. ticket.run_id, id)
  call("SADD", PREFIX .. "holder:" .. ticket.holder, id)
  if not is_cancelled(ticket) then
    call("HSET", PREFIX .. "user:" .. ticket.user, id, ticket.run_id)
  end
  call("ZADD", is_active(ticket) and ACTIVE or WAITS, digits(ticket.expires), id)
  if is_served(ticket) then
    call("ZADD", PREFIX .. "waiting:" .. ticket.region, digits(ticket.rank), id)
    call("SADD", WAITED, ticket.region)
  end
end

-- The ticket with these changes, kept.
local function change(ticket, changes)
  forget(ticket)
  for name, value in pairs(changes) do
    ticket[name] = value
  end
  keep(ticket)
  return ticket
end

local function expire_at(ticket, expires)
  call("ZADD", is_active(ticket) and ACTIVE or WAITS, digits(expires), padded(ticket.id))
end

-- Those that wait in a region in their order, one after the other: nobody reads ten thousand to serve the first.
local function waiting_in(region)
  local queue, read, page, place = PREFIX .. "waiting:" .. region, 0, {}, 1
  return function()
    if not page[place] then
      page, place = call("ZRANGE", queue, read, read + PAGE - 1), 1
      read = read + PAGE
    end
    local id = page[place]
    place = place + 1
    return id and ticket_by_id(tonumber(id))
  end
end

local function position(ticket)
  return call("ZRANK", PREFIX .. "waiting:" .. ticket.region, padded(ticket.id)) + 1
end

-- What a region remembers ------------------------------------------------------------------------------------------

local function set_paused(region, paused)
  call("SADD", TALLIED, region)
  call(paused and "SADD" or "SREM", PAUSED, region)
end

local function is_paused(region)
  return call("SISMEMBER", PAUSED, region) == 1
end

local function count(region, name, by)
  call("SADD", TALLIED, region)
  call("HINCRBY", PREFIX .. "tally:" .. region, name, by)
end

local function add_service(region, json)
  call("RPUSH", PREFIX .. "services:" .. region, json)
  call("LTRIM", PREFIX .. "services:" .. region, -KEPT_SERVICES, -1)
end

local function tally(region)
  local found = { paused = is_paused(region) }
  local fields = call("HGETALL", PREFIX .. "tally:" .. region)
  for place = 1, #fields, 2 do
    found[fields[place]] = tonumber(fields[place + 1])
  end
  return with(cjson.encode(found), "services", joined(call("LRANGE", PREFIX .. "services:" .. region, 0, -1)))
end

-- Every warm pool, by region and pool.
local function warm_pools()
  local found = {}
  for _, record in ipairs(call("HVALS", WARM)) do
    found[#found + 1] = cjson.decode(record)
  end
  table.sort(found, function(one, other)
    if one.region ~= other.region then
      return is_less(one.region, other.region)
    end
    return is_less(one.pool, other.pool)
  end)
  return found
end

local function warm_pool(region, pool)
  local record = call("HGET", WARM, pair(region, pool))
  return record and cjson.decode(record)
end

local function put_warm(warm)
  call("HSET", WARM, pair(warm.region, warm.pool), cjson.encode(warm))
end

local function remove_warm(region, pool)
  call("HDEL", WARM, pair(region, pool))
end

local function lost(run_id, region)
  return cjson.decode(call("HGET", LOST, pair(run_id, region)) or "[]")
end

local function set_lost(run_id, region, holders)
  if #holders == 0 then
    call("HDEL", LOST, pair(run_id, region))
  else
    call("HSET", LOST, pair(run_id, region), array(holders))
  end
end

local function forget_failures(part)
  call("HDEL", FAILURES, part)
  call("HDEL", FAILED, part)
  call("ZREM", FAILED_ORDER, part)
end

-- Those that an earlier beacon kept, which neither counted nor ordered them, come first. No text can hold the pattern:
-- its own quotes are escaped.
local function order_failures()
  if call("HLEN", FAILURES) == call("ZCARD", FAILED_ORDER) then
    return
  end
  for _, part in ipairs(call("HKEYS", FAILURES)) do
    if not call("ZSCORE", FAILED_ORDER, part) then
      local _, count = string.gsub(call("HGET", FAILURES, part), '"execution":', "")
      call("HSET", FAILED, part, count)
      call("ZADD", FAILED_ORDER, 0, part)
    end
  end
end

-- In place of all of the run's in the region. Of more than are kept, the parts go that were told longest ago.
local function put_failures(run_id, region, json, count)
  order_failures()
  local part = pair(run_id, region)
  forget_failures(part)
  if count == 0 then
    return
  end
  call("HSET", FAILURES, part, json)
  call("HSET", FAILED, part, digits(count))
  call("ZADD", FAILED_ORDER, call("HINCRBY", META, "failed", 1), part)
  local excess = -KEPT_FAILURES
  for _, each in ipairs(call("HVALS", FAILED)) do
    excess = excess + tonumber(each)
  end
  while excess > 0 do
    local oldest = call("ZRANGE", FAILED_ORDER, 0, 0)[1]
    excess = excess - tonumber(call("HGET", FAILED, oldest))
    forget_failures(oldest)
  end
end

-- How many executions a user's turns were granted since then.
local function asked(user, since)
  local sum = 0
  for _, entry in ipairs(call("ZRANGEBYSCORE", PREFIX .. "asked:" .. user, digits(since), "+inf")) do
    sum = sum + tonumber(string.match(entry, ":(.*)"))
  end
  return sum
end

local function add_asked(user, executions)
  local entry = call("HINCRBY", META, "asked", 1) .. ":" .. digits(executions)
  call("ZADD", PREFIX .. "asked:" .. user, digits(NOW), entry)
  call("ZREMRANGEBYSCORE", PREFIX .. "asked:" .. user, "-inf", "(" .. digits(NOW - HOUR))
end

-- The log ----------------------------------------------------------------------------------------------------------

local function forgotten()
  return tonumber(call("HGET", META, "forgotten") or 0)
end

-- `lists` and `objects` are left out where they are empty. Gives the entry's number.
local function append(kind, entry, objects, lists, raw_caps)
  entry.seq, entry.kind, entry.at = forgotten() + call("LLEN", LOG) + 1, kind, WALL
  local json = cjson.encode(entry)
  for name, object in pairs(objects or {}) do
    if next(object) ~= nil then
      json = with(json, name, cjson.encode(object))
    end
  end
  for name, list in pairs(lists or {}) do
    if #list > 0 then
      json = with(json, name, cjson.encode(list))
    end
  end
  call("RPUSH", LOG, raw_caps and with(json, "caps", raw_caps) or json)
  return entry.seq
end

local function append_of(kind, ticket, more)
  local entry = {
    region = ticket.region,
    ticket = ticket.id,
    run_id = ticket.run_id,
    rank = ticket.rank,
    gpus = ticket.gpus,
    token = ticket.token,
    detail = more.detail,
  }
  return append(kind, entry, { pools = ticket.pools, warm = more.warm or {} }, { passed = more.passed or {} })
end

-- How everything stands, an entry each: the caps, paused regions, tickets, warm pools. Gives the last one's number.
local function tell_standing()
  local last = append("standing", {}, nil, nil, caps_kept())
  local regions = call("SMEMBERS", PAUSED)
  table.sort(regions, is_less)
  for _, region in ipairs(regions) do
    last = append("standing", { region = region, detail = "paused" })
  end
  for _, each in ipairs(tickets_by_ids(call("HKEYS", TICKETS))) do
    last = append_of("standing", each, { detail = each.cancelled_by ~= "" and "cancelled" or nil })
  end
  for _, each in ipairs(warm_pools()) do
    last = append("standing", { region = each.region }, { warm = { [each.pool] = each.gpus } })
  end
  return last
end

-- After every so many entries the log says how everything stands, and what came before the last such point is forgotten.
local function look_back(number)
  if number - tonumber(call("HGET", META, "checkpointed") or 0) < KEPT_LOG then
    return
  end
  local gone = tonumber(call("HGET", META, "checkpoint") or 0) - 1 - forgotten()
  if gone > 0 then
    call("LTRIM", LOG, gone, -1)
    call("HINCRBY", META, "forgotten", gone)
  end
  call("HSET", META, "checkpoint", number + 1, "checkpointed", tell_standing())
end

local function tell(...)
  look_back(append(...))
end

local function tell_of(kind, ticket, more)
  look_back(append_of(kind, ticket, more or {}))
end
