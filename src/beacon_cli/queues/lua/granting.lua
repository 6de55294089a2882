-- Who may have a turn now. The rules of beacon_cli/granting.py and queues/usage.py said again in Lua, sentence for
-- sentence: whoever changes one changes the other. tests/contracts holds them equal, step by step.

local function rank(caps, priority, entry)
  return tidy(entry + STEPS[priority] * caps.ageing)
end

local function is_before(one, other)
  return one.rank < other.rank or (one.rank == other.rank and one.id < other.id)
end

local function reserved(scene, region)
  local sum = 0
  for _, each in ipairs(scene.active) do
    if not region or each.region == region then
      sum = sum + each.gpus
    end
  end
  return sum
end

-- The limits of a user: why they hold a ticket back; nil if they do not.
local function held(scene, ticket)
  local caps = scene.caps
  if caps.jobs_running then
    local seen, running = {}, 0
    for _, each in ipairs(scene.active) do
      if each.user == ticket.user and each.run_id ~= ticket.run_id and not seen[each.run_id] then
        seen[each.run_id], running = true, running + 1
      end
    end
    if running >= caps.jobs_running then
      return "jobs of user " .. ticket.said .. " that run: " .. running .. "; allowed: " .. caps.jobs_running
    end
  end
  if caps.executions_per_hour then
    if not scene.asked[ticket.user] then
      scene.asked[ticket.user] = asked(ticket.user, NOW - HOUR)
    end
    local before = scene.asked[ticket.user]
    if before + ticket.executions > caps.executions_per_hour then
      return "executions of user " .. ticket.said .. " within the hour: " .. digits(before) .. ", and "
        .. digits(ticket.executions) .. " more here; allowed: " .. digits(caps.executions_per_hour)
    end
  end
  return nil
end

-- Why a user may not have one more run waiting; nil if they may. A run that is in the queue may go on.
local function too_many_wait(caps, request)
  if not caps.jobs_waiting then
    return nil
  end
  local runs, waits = {}, 0
  for _, run_id in ipairs(call("HVALS", PREFIX .. "user:" .. request.user)) do
    if not runs[run_id] then
      runs[run_id], waits = true, waits + 1
    end
  end
  local active = {}
  for _, each in ipairs(active_tickets()) do
    if each.user == request.user and not active[each.run_id] then
      active[each.run_id], waits = true, waits - 1
    end
  end
  if runs[request.run_id] or waits < caps.jobs_waiting then
    return nil
  end
  return "jobs of user " .. request.said .. " that wait: " .. waits .. "; allowed: " .. caps.jobs_waiting
end

