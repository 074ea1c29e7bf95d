-- Converts the levels of common loggers to Citadel's five.
local level = {}

local WORDS = {
  trace = "trace", verbose = "trace", finest = "trace", silly = "trace",
  debug = "debug", dbg = "debug", fine = "debug",
  info = "info", information = "info", informational = "info", notice = "info", log = "info",
  warn = "warn", warning = "warn", wrn = "warn",
  error = "error", err = "error", severe = "error", critical = "error", crit = "error",
  fatal = "error", panic = "error", dpanic = "error", alert = "error", emergency = "error", emerg = "error",
}
local KLOG = { I = "info", W = "warn", E = "error", F = "error" }
local NUMBERS = { "trace", "debug", "info", "warn", "error" }

local function parseName(value)
  local word, offset = value:lower():match("^%s*(%a+)([+-]?%d*)%s*$")
  local known = WORDS[word or ""]
  -- slog's levels are four apart, so DEBUG-4 is trace.
  if known == "debug" and (tonumber(offset) or 0) <= -4 then return "trace" end
  return known
end

-- The results of parseName; false for a value that is no level. Applications write few different levels.
local names, count = {}, 0
local MAX_NAMES = 256

-- Reads the names of slog (`INFO`, `DEBUG-4`), zerolog, logrus, zap, winston and Python, and the numbers
-- of pino and bunyan (10 is trace, 60 is fatal). Returns nil for any other value.
function level.parse(value)
  if type(value) == "number" then
    if value < 10 or value > 100 then return nil end
    return NUMBERS[math.min(5, math.floor(value / 10))]
  end
  if type(value) ~= "string" or #value > 32 then return nil end
  local known = names[value]
  if known == nil then
    known = parseName(value) or false
    if count == MAX_NAMES then names, count = {}, 0 end
    names[value], count = known, count + 1
  end
  return known or nil
end

-- Whether the text has three capital letters in a row.
local function hasCapitals(s)
  local run = 0
  for at = 1, #s do
    local b = s:byte(at)
    run = b >= 65 and b <= 90 and run + 1 or 0
    if run == 3 then return true end
  end
  return false
end

local function has(s, part)
  return s:find(part, 1, true) ~= nil
end

local function begins(s, part)
  return s:find(part, 1, true) == 1
end

-- The level of a line of text: logfmt's `level=`, klog's letter, or a word in capitals or brackets near
-- its start. A plain search goes before each pattern, because LuaJIT does not compile patterns.
function level.ofText(line)
  local start = line:sub(1, 120)
  local word = has(start, "level=") and start:match("%f[%w]level=\"?(%a+)")
    or has(start, "lvl=") and start:match("%f[%w]lvl=\"?(%a+)")
  local named = level.parse(word)
  if named then return named end
  local letter = KLOG[start:sub(1, 1)] and start:match("^([IWEF])%d%d%d%d %d%d:%d%d:%d%d")
  if letter then return KLOG[letter] end
  local head = start:sub(1, 64)
  if hasCapitals(head) then
    for word in head:gmatch("%f[%w](%u%u%u+)%f[^%w]") do
      if WORDS[word:lower()] and word ~= "LOG" then return WORDS[word:lower()] end
    end
  end
  local bracketed = (has(head, "[") or has(head, "<")) and head:match("[%[<](%l+)[%]>]")
  if bracketed and WORDS[bracketed] then return WORDS[bracketed] end
  if begins(start, "panic: ") or begins(start, "fatal error: ") or begins(start, "Traceback (most") then return "error" end
  if has(start, "Exception") then
    if begins(start, "Exception in thread ") or start:find("^[%w_.$]*%u[%w_$]*Exception%f[^%w]") then return "error" end
  end
  if begins(start, "Uncaught ") or (has(start, "Error: ") and start:find("^[%w_.$]*Error: ")) then return "error" end
  return "info"
end

return level
