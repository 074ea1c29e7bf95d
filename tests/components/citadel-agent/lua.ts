import { createRequire } from "node:module";
import { type LuaSettings, luaProgram } from "../../../components/citadel-agent/lua-program.ts";

/** The part of fengari, which has no types, that is used here. */
interface Fengari {
  lua: Record<string, (...args: unknown[]) => unknown> & { LUA_OK: number };
  lauxlib: Record<string, (...args: unknown[]) => unknown>;
  lualib: { luaL_openlibs(state: unknown): void };
  to_luastring(text: string): Uint8Array;
}
const { lua, lauxlib, lualib, to_luastring } = createRequire(import.meta.url)("fengari") as Fengari;

/** A value of a log record. Text may also be bytes, as in Lua. */
export type LuaValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly LuaValue[]
  | { readonly [key: string]: LuaValue };

export interface Shaped {
  /** Fluent Bit's return code: 2 replaces the record, 0 keeps it, -1 drops it. */
  readonly code: number;
  readonly record: unknown;
}

interface LineOptions {
  /** The function to call. @default shape */
  readonly call?: "limit" | "shape";
  readonly tag: string;
  /** The container runtime's time of the line, in ms since 1970. */
  readonly time: number;
  readonly record: Readonly<Record<string, LuaValue>>;
}

interface LuaOptions {
  readonly settings?: Partial<LuaSettings>;
  /** Code that runs after the script. */
  readonly after?: string;
  /** Replaces the node's clock, in seconds since 1970. */
  readonly now?: () => number;
  /** Replaces the unsent chunks on the node's disk, by tenant. */
  readonly waiting?: () => Readonly<Record<string, { bytes: number; count: number }>>;
}

const SETTINGS: LuaSettings = {
  platform: "staging",
  hold: 300,
  prefix: "kube.var.log.containers.",
  lines: 2000,
  bytes: 2 ** 20,
  chunks: "/nowhere",
  share: 2 ** 26,
  unsent: 2 ** 29,
};

/** Replaces LuaJIT's ffi and the node's files: chunks as the engine writes them, from WAITING. */
const FAKE_DISK = `
local ROOT = "${SETTINGS.chunks}"
local function list(path)
  local names = { ".", ".." }
  local function add(name) names[#names + 1] = name end
  if path == ROOT then add("tail.0") add("rejected") end
  if path == ROOT .. "/rejected" then add("refused-1.flb") end
  if path == ROOT .. "/tail.0" then
    add("no-chunk.txt")
    for tag, of in pairs(WAITING()) do
      for number = 1, of.count do add(tag .. "@" .. number .. ".flb") end
    end
  end
  return names
end
package.loaded.ffi = {
  os = "Linux", abi = function() return true end, cdef = function() end,
  string = function(name) return name end,
  C = {
    opendir = function(path) return { names = list(path), at = 0 } end,
    readdir = function(folder)
      folder.at = folder.at + 1
      local name = folder.names[folder.at]
      return name and { name = name }
    end,
    closedir = function() end,
  },
}
io.open = function(path)
  local tag = path:match("^" .. ROOT .. "/tail.0/(.*)@%d+%.flb$")
  local of = tag and WAITING()[tag] or error("opened " .. path)
  return {
    read = function(_, length) return (("."):rep(28) .. tag .. "more"):sub(1, length) end,
    seek = function() return of.bytes / of.count end,
    close = function() end,
  }
end`;

