-- Text that JSON and a reader can bear.
local text = {}

local find, sub, byte, char, gsub = string.find, string.sub, string.byte, string.char, string.gsub

local MAX_BYTES = 256 * 1024

-- The length of the well-formed UTF-8 character at a byte above 127, or nil (RFC 3629).
local function lengthOf(s, at)
  local a, b, c, d = byte(s, at, at + 3)
  local function tail(x) return x and x >= 0x80 and x < 0xC0 end
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

-- A byte that belongs to no character becomes U+FFFD.
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

-- JSON writes a control character as six bytes, so that a request could pass Citadel's limit: they
-- become their pictures (U+2400 and on) of three bytes, as here. Tabs and line ends stay.
local function picture(c)
  if c == "\t" or c == "\n" or c == "\r" then return nil end
  return c == "\127" and "\226\144\161" or "\226\144" .. char(0x80 + byte(c))
end

-- Well-formed, without control characters, and not longer than 256 KiB.
function text.clean(s)
  if not find(s, "[\128-\255%c]") and #s <= MAX_BYTES then return s end
  s = gsub(wellFormed(s), "%c", picture)
  if #s <= MAX_BYTES then return s end
  local marker = "… [cut: " .. #s .. " bytes]"
  -- Not in the middle of a character.
  local stop = MAX_BYTES - #marker
  while byte(s, stop + 1) >= 0x80 and byte(s, stop + 1) < 0xC0 do stop = stop - 1 end
  return sub(s, 1, stop) .. marker
end

text.MAX_BYTES = MAX_BYTES

return text
