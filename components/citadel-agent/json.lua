-- Parses the JSON of log lines. The engine's own parser turns every number into a double; this one keeps
-- the text of a number that a double cannot hold. Runs in LuaJIT (5.1) and in Lua 5.3.
local json = {}

-- Metatables that make Fluent Bit pack a table as an array or a map, even if it is empty (flb_lua.h).
local ARRAY, MAP = { type = 1 }, { type = 2 }
json.KEPT_DEPTH = 12 -- deeper values are kept as text
local MAX_DEPTH = 100

local find, sub, byte, char, format = string.find, string.sub, string.byte, string.char, string.format
local floor = math.floor

function json.map(table)
  return setmetatable(table, MAP)
end

function json.array(table)
  return setmetatable(table, ARRAY)
end

-- Returns `key`, or, if the map already has it, `key_2` and so on: a logger may write a key twice, and
-- cleaning may make two keys equal. `counts` holds the last number of each key in the map. Without it, a
-- line with the same key many times would take hours.
function json.freeName(map, key, counts)
  if map[key] == nil then return key end
  local count = counts[key] or 1
  repeat
    count = count + 1
  until map[key .. "_" .. count] == nil
  counts[key] = count
  return key .. "_" .. count
end

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 0x40), 0x80 + code % 0x40) end
  if code < 0x10000 then
    return char(0xE0 + floor(code / 0x1000), 0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
  end
  return char(
    0xF0 + floor(code / 0x40000),
    0x80 + floor(code / 0x1000) % 0x40,
    0x80 + floor(code / 0x40) % 0x40,
    0x80 + code % 0x40
  )
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- A pair of surrogates is one character. Half of a pair is replaced by U+FFFD.
function json.unescape(text)
  local parts, at, count = {}, 1, 0
  while true do
    local slash = find(text, "\\", at, true)
    count = count + 1
    parts[count] = sub(text, at, (slash or 0) - 1)
    if not slash then return table.concat(parts) end
    local kind = sub(text, slash + 1, slash + 1)
    at = slash + 2
    local plain = ESCAPES[kind]
    if kind == "u" then
      local hex = sub(text, at, at + 3)
      if not find(hex, "^%x%x%x%x$") then error("escape") end
      local code = tonumber(hex, 16)
      at = at + 4
      if code >= 0xD800 and code < 0xDC00 and find(text, "^\\u[dD][c-fC-F]%x%x", at) then
        code = 0x10000 + (code - 0xD800) * 0x400 + tonumber(sub(text, at + 2, at + 5), 16) - 0xDC00
        at = at + 6
      elseif code >= 0xD800 and code < 0xE000 then
        code = 0xFFFD
      end
      plain = utf8(code)
    end
    if not plain then error("escape") end
    count = count + 1
    parts[count] = plain
  end
end

-- `at` is after the opening quote. Returns the string and the position after the closing quote.
local function readString(text, at)
  local stop = at
  while true do
    stop = find(text, '["\\]', stop)
    if not stop then error("string") end
    if byte(text, stop) == 34 then break end
    stop = stop + 2
  end
  local raw = sub(text, at, stop - 1)
  return find(raw, "\\", 1, true) and json.unescape(raw) or raw, stop + 1
end

local function readNumber(text, at)
  local _, stop = find(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not stop then error("value") end
  local digits = sub(text, at, stop)
  local number = tonumber(digits)
  if not number or find(digits, "%.$") or find(digits, "%.[eE]") or find(digits, "^-?0%d") then error("number") end
  -- The engine writes 16 digits. A number that needs more keeps its text.
  if #digits > 15 and tonumber(format("%.16g", number)) ~= number then return digits, stop + 1 end
  if #digits > 15 and find(digits, "^-?%d+$") then return digits, stop + 1 end
  if number == 1 / 0 or number == -1 / 0 then return digits, stop + 1 end
  return number, stop + 1
end

local function skip(text, at)
  return find(text, "[^ \t\r\n]", at) or #text + 1
end

local readValue

local function readArray(text, at, depth)
  local list, count = json.array({}), 0
  at = skip(text, at)
  if byte(text, at) == 93 then return list, at + 1 end
  while true do
    local value
    value, at = readValue(text, at, depth)
    count = count + 1
    list[count] = value
    at = skip(text, at)
    local mark = byte(text, at)
    if mark == 93 then return list, at + 1 end
    if mark ~= 44 then error("array") end
    at = skip(text, at + 1)
  end
end

local function readMap(text, at, depth)
  local map, counts = json.map({}), {}
  at = skip(text, at)
  if byte(text, at) == 125 then return map, at + 1 end
  while true do
    if byte(text, at) ~= 34 then error("key") end
    local key
    key, at = readString(text, at + 1)
    at = skip(text, at)
    if byte(text, at) ~= 58 then error("colon") end
    key = json.freeName(map, key, counts)
    map[key], at = readValue(text, skip(text, at + 1), depth)
    at = skip(text, at)
    local mark = byte(text, at)
    if mark == 125 then return map, at + 1 end
    if mark ~= 44 then error("map") end
    at = skip(text, at + 1)
  end
end

function readValue(text, at, depth)
  local mark = byte(text, at)
  if mark == 34 then return readString(text, at + 1) end
  if mark == 123 or mark == 91 then
    if depth >= MAX_DEPTH then error("depth") end
    local read = mark == 123 and readMap or readArray
    local value, after = read(text, at + 1, depth + 1)
    if depth == json.KEPT_DEPTH then value = sub(text, at, after - 1) end
    return value, after
  end
  if mark == 116 and sub(text, at, at + 3) == "true" then return true, at + 4 end
  if mark == 102 and sub(text, at, at + 4) == "false" then return false, at + 5 end
  -- flb_null is a global of the option enable_flb_null.
  if mark == 110 and sub(text, at, at + 3) == "null" then return flb_null, at + 4 end
  return readNumber(text, at)
end

-- The object in a line; nil if the line is not a JSON object.
function json.object(line)
  local first = byte(line, 1)
  if first ~= 123 and first ~= 32 and first ~= 9 then return nil end
  local start = find(line, "[^ \t]")
  if not start or byte(line, start) ~= 123 then return nil end
  local good, value, after = pcall(readMap, line, start + 1, 1)
  if good and skip(line, after) > #line then return value end
  return nil
end

return json
