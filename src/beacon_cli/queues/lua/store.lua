-- The operations of ports.Store that change it, as queues/tabled.py has them: whoever changes one changes the other. Each is one
-- call of this script: wholly done or not at all, and nobody between.

local function leased(caps)
  return tidy(NOW + caps.lease_seconds)
end

local function caps_now()
  local caps = without_nulls(cjson.decode(caps_kept() or DEFAULT_CAPS))
  caps.quarantine_seconds = caps.quarantine_seconds or cjson.decode(DEFAULT_CAPS).quarantine_seconds
  return caps
end

-- A server that has never served this queue: no number may come again, and whoever has a ticket gets the time to say
-- that it is still there. What it knows may be of long ago, unless it writes down each change.
local function begin_anew(server)
  local latest = tonumber(call("HGET", META, "number") or 0)
  if call("HEXISTS", META, "server") == 0 or not string.find(call("INFO", "persistence"), "aof_enabled:1", 1, true) then
    call("HSET", META, "emptied", digits(NOW))
  end
  call("HSET", META, "form", FORM, "server", server, "born", digits(NOW))
  call("HSET", META, "number", digits(math.max(latest, math.floor(NOW * 10000))))
  local expires = digits(leased(caps_now()))
  for _, key in ipairs({ WAITS, ACTIVE }) do
    for _, id in ipairs(call("ZRANGE", key, 0, -1)) do
      call("ZADD", key, expires, id)
    end
  end
end

-- What was written in an earlier form.
local function bring_up(form)
  if form == 1 then  -- counts of holders, where names of them are now
    local fields = call("HGETALL", LOST)
    for place = 1, #fields, 2 do
      local holders = {}
      for nth = 1, tonumber(fields[place + 1]) do
        holders[nth] = "nameless " .. nth
      end
      call("HSET", LOST, fields[place], array(holders))
    end
  end
  call("HSET", META, "form", FORM)
end

-- Whether the store is one to work with; an answer to the caller if not. What is newer stays untouched.
local function open()
  local form = tonumber(call("HGET", META, "form") or FORM)
  if form > FORM then
    return redis.error_reply("BEACON was written by a newer beacon: use that one")
  end
  if call("HLEN", TICKETS) ~= call("ZCARD", WAITS) + call("ZCARD", ACTIVE) then
    return redis.error_reply("BEACON has lost a part of its data: once no run goes on, delete its keys (" .. PREFIX .. "*)")
  end
  local server = string.match(call("INFO", "server"), "run_id:(%x+)")
  if call("HGET", META, "server") ~= server then
    begin_anew(server)
  end
  if form < FORM then
    bring_up(form)
  end
  return nil
end

local function remove(ticket, kind, warm, detail)
  forget(ticket)
  local left = is_active(ticket) and warm or {}
  for pool, gpus in pairs(left) do
    local before = warm_pool(ticket.region, pool)
    put_warm({ region = ticket.region, pool = pool, gpus = gpus + (before and before.gpus or 0), since = NOW })
  end
  tell_of(kind, ticket, { warm = left, detail = detail })
end

-- Take away what waits and was not renewed in time.
local function sweep()
  for _, each in ipairs(overdue_tickets()) do
    forget(each)
    tell_of("expired", each)
  end
end

