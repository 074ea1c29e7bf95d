-- Converts a container's line to an event of Citadel, and finds its tenant. lua-program.ts defines SETTINGS.
local json, plain, text = require("json"), require("plain"), require("text")
local when, level, share = require("when"), require("level"), require("share")

local ENVIRONMENT, SERVICE, PROJECT = "citadel.io/environment", "citadel.io/service", "rdev.io/project"
local MESSAGES, TIMES = { "msg", "message", "event" }, { "time", "timestamp", "ts", "@timestamp" }
local LEVELS, TARGETS = { "level", "severity", "lvl", "levelname", "log.level" }, { "logger", "target" }

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local lastValue, lastUuid
local function uuid(value)
  if value ~= lastValue then
    lastValue = value
    lastUuid = type(value) == "string" and #value == 36 and value:find(UUID) and value:lower() or nil
  end
  return lastUuid
end

local DEFAULT = uuid(os.getenv("CITADEL_TENANT_ID"))
-- The agent must not start without it, because lines without a label would have no tenant.
if not DEFAULT then error("CITADEL_TENANT_ID must be a tenant's UUID") end
-- The approximate size of an event on the disk without its line.
local EVENT_BYTES = 300
local NODE = os.getenv("NODE_NAME") or "unknown"

local function labelsOf(metadata)
  return metadata and metadata.labels or {}
end

-- The last known label of each namespace, by its name. The engine forgets a namespace after a while, and cannot
-- ask again while the API server is away.
local bindings = {}

local function bindingOf(name, namespace)
  if namespace and name then bindings[name] = labelsOf(namespace)[ENVIRONMENT] end
  return name and bindings[name]
end

-- Returns the tenant and remarks on how it was found; nil if the tenant is not known yet. If the namespace
-- has the label, only that counts; an empty label means the platform's tenant. The admission policy binds
-- the pods to the namespace, so its label is right even for a pod that no longer exists.
local function tenantOf(pod, namespace, held, name)
  if not pod and not namespace then return nil end
  local bound = bindingOf(name, namespace)
  local label = pod and labelsOf(pod)[ENVIRONMENT]
  if bound then
    local tenant = bound == "" and DEFAULT or uuid(bound)
    if not tenant then return DEFAULT, { malformed_environment = bound } end
    if not pod then return tenant, { labels = "namespace" } end
    if label and label ~= "" and uuid(label) ~= tenant then
      -- Perhaps the namespace was created again since its label was read.
      if not namespace then return nil end
      return tenant, { refused_environment = label }
    end
    return tenant
  end
  if pod then
    local tenant = uuid(label)
    if tenant or not label then return tenant or DEFAULT end
    return DEFAULT, { malformed_environment = label }
  end
  -- The API server answers, the pod no longer exists, and its namespace belongs to no project.
  if namespace and held >= SETTINGS.hold then return DEFAULT, { labels = "missing" } end
  return nil
end

-- Returns the first value of the keys that `read` accepts, and its key.
local function take(fields, keys, read)
  for index = 1, #keys do
    local value = fields[keys[index]]
    local good = value ~= nil and read(value)
    if good then return good, keys[index] end
  end
end

