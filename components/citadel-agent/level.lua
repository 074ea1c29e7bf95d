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

-- Reads the names of slog (`INFO`, `DEBUG-4`), zerolog, logrus, zap, winston and Python, and the numbers
-- of pino and bunyan (10 is trace, 60 is fatal). Returns nil for any other value.
function level.parse(value)
  if type(value) == "number" then
    if value < 10 or value > 100 then return nil end
    return NUMBERS[math.min(5, math.floor(value / 10))]
  end
  if type(value) ~= "string" or #value > 32 then return nil end
  local word, offset = value:lower():match("^%s*(%a+)([+-]?%d*)%s*$")
  local known = WORDS[word or ""]
  -- slog's levels are four apart, so DEBUG-4 is trace.
  if known == "debug" and (tonumber(offset) or 0) <= -4 then return "trace" end
  return known
end

-- The level of a line of text: logfmt's `level=`, klog's letter, or a word in capitals or brackets near
-- its start.
function level.ofText(line)
  local start = line:sub(1, 120)
  local named = level.parse(start:match("%f[%w]level=\"?(%a+)") or start:match("%f[%w]lvl=\"?(%a+)"))
  if named then return named end
  local letter = start:match("^([IWEF])%d%d%d%d %d%d:%d%d:%d%d")
  if letter then return KLOG[letter] end
  for word in start:sub(1, 64):gmatch("%f[%w](%u%u%u+)%f[^%w]") do
    if WORDS[word:lower()] and word ~= "LOG" then return WORDS[word:lower()] end
  end
  local bracketed = start:sub(1, 64):match("[%[<](%l+)[%]>]")
  if bracketed and WORDS[bracketed] then return WORDS[bracketed] end
  if start:find("^panic: ") or start:find("^fatal error: ") or start:find("^Traceback %(most") then return "error" end
  if start:find("^Exception in thread ") or start:find("^[%w_.$]*%u[%w_$]*Exception%f[^%w]") then return "error" end
  if start:find("^Uncaught ") or start:find("^[%w_.$]*Error: ") then return "error" end
  return "info"
end

return level