-- Those of these holders that are not this one.
local function others(holders, holder)
  local left = {}
  for _, each in ipairs(holders) do
    if each ~= holder then
      left[#left + 1] = each
    end
  end
  return left
end

local function lose(ticket)
  local holders = lost(ticket.run_id, ticket.region)
  if (ticket.worker or "") ~= "" and #others(holders, ticket.worker) == #holders then
    holders[#holders + 1] = ticket.worker
    set_lost(ticket.run_id, ticket.region, holders)
  end
end

local function found_alive(request)
  local holders = lost(request.run_id, request.region)
  local left = others(holders, request.holder)
  if #left < #holders then
    set_lost(request.run_id, request.region, left)
  end
end

local function lease(id, token)
  local mine = ticket_by_id(id)
  return mine and mine.state == "holding" and mine.token == token and mine or nil
end

local function set_caps(json)
  call("HSET", META, "caps", json)
  tell("caps", {}, nil, nil, json)
end

local function let_die(mine, reason, caps)
  if mine.state ~= "reclaiming" then
    change(mine, { expires = tidy(NOW - caps.lease_seconds) })
  end
  if reason then
    tell_of("set_aside", mine, { detail = reason })
  end
end

local function says_entered(id, token)
  return cjson.encode({ "entered", id, token })
end

local function says_not_yet(reason, dead)
  return joined({ '"not yet"', cjson.encode(reason), array(dead) })
end

-- Let a run that is resumed take up its own ticket, or its lease if that is large enough.
local function inherit(mine, request, caps)
  if mine.state == "reclaiming" or (is_active(mine) and mine.gpus < request.gpus) then
    let_die(mine, nil, caps)
    return says_not_yet("what the run left behind has to end first", { mine.id })
  end
  local token, gpus, pools = 0, request.gpus, request.pools
  if is_active(mine) then
    token, gpus, pools = number(), mine.gpus, mine.pools
  end
  change(mine, {
    holder = request.holder, user = request.user, said = request.said, token = token, gpus = gpus, pools = pools,
    models = request.models, executions = request.executions, expires = leased(caps), cancelled_by = "",
    worker = token > 0 and request.holder or "",
  })
  tell_of("inherited", mine)
  return says_entered(mine.id, token)
end

local function new(request, caps)
  local entry = entered()
  local ticket = {
    id = number(), run_id = request.run_id, job_id = request.job_id, region = request.region, user = request.user,
    said = request.said, holder = request.holder, priority = request.priority, state = "waiting",
    gpus = request.gpus, pools = request.pools, executions = request.executions, models = request.models,
    rank = rank(caps, request.priority, entry), expires = leased(caps), entered_at = WALL,
    token = 0, calls = {}, question = "", working = {}, cancelled_by = "", worker = "",
  }
  keep(ticket)
  tell_of("entered", ticket)
  return says_entered(ticket.id, 0)
end

local function grant(mine, passed)
  for _, each in ipairs(warm_pools()) do
    if takes_over(mine, each) then
      remove_warm(each.region, each.pool)
    end
  end
  change(mine, { state = "holding", token = number(), started_at = WALL, worker = mine.holder })
  add_asked(mine.user, mine.executions)
  tell_of("granted", mine, { passed = passed })
  return cjson.encode({ "granted", mine.token })
end

local function count_part(mine, given, service, failures)
  if given.how == "completed" or given.how == "failed" then
    count(mine.region, given.how, 1)
  end
  count(mine.region, "succeeded_executions", given.succeeded)
  count(mine.region, "failed_executions", given.failed)
  if given.succeeded + given.failed > 0 then
    add_service(mine.region, service)
  end
  put_failures(mine.run_id, mine.region, failures, given.failures)
  set_lost(mine.run_id, mine.region, {})
end

local operations = {}

function operations.hello()
  return "true"
end

function operations.forgotten()
  return digits(forgotten())
end

function operations.begin()
  return call("HDEL", META, "emptied") == 1 and "true" or "false"
end

function operations.agree(_, json)
  local kept = caps_kept()
  if not kept then
    set_caps(json)
  end
  return kept or json
end

function operations.set_caps(_, json)
  sweep()
  for _, each in ipairs(tickets_by_ids(call("ZRANGE", WAITS, 0, -1))) do
    if is_cancelled(each) then
      remove(each, "left", {}, "cancelled")
    end
  end
  local tickets = call("HLEN", TICKETS)
  if tickets == 0 then
    set_caps(json)
  end
  return digits(tickets)
end

function operations.enter(request)
  local caps = caps_now()
  sweep()
  local mine
  for _, each in ipairs(tickets_of_run(request.run_id)) do
    mine = mine or (each.region == request.region and each or nil)
  end
  if mine and mine.holder == request.holder and mine.state ~= "reclaiming" then
    return says_entered(mine.id, mine.token)
  end
  if mine and is_cancelled(mine) then
    remove(mine, "left", {}, "cancelled")
    mine = nil
  end
  found_alive(request)
  if mine and (mine.cancelled_by or "") ~= "" and mine.worker == request.holder then
    return cjson.encode({ "refused", "cancelled by " .. mine.cancelled_by })
  end
  if mine and mine.state == "holding" then
    if request.executions < mine.executions then
      set_lost(mine.run_id, mine.region, {})
    end
    lose(mine)
  end
  local reason = refusal(caps, request, #lost(request.run_id, request.region))
  if reason then
    if mine then
      let_die(mine, reason, caps)
    end
    return cjson.encode({ "refused", reason })
  end
  if mine then
    return inherit(mine, request, caps)
  end
  reason = too_many_wait(caps, request)
  if reason then
    return says_not_yet(reason, {})
  end
  return new(request, caps)
end

function operations.claim(given)
  sweep()
  local mine = ticket_by_id(given.ticket)
  if not mine or mine.holder ~= given.holder then
    return '["unknown",""]'
  end
  if mine.state == "holding" then
    return cjson.encode({ "granted", mine.token })
  end
  if mine.state == "reclaiming" then
    return cjson.encode({ "unknown", mine.cancelled_by })
  end
  if mine.cancelled_by ~= "" then
    remove(mine, "left", {}, "cancelled")
    return cjson.encode({ "unknown", mine.cancelled_by })
  end
  local scene = { caps = caps_now(), active = active_tickets(), warm = warm_pools(), next = {}, asked = {} }
  local answer, passed = judge(scene, mine)
  if answer then
    return joined({ '"waiting"', answer })
  end
  return grant(mine, passed)
end

function operations.renew(given)
  sweep()
  local expires, orders = leased(caps_now()), {}
  for _, each in ipairs(tickets_of_holder(given.holder)) do
    expire_at(each, is_cancelled(each) and math.max(expires, each.expires) or expires)
    orders[#orders + 1] = {
      ticket = each.id, region = each.region, state = each.state, token = each.token,
      cancelled_by = each.cancelled_by,
    }
  end
  return array(orders)
end

function operations.hold(given)
  local mine = lease(given.ticket, given.token)
  if not mine then
    return "false"
  end
  local wanted = 0
  for _, gpus in pairs(given.pools) do
    wanted = wanted + gpus
  end
  if wanted > mine.gpus then
    return cjson.encode(excess(mine, wanted))
  end
  tell_of("pools", change(mine, { pools = given.pools }))
  return "true"
end

function operations.note(given)
  local mine = lease(given.ticket, given.token)
  if not mine then
    return "false"
  end
  local over, calls = {}, {}
  for _, each in ipairs(given.ended) do
    over[each] = true
  end
  for _, list in ipairs({ mine.calls, given.placed }) do
    for _, each in ipairs(list) do
      if not over[each] then
        over[each], calls[#calls + 1] = true, each
      end
    end
  end
  change(mine, { calls = calls, question = given.question, working = given.working })
  if given.progressed then
    set_lost(mine.run_id, mine.region, {})
  end
  return "true"
end

function operations.abandon(given)
  local mine = lease(given.ticket, given.token)
  if not mine then
    return "false"
  end
  change(mine, { worker = "" })
  let_die(mine, nil, caps_now())
  return "true"
end

function operations.leave(given, service, failures)
  local mine = ticket_by_id(given.ticket)
  if not mine or mine.token ~= given.token or mine.state == "reclaiming" then
    return "false"
  end
  remove(mine, "left", given.warm, given.how)
  if is_active(mine) then
    count_part(mine, given, service, failures)
  end
  return "true"
end

function operations.cancel(given)
  local regions = {}
  for _, each in ipairs(tickets_of_run(given.run_id)) do
    if not given.region or given.region == each.region then
      local expires = is_active(each) and each.expires or tidy(NOW + CANCELLED)
      tell_of("cancelled", change(each, { cancelled_by = given.by, expires = expires }), { detail = given.by })
      regions[#regions + 1] = each.region
    end
  end
  return array(regions)
end

function operations.pause(given)
  set_paused(given.region, given.paused)
  tell(given.paused and "paused" or "unpaused", { region = given.region })
  return "true"
end

function operations.reclaim(given)
  local dead = ticket_by_id(given.ticket)
  if not dead or not is_active(dead) then
    return "null"
  end
  local is_mine = dead.state == "reclaiming" and dead.holder == given.holder
  if dead.expires >= NOW and not is_mine then
    return "null"
  end
  change(dead, { state = "reclaiming", holder = given.holder, expires = leased(caps_now()) })
  tell_of("reclaiming", dead)
  return encoded(dead)
end

function operations.reclaimed(given)
  local dead = ticket_by_id(given.ticket)
  if not dead or dead.state ~= "reclaiming" or dead.holder ~= given.holder then
    return "false"
  end
  lose(dead)
  remove(dead, "reclaimed", given.warm)
  return "true"
end

function operations.gone(given)
  local warm = warm_pool(given.region, given.pool)
  if warm and warm.gpus == given.gpus and warm.since == given.since then
    remove_warm(given.region, given.pool)
    tell("warm_gone", { region = given.region }, { warm = { [given.pool] = warm.gpus } })
  end
  return "true"
end

function operations.release(given)
  local found = false
  for _, key in ipairs(call("HKEYS", LOST)) do
    local run_id, region = unpack(cjson.decode(key))
    if run_id == given.run_id then
      set_lost(run_id, region, {})
      found = true
    end
  end
  if found then
    tell("released", { run_id = given.run_id })
  end
  return found and "true" or "false"
end