/** Runs the script like Fluent Bit: with its global null, and its types for packing tables. */
export function startLua(
  variables: Readonly<Record<string, string>>,
  { settings, after = "", now, waiting }: LuaOptions = {},
): (options: LineOptions) => Shaped {
  const state = lauxlib["luaL_newstate"]?.();
  lualib.luaL_openlibs(state);
  const define = (name: string, value: () => LuaValue) => {
    const call = (inside: unknown) => (push(inside, value()), 1);
    lua["lua_pushcfunction"]?.(state, call);
    lua["lua_setglobal"]?.(state, to_luastring(name));
  };
  // The environment is that of the process, which all tests share.
  const named = Object.entries(variables).map(([name, value]) => `[ "${name}" ] = "${value}"`);
  run(state, `local e = { ${named.join(", ")} } os.getenv = function(name) return e[name] end`);
  run(state, "flb_null = setmetatable({}, { type = 0 })");
  if (now) {
    define("NOW", now);
    run(state, "os.time = NOW");
  }
  if (waiting) {
    define("WAITING", waiting);
    run(state, FAKE_DISK);
  }
  run(state, luaProgram({ ...SETTINGS, ...settings }) + after);
  return ({ call = "shape", tag, time, record }) => {
    lua["lua_settop"]?.(state, 0); // removes the rest of a failed call
    lua["lua_checkstack"]?.(state, 1000);
    lua["lua_getglobal"]?.(state, to_luastring(call));
    push(state, tag);
    // `time_as_table` is on for `shape` only.
    const seconds = Math.floor(time / 1000);
    push(state, call === "limit" ? time / 1000 : { sec: seconds, nsec: (time % 1000) * 1e6 });
    push(state, record);
    if (lua["lua_pcall"]?.(state, 3, 3, 0) !== lua.LUA_OK) throw new Error(textAt(state, -1));
    const code = lua["lua_tonumber"]?.(state, -3) as number;
    return { code, record: code === 0 ? record : read(state, -1) };
  };
}

function run(state: unknown, code: string): void {
  const failed = lauxlib["luaL_dostring"]?.(state, to_luastring(code));
  if (failed) throw new Error(textAt(state, -1));
}

function push(state: unknown, value: LuaValue): void {
  if (value === null) lua["lua_getglobal"]?.(state, to_luastring("flb_null"));
  else if (typeof value === "boolean") lua["lua_pushboolean"]?.(state, value);
  // In LuaJIT, every number is a double.
  else if (typeof value === "number") lua["lua_pushnumber"]?.(state, value);
  else if (typeof value === "string") lua["lua_pushstring"]?.(state, to_luastring(value));
  else if (value instanceof Uint8Array) lua["lua_pushlstring"]?.(state, value, value.length);
  else {
    lua["lua_newtable"]?.(state);
    const entries = Array.isArray(value)
      ? value.map((inner: LuaValue, index) => [index + 1, inner] as const)
      : Object.entries(value);
    for (const [key, inner] of entries) {
      push(state, key);
      push(state, inner);
      lua["lua_rawset"]?.(state, -3);
    }
  }
}

/** Converts a value as Fluent Bit does when it writes JSON. */
function read(state: unknown, index: number): unknown {
  const at = lua["lua_absindex"]?.(state, index);
  switch (textOf(lua["lua_typename"]?.(state, lua["lua_type"]?.(state, at)))) {
    case "boolean":
      return lua["lua_toboolean"]?.(state, at);
    case "number":
      return lua["lua_tonumber"]?.(state, at);
    case "string":
      return textAt(state, at as number);
    case "table":
      return readTable(state, at);
    default:
      return undefined;
  }
}

function readTable(state: unknown, at: unknown): unknown {
  let type = -1;
  if (lua["lua_getmetatable"]?.(state, at)) {
    lua["lua_getfield"]?.(state, -1, to_luastring("type"));
    type = lua["lua_tonumber"]?.(state, -1) as number;
    lua["lua_settop"]?.(state, -3);
  }
  if (type === 0) return null;
  const entries: [string, unknown][] = [];
  lua["lua_pushnil"]?.(state);
  while (lua["lua_next"]?.(state, at)) {
    entries.push([String(read(state, -2)), read(state, -1)]);
    lua["lua_settop"]?.(state, -2);
  }
  const sorted = entries.toSorted(([a], [b]) => Number(a) - Number(b));
  const isList =
    type === 1 ||
    (type === -1 && sorted.length > 0 && sorted.every(([key], index) => key === String(index + 1)));
  return isList ? sorted.map(([, value]) => value) : Object.fromEntries(entries);
}

function textAt(state: unknown, index: number): string {
  return textOf(lua["lua_tostring"]?.(state, index));
}

/** Throws for bytes that are not UTF-8, because Citadel would refuse the request. */
function textOf(bytes: unknown): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes as Uint8Array);
}