-- Those whose turn it would be now, as far as the region's jobs at once allow.
local function next_in(scene, region)
  if scene.next[region] then
    return scene.next[region]
  end
  local places, found = scene.caps.jobs_at_once, {}
  for _, each in ipairs(scene.active) do
    if each.region == region then
      places = places - 1
    end
  end
  scene.next[region] = found
  if places <= 0 or is_paused(region) then
    return found
  end
  for each in waiting_in(region) do
    if not held(scene, each) then
      found[#found + 1] = each
      if #found == places then
        break
      end
    end
  end
  return found
end

local function passed_by(scene, ticket)
  local passed = {}
  if not scene.caps.jobs_running and not scene.caps.executions_per_hour then
    return passed
  end
  for each in waiting_in(ticket.region) do
    if each.id == ticket.id then
      break
    end
    if held(scene, each) then
      passed[#passed + 1] = each.id
    end
  end
  return passed
end

-- Adds the tickets of a region that come before this one and lack no GPU in their own region.
local function add_before(found, scene, ticket, region)
  local room = scene.caps.gpus_per_region - reserved(scene, region)
  for _, each in ipairs(next_in(scene, region)) do
    if is_before(ticket, each) or each.gpus > room then
      break
    end
    if each.id ~= ticket.id then
      found[#found + 1] = each
      room = room - each.gpus
    end
  end
end

local function takes_over(ticket, warm)
  return warm.region == ticket.region and warm.gpus <= (ticket.pools[warm.pool] or 0)
end

local function is_taken_over(tickets, warm)
  for _, each in ipairs(tickets) do
    if takes_over(each, warm) then
      return true
    end
  end
  return false
end

-- What is warm, in a region or in all, and would not be taken over by any of these tickets.
local function idle(scene, tickets, region)
  local found = {}
  for _, each in ipairs(scene.warm) do
    if (not region or each.region == region) and not is_taken_over(tickets, each) then
      found[#found + 1] = each
    end
  end
  return found
end

-- The longest idle of these that have to go so that the others fit into `room` GPUs.
local function surplus(warm, room)
  local excess, gone = -room, {}
  for place, each in ipairs(warm) do
    excess, each.place = excess + each.gpus, place  -- they come by region and pool
  end
  table.sort(warm, function(one, other)
    if one.since ~= other.since then
      return one.since < other.since
    end
    return one.place < other.place
  end)
  for _, each in ipairs(warm) do
    if excess <= 0 then
      break
    end
    each.place = nil
    gone[#gone + 1] = each
    excess = excess - each.gpus
  end
  return gone
end

-- The answer to a claim: what a ticket waits for.
local function wait(scene, ticket, why, reason, cool)
  local dead = {}
  for _, each in ipairs(scene.active) do
    -- a dead lease of another region may be what it waits for
    if each.expires < NOW and (why == "total" or why == "user" or each.region == ticket.region) then
      dead[#dead + 1] = each.id
    end
  end
  local said = cjson.encode({ position = position(ticket), why = why, reason = reason })
  return with(with(said, "cool", array(cool or {})), "dead", array(dead))
end

local function lack_here(scene, ticket)
  local room = scene.caps.gpus_per_region - ticket.gpus - reserved(scene, ticket.region)
  if room < 0 then
    return wait(scene, ticket, "gpus", "the GPUs of region " .. ticket.region .. " are in use")
  end
  local cool = surplus(idle(scene, { ticket }, ticket.region), room)
  if #cool > 0 then
    return wait(scene, ticket, "gpus", "idle containers of other models are still there", cool)
  end
  return nil
end

local function lack_over_all(scene, ticket)
  local tickets = {}
  for _, region in ipairs(call("SMEMBERS", WAITED)) do
    add_before(tickets, scene, ticket, region)
  end
  local room = scene.caps.gpus_total - ticket.gpus - reserved(scene)
  for _, each in ipairs(tickets) do
    room = room - each.gpus
  end
  tickets[#tickets + 1] = ticket
  if room < 0 then
    return wait(scene, ticket, "total", "the GPUs of the workspace are in use")
  end
  local cool = surplus(idle(scene, tickets), room)
  if #cool > 0 then
    return wait(scene, ticket, "total", "idle containers in other regions are still there", cool)
  end
  return nil
end

-- The store is new, or its server is: leases may be out that it does not know of, and containers if it is without the
-- data of before. The first of this no other store has need of.
local function quiet_left(caps)
  local leases = QUIET * caps.lease_seconds
  local emptied = call("HGET", META, "emptied")
  local without_data = emptied and tonumber(emptied) + leases + caps.quarantine_seconds - NOW or 0
  return math.max(0, without_data), math.max(0, tonumber(call("HGET", META, "born")) + leases - NOW)
end

local function is_quiet(scene, ticket)
  local without_data, left = quiet_left(scene.caps)
  if without_data > 0 then
    return wait(scene, ticket, "new store", "the queue is new or lost its data: turns from "
      .. digits(math.ceil(without_data)) .. " s on, or, if nothing lives: beacon queue begin")
  end
  if left <= 0 then
    return nil
  end
  local reason = "the Redis of the queue was restarted: turns from "
    .. digits(math.ceil(left)) .. " s on, when all of before have ended"
  return wait(scene, ticket, "new store", reason)
end

-- What a ticket waits for, or nil and the ids of the tickets that its turn passes over.
local function judge(scene, ticket)
  local quiet = is_quiet(scene, ticket)
  if quiet then
    return quiet
  end
  if is_paused(ticket.region) then
    return wait(scene, ticket, "paused", "region " .. ticket.region .. " is paused")
  end
  local reason = held(scene, ticket)
  if reason then
    return wait(scene, ticket, "user", reason)
  end
  local first = next_in(scene, ticket.region)[1]
  if not first or first.id ~= ticket.id then
    return wait(scene, ticket, "turn", "other jobs come first")
  end
  local lack = lack_here(scene, ticket) or lack_over_all(scene, ticket)
  if lack then
    return lack
  end
  return nil, passed_by(scene, ticket)
end

-- Why a lease may not hold pools of so many GPUs.
local function excess(ticket, wanted)
  return "the turn in region " .. ticket.region .. " has " .. ticket.gpus .. " GPUs, and its pools would hold " .. wanted
end

-- Why a request could never be granted, or not again after `holders` lost by its run; nil if it could be.
local function refusal(caps, request, holders)
  local region, most = request.region, math.min(caps.gpus_per_region, caps.gpus_total)
  if holders >= POISON then
    return "run " .. request.run_id .. " is set aside in region " .. region .. ": " .. holders
      .. " processes in a row died there with nothing done. Find out why, then: beacon queue release " .. request.run_id
  end
  if request.gpus > most then
    return "region " .. region .. " has " .. most .. " GPUs, and the job needs " .. request.gpus .. " at once"
  end
  if caps.executions_per_hour and request.executions > caps.executions_per_hour then
    return digits(request.executions) .. " executions in region " .. region .. ", and a user may ask "
      .. digits(caps.executions_per_hour) .. " in an hour"
  end
  return nil
end
