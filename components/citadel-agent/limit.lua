-- Limits how much a container may write, with a token bucket for lines and bytes. It runs first, so that a
-- dropped line costs little. A bucket's clock is the time of its lines, which the container runtime sets.
-- So lines that the agent reads late, and therefore quickly, do not count as a burst.
local limit = {}

local BURST = 30 -- seconds at the full rate
local INTERVAL = 60 -- seconds between two notices about one container
local MAX_BUCKETS = 2048

local buckets, count = {}, 0

-- Removes the buckets of quiet containers. They are full again, like a new bucket.
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

-- The notice is a line of the container in JSON. No container can write to a stream with this name.
local function notice(bucket, now, fields, message, ...)
  bucket.noticedAt = now
  local log = '{"level":"warn","logger":"citadel-agent",' .. fields .. '"msg":"' .. message:format(...) .. '"}'
  return { log = log, stream = "agent" }
end

local function startNotice(bucket, now)
  return notice(
    bucket, now, "",
    "The log agent drops lines of this container: it writes more than %d lines or %d KiB a second.",
    SETTINGS.lines, SETTINGS.bytes / 1024
  )
end

local function countNotice(bucket, now)
  return notice(
    bucket, now, ('"dropped_lines":%d,"dropped_bytes":%d,'):format(bucket.dropped, bucket.droppedBytes),
    "The log agent dropped %d lines (%d bytes) of this container in %d s.",
    bucket.dropped, bucket.droppedBytes, math.ceil(now - bucket.since)
  )
end

local function drop(bucket, now, bytes)
  local note
  if not bucket.since then
    -- If the container keeps writing too much, the count of each interval is enough.
    if not bucket.noticedAt or now - bucket.noticedAt >= INTERVAL then note = startNotice(bucket, now) end
    bucket.since, bucket.dropped, bucket.droppedBytes = now, 0, 0
  end
  bucket.dropped, bucket.droppedBytes = bucket.dropped + 1, bucket.droppedBytes + bytes
  return note
end

-- `now` is the line's time in seconds. Fluent Bit's return codes: 0 keeps the record, -1 drops it, 2 replaces
-- it by the given records. For 0 and -1 there is no third value, because the engine would pack it in vain.
function limit.line(tag, now, record)
  local bucket = buckets[tag] or newBucket(tag, now)
  refill(bucket, now)
  local note
  if bucket.since and now - bucket.since >= INTERVAL then
    note = countNotice(bucket, now)
    bucket.since = nil
  end
  local bytes = type(record.log) == "string" and #record.log or 0
  if bucket.lines >= 1 and bucket.bytes > 0 then
    bucket.lines, bucket.bytes = bucket.lines - 1, bucket.bytes - bytes
    if note then return 2, now, { note, record } end
    return 0, now
  end
  note = drop(bucket, now, bytes) or note
  if note then return 2, now, { note } end
  return -1, now
end

return limit
