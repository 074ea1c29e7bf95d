-- A container's line to Citadel's event, and the tenant that it belongs to. SETTINGS is what
-- configuration.ts puts before it.
local json, text, when, level = require("json"), require("text"), require("when"), require("level")
local share = require("share")

local ENVIRONMENT, SERVICE = "citadel.io/environment", "citadel.io/service"
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
-- Without it the agent must not start: nothing would say whose a line is.
if not DEFAULT then error("CITADEL_TENANT_ID must be a tenant's UUID") end
-- What an event has on the disk beside its line, about.
local EVENT_BYTES = 300
local NODE = os.getenv("NODE_NAME") or "unknown"

local function labelsOf(metadata)
  return metadata and metadata.labels or {}
end

-- The tenant, and what is to be said of how it was found; nil where it is not known yet. A namespace
-- with the label decides alone, and an empty one is the platform's: the admission policy binds its
-- pods to it, so that it speaks for a pod which was gone before it could be asked for.
local function tenantOf(pod, namespace, held)
  local bound = labelsOf(namespace)[ENVIRONMENT]
  local label = pod and labelsOf(pod)[ENVIRONMENT]
  if bound then
    local tenant = bound == "" and DEFAULT or uuid(bound)
    if not tenant then return DEFAULT, { malformed_environment = bound } end
    if not pod then return tenant, { labels = "namespace" } end
    if label and label ~= "" and uuid(label) ~= tenant then return tenant, { refused_environment = label } end
    return tenant
  end
  if pod then
    local tenant = uuid(label)
    if tenant or not label then return tenant or DEFAULT end
    return DEFAULT, { malformed_environment = label }
  end
  -- The API server answers, and the pod is gone: its namespace is no project's.
  if namespace and held >= SETTINGS.hold then return DEFAULT, { labels = "missing" } end
  return nil
end

-- Takes the first of the keys whose value `read` can read out of the fields.
local function take(fields, keys, read)
  for _, key in ipairs(keys) do
    local value = read(fields[key])
    if value then return value, key end
  end
end

local function nonEmpty(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- Every string in it, names as well.
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

-- Every key of the line that did not become a part of the event whole stays in the fields.
local function ofObject(fields, line)
  local event = {}
  local message, messageKey = take(fields, MESSAGES, nonEmpty)
  local written, levelKey = take(fields, LEVELS, level.parse)
  local timestamp, timeKey = take(fields, TIMES, when.parse)
  local target, targetKey = take(fields, TARGETS, nonEmpty)
  if messageKey then fields[messageKey] = nil end
  if timeKey then fields[timeKey] = nil end
  if targetKey then fields[targetKey] = nil end
  -- `fatal`, `DEBUG-2` and 35 say more than Citadel's word.
  if levelKey and tostring(fields[levelKey]):lower() == written then fields[levelKey] = nil end
  event.message = text.clean(message or line)
  event.level, event.timestamp = written or "info", timestamp
  event.target = target and text.clean(target)
  event.fields = clean(fields)
  return event
end

local function ofText(line)
  line = text.clean(line)
  return { message = line, level = level.ofText(line), fields = json.map({}) }
end

local function eventOf(line)
  local object = #line <= text.MAX_BYTES and json.object(line) or nil
  return object and ofObject(object, line) or ofText(line)
end

local function setReserved(fields, name, value)
  local free = name
  while fields[free] ~= nil do free = free .. "_" end
  if free ~= name then fields[free] = fields[name] end
  fields[name] = value
end

-- The kubelet names a file <pod>_<namespace>_<container>-<id>.log; the tag's beginning is its folder,
-- whose dots a pod's name may hold as well. One file's lines come one after another.
local known, pod, namespace, container
local function partsOf(tag)
  if tag ~= known then
    local name = tag:sub(1, #SETTINGS.prefix) == SETTINGS.prefix and tag:sub(#SETTINGS.prefix + 1) or tag
    known = tag
    pod, namespace, container = name:match("^([^_]+)_([^_]+)_(.+)%-%x+%.log$")
  end
  return pod, namespace, container
end

local function build(tag, ts, record, line, tenant, remarks)
  local pod, namespace, container = partsOf(tag)
  local event = eventOf(line)
  local labels = labelsOf(record.kubernetes)
  local k8s = json.map({
    namespace = namespace, pod = pod, container = container,
    node = NODE, stream = record.stream, tenant = tenant,
  })
  for name, value in pairs(remarks or {}) do k8s[name] = text.clean(value) end
  setReserved(event.fields, "k8s", k8s)
  event.timestamp = event.timestamp or when.stamp(ts.sec, math.floor(ts.nsec / 1e6))
  event.environment = SETTINGS.platform
  event.service = nonEmpty(labels[SERVICE]) or container or "unknown"
  event.target = event.target or container or "unknown"
  return event
end

-- A line whose tenant is not known goes round unshaped, under its file's tag.
local function hold(ts, record)
  if record.held then return 0, ts, record end
  record.held = os.time()
  record.kubernetes, record.kubernetes_namespace = nil, nil
  return 2, ts, record
end

-- In a loop: "[\r\n]+$" takes minutes for a line that is full of them.
local function withoutEnd(line)
  local stop = #line
  while line:byte(stop) == 10 or line:byte(stop) == 13 do stop = stop - 1 end
  return stop < #line and line:sub(1, stop) or line
end

-- An error in here would let the record pass untouched, and so vanish.
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
  line = withoutEnd(line)
  if not line:find("%S") then return -1, ts, record end
  local pod = type(record.kubernetes) == "table" and record.kubernetes.pod_id and record.kubernetes or nil
  local namespace = type(record.kubernetes_namespace) == "table" and record.kubernetes_namespace or nil
  local held = record.held and os.time() - record.held or 0
  local tenant, remarks = tenantOf(pod, namespace, held)
  if not tenant then return hold(ts, record) end
  local passes, said = share.line(tenant, #line + EVENT_BYTES)
  if not passes then return said and 2 or -1, ts, said or record end
  local good, event = pcall(build, tag, ts, record, line, tenant, remarks)
  if not good then event = unshaped(ts, line, tenant, event) end
  return 2, ts, said and { said, event } or event
end

-- The first stage of the way, of the same script.
limit = require("limit").line
