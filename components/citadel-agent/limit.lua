-- How much one container may write: a token bucket for each, in lines and in bytes. It runs before
-- everything else, so that a dropped line costs little. The clock of a bucket is the time of its lines,
-- which the container runtime sets: lines that the agent reads late, and so quickly, are no flood.
local limit = {}

local BURST = 30 -- seconds at the full rate
local INTERVAL = 60 -- seconds between two notices about one container
local MAX_BUCKETS = 2048

local buckets, count = {}, 0

-- After a quiet interval a bucket is full again, so that a new one is as good.
local function sweep(now)
  for tag, bucket in pairs(buckets) do
    if now - bucket.time > INTERVAL and not bucket.since then
      buckets[tag], count = nil, count - 1
    end
  end
end

local function newBucket(tag, now)
  if count >= MAX_BUCKETS then sweep(now) end
  local bucket = { time = now, lines = SETTINGS.lines * BURST, bytes = SETTINGS.bytes * BURST }
  buckets[tag], count = bucket, count + 1
  return bucket
end

local function refill(bucket, now)
  local passed = now - bucket.time
  if passed <= 0 then return end
  bucket.time = now
  bucket.lines = math.min(SETTINGS.lines * BURST, bucket.lines + passed * SETTINGS.lines)
  bucket.bytes = math.min(SETTINGS.bytes * BURST, bucket.bytes + passed * SETTINGS.bytes)
end

-- The notice is a line of the container, written as a JSON logger would write it. No container can
-- write to a stream of this name.
local function notice(bucket, now, fields, message, ...)
  bucket.told = now
  local log = '{"level":"warn","logger":"citadel-agent",' .. fields .. '"msg":"' .. message:format(...) .. '"}'
  return { log = log, stream = "agent" }
end

local function begun(bucket, now)
  return notice(
    bucket, now, "",
    "The log agent drops lines of this container: it writes more than %d lines or %d KiB a second.",
    SETTINGS.lines, SETTINGS.bytes / 1024
  )
end

local function dropped(bucket, now)
  return notice(
    bucket, now, ('"dropped_lines":%d,"dropped_bytes":%d,'):format(bucket.dropped, bucket.droppedBytes),
    "The log agent dropped %d lines (%d bytes) of this container in %d s.",
    bucket.dropped, bucket.droppedBytes, math.ceil(now - bucket.since)
  )
end

local function drop(bucket, now, bytes)
  local said
  if not bucket.since then
    -- When a flood goes on, the count of each interval is enough.
    if not bucket.told or now - bucket.told >= INTERVAL then said = begun(bucket, now) end
    bucket.since, bucket.dropped, bucket.droppedBytes = now, 0, 0
  end
  bucket.dropped, bucket.droppedBytes = bucket.dropped + 1, bucket.droppedBytes + bytes
  return said
end

-- Fluent Bit's codes: 0 leaves the record as it is, -1 drops it, 2 takes the given records instead.
function limit.line(tag, ts, record)
  local now = ts.sec + ts.nsec / 1e9
  local bucket = buckets[tag] or newBucket(tag, now)
  refill(bucket, now)
  local said
  if bucket.since and now - bucket.since >= INTERVAL then
    said = dropped(bucket, now)
    bucket.since = nil
  end
  local bytes = type(record.log) == "string" and #record.log or 0
  if bucket.lines >= 1 and bucket.bytes > 0 then
    bucket.lines, bucket.bytes = bucket.lines - 1, bucket.bytes - bytes
    if said then return 2, ts, { said, record } end
    return 0, ts, record
  end
  said = drop(bucket, now, bytes) or said
  if said then return 2, ts, { said } end
  return -1, ts, record
end

return limit
