import { readFileSync } from "node:fs";

/** In the order in which they need each other. */
const MODULES = ["json", "text", "when", "level"] as const;

/** What the Lua code is told: see shape.lua. */
export interface LuaSettings {
  /** The `environment` of every event. */
  readonly platform: string;
  /** Seconds. */
  readonly hold: number;
}

/** One script of all Lua files; it defines the function `shape`, which Fluent Bit's filter calls. */
export function luaProgram({ platform, hold }: LuaSettings): string {
  const modules = MODULES.map(
    (name) => `package.preload["${name}"] = function()\n${source(name)}end\n`,
  );
  const settings = `SETTINGS = { platform = ${JSON.stringify(platform)}, hold = ${hold} }\n`;
  return [...modules, settings, source("shape")].join("\n");
}

function source(name: string): string {
  return readFileSync(new URL(`${name}.lua`, import.meta.url), "utf8");
}
