-- Converts the times of common loggers to RFC 3339 in UTC with milliseconds.
local when = {}

local floor, format, match, byte, sub = math.floor, string.format, string.match, string.byte, string.sub

-- A number outside this range is not a time.
local EARLIEST, LATEST = 946684800, 4102444800 -- 2000 and 2100, in seconds since 1970

local last, lastText

-- The date and time of seconds since 1970, with Howard Hinnant's civil_from_days. Not every os.date in Lua
-- supports UTC.
local function civil(seconds)
  local days = floor(seconds / 86400) + 719468
  local rest = seconds % 86400
  local era = floor(days / 146097)
  local day = days % 146097
  local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
  local dayOfYear = day - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * dayOfYear + 2) / 153)
  day = dayOfYear - floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  year = year + era * 400 + (month <= 2 and 1 or 0)
  return format("%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, floor(rest / 3600), floor(rest / 60) % 60, rest % 60)
end

function when.stamp(seconds, milliseconds)
  if seconds ~= last then
    last, lastText = seconds, civil(seconds)
  end
  return format("%s.%03dZ", lastText, milliseconds)
end

-- Days since 1970 of a Gregorian date. The year starts in March, so that a leap day is its last day.
local function daysOf(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400)
    + floor((153 * (month - 3) + 2) / 5) + day - 1 - 719468
end

local function stampOf(seconds, milliseconds)
  if seconds < EARLIEST or seconds >= LATEST then return nil end
  return when.stamp(floor(seconds), floor(milliseconds))
end

-- Reads seconds, milliseconds, microseconds or nanoseconds since 1970. Between 2000 and 2100 their ranges
-- do not overlap.
local function parseNumber(number)
  local unit = 1
  while number / unit >= LATEST and unit < 1e9 do unit = unit * 1000 end
  local seconds = floor(number / unit)
  return stampOf(seconds, floor((number / unit - seconds) * 1000 + 1e-4))
end

-- The last date and time that a text had, its zone, and the stamp's text. Most loggers write many lines in
-- one second, which then differ only in their digits.
local lastHead, lastZone, lastWhole

-- The digits after the seconds, as three, and the zone; nil without digits. A loop, because LuaJIT does not
-- compile patterns.
local function fractionOf(value)
  local mark, at = byte(value, 20), 21
  if mark ~= 46 and mark ~= 44 then return nil end
  local b = byte(value, at)
  while b and b >= 48 and b <= 57 do
    at = at + 1
    b = byte(value, at)
  end
  if at == 21 then return nil end
  return sub(sub(value, 21, at - 1) .. "00", 1, 3), sub(value, at)
end

local LENGTHS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function parseText(value)
  local digits, ending = fractionOf(value)
  local head = digits and sub(value, 1, 19)
  if head and head == lastHead and ending == lastZone then return lastWhole .. digits .. "Z" end
  local year, month, day, hour, minute, second, rest =
    match(value, "^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)(.*)$")
  if not year then return match(value, "^%d+%.?%d*$") and parseNumber(tonumber(value)) or nil end
  local fraction, zone = match(rest, "^[.,](%d+)(.*)$")
  zone = zone or rest
  local sign, hours, minutes = match(zone, "^([+-])(%d%d):?(%d%d)$")
  -- A time without a zone is ambiguous.
  if not sign and zone ~= "Z" and zone ~= "z" then return nil end
  month, day, hour = tonumber(month), tonumber(day), tonumber(hour)
  if not LENGTHS[month] or day < 1 or day > LENGTHS[month] or hour > 23 then return nil end
  if tonumber(minute) > 59 or tonumber(second) > 60 then return nil end
  local offset = sign and (tonumber(hours) * 3600 + tonumber(minutes) * 60) * (sign == "-" and -1 or 1) or 0
  local seconds = daysOf(tonumber(year), month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
  local stamp = stampOf(seconds, tonumber(sub((fraction or "") .. "000", 1, 3)))
  if stamp and head then lastHead, lastZone, lastWhole = head, ending, sub(stamp, 1, 20) end
  return stamp
end

-- The event's time from a logger's value; nil if the value is not a time.
function when.parse(value)
  if type(value) == "number" then return parseNumber(value) end
  if type(value) == "string" and #value < 64 then return parseText(value) end
  return nil
end

return when
