-- Limits the disk space for unsent lines of each tenant. A tenant may use more than its share while at
-- least half of the space is free. The rest is reserved for the other tenants' shares.
local chunks, json, when = require("chunks"), require("json"), require("when")

local share = {}

local INTERVAL = 60 -- seconds between two notices to one tenant
local MEASURE_EVERY = 10 -- seconds; longer with many chunks
-- The engine handles at most 16,384 chunks at a time. It stops sending if Citadel refuses all of them.
local MAX_CHUNKS, MANY_CHUNKS = 4096, 8192
local NOTHING = { bytes = 0, count = 0 }

local byTag, all, measuredAt, nextMeasurement
-- The bytes that passed since the last measurement, by tenant and in total.
local passed, passedInAll = {}, 0

local function measure(now)
  byTag, all = chunks.measure()
  passed, passedInAll = {}, 0
  measuredAt, nextMeasurement = now, now + MEASURE_EVERY + math.floor((all and all.count or 0) / 500)
end

local function isOver(tenant, bytes)
  if not byTag then return false end
  local own = byTag[tenant] or NOTHING
  if own.count > MAX_CHUNKS and all.count > MANY_CHUNKS then return true end
  return own.bytes + (passed[tenant] or 0) + bytes > SETTINGS.share
    and all.bytes + passedInAll + bytes > SETTINGS.unsent / 2
end

-- Whether a tenant may store these bytes.
local function hasRoom(tenant, bytes, now)
  if not nextMeasurement or now >= nextMeasurement or now < measuredAt then measure(now) end
  -- Lines that passed may have been sent already. The clock has whole seconds, so this measures rarely.
  if isOver(tenant, bytes) and now > measuredAt then measure(now) end
  if isOver(tenant, bytes) then return false end
  passed[tenant] = (passed[tenant] or 0) + bytes
  passedInAll = passedInAll + bytes
  return true
end

local states = {}

local function notice(tenant, now, state)
  state.noticedAt = now
  local text = "The log agent on this node drops lines of this environment: Citadel accepts them more slowly than "
    .. "they arrive, and the unsent ones have used up the environment's share of the disk."
  if state.lines > 0 then
    text = text .. (" %d lines (%d bytes) were dropped since the last notice."):format(state.lines, state.bytes)
  end
  local event = {
    message = text, level = "warn", timestamp = when.stamp(now, 0), environment = SETTINGS.platform,
    service = "citadel-agent", target = "citadel-agent",
    fields = json.map({
      dropped_lines = state.lines, dropped_bytes = state.bytes,
      k8s = json.map({ tenant = tenant, node = os.getenv("NODE_NAME") or "unknown" }),
    }),
  }
  state.lines, state.bytes = 0, 0
  return event
end

-- Returns whether a line of a tenant passes, and a notice for its environment, if one is due.
function share.line(tenant, bytes)
  local now = os.time()
  local state = states[tenant]
  local passes = hasRoom(tenant, bytes, now)
  if passes and not state then return true end
  if not state then
    state = { lines = 0, bytes = 0 }
    states[tenant] = state
  end
  local note
  if not passes then state.lines, state.bytes = state.lines + 1, state.bytes + bytes end
  if not state.noticedAt or math.abs(now - state.noticedAt) >= INTERVAL then
    if passes and state.lines == 0 then
      states[tenant] = nil
      return true
    end
    note = notice(tenant, now, state)
  end
  return passes, note
end

return share
