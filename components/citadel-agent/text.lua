-- Cleans text for JSON and for readers.
local text = {}

local find, sub, byte, char, gsub = string.find, string.sub, string.byte, string.char, string.gsub

local MAX_BYTES = 256 * 1024

local function tail(x)
  return x and x >= 0x80 and x < 0xC0
end

-- The length of the valid UTF-8 character at a byte above 127; nil if it is invalid (RFC 3629).
local function lengthOf(s, at)
  local a, b, c, d = byte(s, at, at + 3)
  if a >= 0xC2 and a < 0xE0 then return tail(b) and 2 or nil end
  if a >= 0xE0 and a < 0xF0 then
    if not (tail(b) and tail(c)) or (a == 0xE0 and b < 0xA0) or (a == 0xED and b >= 0xA0) then return nil end
    return 3
  end
  if a >= 0xF0 and a < 0xF5 then
    if not (tail(b) and tail(c) and tail(d)) or (a == 0xF0 and b < 0x90) or (a == 0xF4 and b >= 0x90) then return nil end
    return 4
  end
  return nil
end

-- Replaces each byte that is not part of a valid character with U+FFFD.
local function wellFormed(s)
  local at = find(s, "[\128-\255]")
  if not at then return s end
  local parts, count, from = {}, 0, 1
  while at do
    local length = lengthOf(s, at)
    if not length then
      parts[count + 1], parts[count + 2] = sub(s, from, at - 1), "\239\191\189"
      count, from, length = count + 2, at + 1, 1
    end
    at = find(s, "[\128-\255]", at + length)
  end
  if count == 0 then return s end
  return table.concat(parts) .. sub(s, from)
end

-- Replaces control characters, except tabs and line ends, with their pictures (from U+2400), which have
-- three bytes. JSON escapes a control character to six bytes, which could exceed Citadel's limit.
local function picture(c)
  if c == "\t" or c == "\n" or c == "\r" then return nil end
  return c == "\127" and "\226\144\161" or "\226\144" .. char(0x80 + byte(c))
end

-- Whether clean would change nothing. A loop, because LuaJIT does not compile patterns.
function text.isClean(s)
  local at, length = 1, #s
  if length > MAX_BYTES then return false end
  while at <= length do
    local b = byte(s, at)
    if b >= 128 then
      local bytes = lengthOf(s, at)
      if not bytes then return false end
      at = at + bytes
    elseif (b >= 32 and b ~= 127) or b == 9 or b == 10 or b == 13 then
      at = at + 1
    else
      return false
    end
  end
  return true
end

-- Makes text valid UTF-8 without control characters, of at most 256 KiB.
function text.clean(s)
  if text.isClean(s) then return s end
  s = gsub(wellFormed(s), "%c", picture)
  if #s <= MAX_BYTES then return s end
  local marker = "… [cut: " .. #s .. " bytes]"
  -- Does not cut inside a character.
  local stop = MAX_BYTES - #marker
  while byte(s, stop + 1) >= 0x80 and byte(s, stop + 1) < 0xC0 do stop = stop - 1 end
  return sub(s, 1, stop) .. marker
end

text.MAX_BYTES = MAX_BYTES

return text
