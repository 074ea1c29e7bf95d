-- How much of the disk the lines of one tenant may take while they wait for Citadel. A tenant may use
-- more than its share while at least half of the disk is free; what is left is for the others.
local chunks, json, when = require("chunks"), require("json"), require("when")

local share = {}

local INTERVAL = 60 -- seconds between two notices to one tenant
local LOOK_EVERY = 10 -- seconds; more where there are many chunks
-- The engine can have 16,384 chunks on their way, and stops sending where all of them are refused.
local MAX_CHUNKS, MANY_CHUNKS = 4096, 8192
local NOTHING = { bytes = 0, count = 0 }

local byTag, all, lookedAt, nextLook
-- What passed since the last look, by tenant and in all.
local passed, passedInAll = {}, 0

local function look(now)
  byTag, all = chunks.measure()
  passed, passedInAll = {}, 0
  lookedAt, nextLook = now, now + LOOK_EVERY + math.floor((all and all.count or 0) / 500)
end

local function isOver(tenant, bytes)
  if not byTag then return false end
  local own = byTag[tenant] or NOTHING
  if own.count > MAX_CHUNKS and all.count > MANY_CHUNKS then return true end
  return own.bytes + (passed[tenant] or 0) + bytes > SETTINGS.share
    and all.bytes + passedInAll + bytes > SETTINGS.unsent / 2
end

-- Whether these bytes of a tenant may be kept.
local function takes(tenant, bytes, now)
  if not nextLook or now >= nextLook or now < lookedAt then look(now) end
  -- What passed may have been sent already. The clock has whole seconds, so that this is rare.
  if isOver(tenant, bytes) and now > lookedAt then look(now) end
  if isOver(tenant, bytes) then return false end
  passed[tenant] = (passed[tenant] or 0) + bytes
  passedInAll = passedInAll + bytes
  return true
end

local states = {}

local function notice(tenant, now, state)
  state.told = now
  local text = "The log agent on this node drops lines of this environment: Citadel takes them more slowly than "
    .. "they come, and those that wait have used up the environment's share of the disk."
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

-- Whether a line of a tenant passes, and what its environment is to be told.
function share.line(tenant, bytes)
  local now = os.time()
  local state = states[tenant]
  local passes = takes(tenant, bytes, now)
  if passes and not state then return true end
  if not state then
    state = { lines = 0, bytes = 0 }
    states[tenant] = state
  end
  local said
  if not passes then state.lines, state.bytes = state.lines + 1, state.bytes + bytes end
  if not state.told or math.abs(now - state.told) >= INTERVAL then
    if passes and state.lines == 0 then
      states[tenant] = nil
      return true
    end
    said = notice(tenant, now, state)
  end
  return passes, said
end

return share
