-- Reads the JSON objects that most loggers write, several times as fast as json.lua and with the same
-- result. It gives up on anything that needs json.lua's care: a number of more than 15 characters or with
-- an exponent, a key that occurs twice, deep nesting, and invalid JSON. It uses no patterns, because LuaJIT
-- does not compile them.
local json = require("json")

local plain = {}

local find, sub, byte = string.find, string.sub, string.byte

-- Returns the position of the next byte that is not blank, and that byte.
local function skip(line, at)
  local b = byte(line, at)
  while b == 32 or b == 9 or b == 10 or b == 13 do
    at = at + 1
    b = byte(line, at)
  end
  return at, b
end

-- Each reader returns a value and the position after it, or nil to give up.

local function readNumber(line, at, b)
  local start, number = at, 0.0 -- a float also in Lua 5.3, whose integers can overflow
  if b == 45 then
    at = at + 1
    b = byte(line, at)
  end
  local digits, first = at, b
  while b and b >= 48 and b <= 57 do
    number = number * 10 + (b - 48)
    at = at + 1
    b = byte(line, at)
  end
  if at == digits or at - start > 15 or (first == 48 and at - digits > 1) then return nil end
  if b == 46 then
    local fraction = at + 1
    repeat
      at = at + 1
      b = byte(line, at)
    until not b or b < 48 or b > 57
    if at == fraction or at - start > 15 then return nil end
    number = tonumber(sub(line, start, at - 1))
  elseif digits > start then
    if number == 0 then return nil end -- in Lua 5.3, -0 is another number than -0.0
    number = -number
  end
  if b == 46 or b == 69 or b == 101 then return nil end
  return number, at
end

-- `at` is after the opening quote.
local function readString(line, at)
  local stop = find(line, '"', at, true)
  if not stop then return nil end
  local slash = find(line, "\\", at, true)
  if not slash or slash > stop then return sub(line, at, stop - 1), stop + 1 end
  repeat
    stop = slash + 2
    local b = byte(line, stop)
    while b and b ~= 34 and b ~= 92 do
      stop = stop + 1
      b = byte(line, stop)
    end
    slash = stop
  until b ~= 92
  local good, value = pcall(json.unescape, sub(line, at, stop - 1))
  if not good or stop > #line then return nil end
  return value, stop + 1
end

local readMap, readArray

local function readValue(line, at, b, depth)
  if b == 34 then return readString(line, at + 1) end
  if b == 123 then return readMap(line, at + 1, depth + 1) end
  if b == 91 then return readArray(line, at + 1, depth + 1) end
  if b == 116 and sub(line, at, at + 3) == "true" then return true, at + 4 end
  if b == 102 and sub(line, at, at + 4) == "false" then return false, at + 5 end
  -- flb_null is a global of the option enable_flb_null.
  if b == 110 and sub(line, at, at + 3) == "null" then return flb_null, at + 4 end
  return readNumber(line, at, b)
end

function readArray(line, at, depth)
  if depth >= json.KEPT_DEPTH then return nil end
  local list, count, value, b = json.array({}), 0, nil, nil
  at, b = skip(line, at)
  if b == 93 then return list, at + 1 end
  while true do
    value, at = readValue(line, at, b, depth)
    if value == nil then return nil end
    count = count + 1
    list[count] = value
    at, b = skip(line, at)
    if b == 93 then return list, at + 1 end
    if b ~= 44 then return nil end
    at, b = skip(line, at + 1)
  end
end

function readMap(line, at, depth)
  if depth >= json.KEPT_DEPTH then return nil end
  local map, b = json.map({}), nil
  at, b = skip(line, at)
  if b == 125 then return map, at + 1 end
  while true do
    if b ~= 34 then return nil end
    local key, value
    key, at = readString(line, at + 1)
    if key == nil then return nil end
    at, b = skip(line, at)
    if b ~= 58 or map[key] ~= nil then return nil end
    at, b = skip(line, at + 1)
    value, at = readValue(line, at, b, depth)
    if value == nil then return nil end
    map[key] = value
    at, b = skip(line, at)
    if b == 125 then return map, at + 1 end
    if b ~= 44 then return nil end
    at, b = skip(line, at + 1)
  end
end

-- The object in a line; nil if json.lua must read it.
function plain.object(line)
  if byte(line, 1) ~= 123 then return nil end
  local map, at = readMap(line, 2, 1)
  if map and skip(line, at) > #line then return map end
  return nil
end

return plain