local function nonEmpty(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- Cleans every string in a value, including names.
local function clean(value)
  if type(value) == "string" then return text.clean(value) end
  if type(value) ~= "table" then return value end
  local copy, counts = setmetatable({}, getmetatable(value)), {}
  for key, inner in pairs(value) do
    if type(key) == "string" then key = json.freeName(copy, text.clean(key), counts) end
    copy[key] = clean(inner)
  end
  return copy
end

-- The event of a JSON line. Every key that is not moved to the event completely stays in the fields.
local function eventOfObject(fields, line, isClean)
  local event = json.map({})
  local message, messageKey = take(fields, MESSAGES, nonEmpty)
  local written, levelKey = take(fields, LEVELS, level.parse)
  local timestamp, timeKey = take(fields, TIMES, when.parse)
  local target, targetKey = take(fields, TARGETS, nonEmpty)
  if messageKey then fields[messageKey] = nil end
  if timeKey then fields[timeKey] = nil end
  if targetKey then fields[targetKey] = nil end
  -- `fatal`, `DEBUG-2` and 35 are more precise than Citadel's level, so they stay in the fields.
  if levelKey and tostring(fields[levelKey]):lower() == written then fields[levelKey] = nil end
  event.level, event.timestamp = written or "info", timestamp
  if isClean then
    event.message, event.target, event.fields = message or line, target, fields
  else
    event.message, event.target, event.fields = text.clean(message or line), target and text.clean(target), clean(fields)
  end
  return event
end

local function eventOfText(line)
  line = text.clean(line)
  return json.map({ message = line, level = level.ofText(line), fields = json.map({}) })
end

-- One look at the whole line replaces one at each of its strings: the strings of a clean line are clean,
-- unless an escape makes a control character or half a character.
local function eventOf(line)
  local isClean = text.isClean(line)
  local object = isClean and plain.object(line) or #line <= text.MAX_BYTES and json.object(line)
  if not object then return eventOfText(line) end
  return eventOfObject(object, line, isClean and not (line:find("\\", 1, true) and line:find("\\[bfu]")))
end

local function setReserved(fields, name, value)
  local free = name
  while fields[free] ~= nil do free = free .. "_" end
  if free ~= name then fields[free] = fields[name] end
  fields[name] = value
end

-- The kubelet names a file <pod>_<namespace>_<container>-<id>.log. The tag starts with its folder. The last
-- result is kept, because consecutive lines usually come from the same file.
local lastTag, pod, namespace, container
local function sourceOf(tag)
  if tag ~= lastTag then
    local name = tag:sub(1, #SETTINGS.prefix) == SETTINGS.prefix and tag:sub(#SETTINGS.prefix + 1) or tag
    lastTag = tag
    pod, namespace, container = name:match("^([^_]+)_([^_]+)_(.+)%-%x+%.log$")
  end
  return pod, namespace, container
end

-- The service of an event. A pod's own label decides; if the pod is unknown, its namespace's project, which
-- is also the service of the project's Deployment.
local function serviceOf(record, remarks, container)
  local named = nonEmpty(labelsOf(record.kubernetes)[SERVICE])
  if not named and remarks and remarks.labels then
    named = nonEmpty(labelsOf(record.kubernetes_namespace)[PROJECT])
  end
  return named or container or "unknown"
end

local function build(tag, ts, record, line, tenant, remarks)
  local pod, namespace, container = sourceOf(tag)
  local event = eventOf(line)
  local k8s = json.map({
    namespace = namespace, pod = pod, container = container,
    node = NODE, stream = record.stream, tenant = tenant,
  })
  if remarks then
    for name, value in pairs(remarks) do k8s[name] = text.clean(value) end
  end
  setReserved(event.fields, "k8s", k8s)
  event.timestamp = event.timestamp or when.stamp(ts.sec, math.floor(ts.nsec / 1e6))
  event.environment = SETTINGS.platform
  event.service = serviceOf(record, remarks, container)
  event.target = event.target or container or "unknown"
  return event
end

-- Keeps the line and its tag, so that the output `held` sends it back to the agent.
local function hold(ts, record)
  if record.held then return 0, ts end
  record.held = os.time()
  record.kubernetes, record.kubernetes_namespace = nil, nil
  return 2, ts, record
end

-- A loop, because the pattern "[\r\n]+$" takes minutes for a line with many line ends.
local function withoutLineEnd(line)
  local stop = #line
  while line:byte(stop) == 10 or line:byte(stop) == 13 do stop = stop - 1 end
  return stop < #line and line:sub(1, stop) or line
end

-- The event of a line for which `build` failed. Without it, the line would be lost.
local function unshaped(ts, line, tenant, fault)
  return {
    message = text.clean(line), level = "info", timestamp = when.stamp(ts.sec, math.floor(ts.nsec / 1e6)),
    environment = SETTINGS.platform, service = "unknown", target = "citadel-agent",
    fields = json.map({ k8s = json.map({ tenant = tenant, error = text.clean(tostring(fault)) }) }),
  }
end

function shape(tag, ts, record)
  local line = record.log
  if type(line) ~= "string" then line = record.log == nil and "" or tostring(line) end
  line = withoutLineEnd(line)
  if not line:find("%S") then return -1, ts end
  local pod = type(record.kubernetes) == "table" and record.kubernetes.pod_id and record.kubernetes or nil
  local namespace = type(record.kubernetes_namespace) == "table" and record.kubernetes_namespace or nil
  local held = record.held and os.time() - record.held or 0
  local _, name = sourceOf(tag)
  local tenant, remarks = tenantOf(pod, namespace, held, name)
  if not tenant then return hold(ts, record) end
  local passes, note = share.line(tenant, #line + EVENT_BYTES)
  if not passes then return note and 2 or -1, ts, note end
  local good, event = pcall(build, tag, ts, record, line, tenant, remarks)
  if not good then event = unshaped(ts, line, tenant, event) end
  return 2, ts, note and { note, event } or event
end

-- The first stage is in the same script.
limit = require("limit").line
