import { readFileSync } from "node:fs";

/** In the order in which they need each other. */
const MODULES = ["json", "text", "when", "level"] as const;

/** What the Lua code is told: see shape.lua. */
export interface LuaSettings {
  /** The `environment` of every event. */
  readonly platform: string;
  /** Seconds. */
  readonly hold: number;
  /** What every tag of a container begins with, before its file's name. */
  readonly prefix: string;
}

/** One script of all Lua files; it defines the function `shape`, which Fluent Bit's filter calls. */
export function luaProgram({ platform, hold, prefix }: LuaSettings): string {
  const modules = MODULES.map(
    (name) => `package.preload["${name}"] = function()\n${source(name)}end\n`,
  );
  // JSON's escapes are Lua's as well, for names and paths.
  const settings =
    `SETTINGS = { platform = ${JSON.stringify(platform)}, hold = ${hold}, ` +
    `prefix = ${JSON.stringify(prefix)} }\n`;
  return [...modules, settings, source("shape")].join("\n");
}

function source(name: string): string {
  return readFileSync(new URL(`${name}.lua`, import.meta.url), "utf8");
}
