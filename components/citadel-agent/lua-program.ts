import { readFileSync } from "node:fs";

/** In the order in which they need each other. */
const MODULES = ["json", "text", "when", "level", "limit", "chunks", "share"] as const;

/** What the Lua code is told: see shape.lua. */
export interface LuaSettings {
  /** The `environment` of every event. */
  readonly platform: string;
  /** Seconds. */
  readonly hold: number;
  /** What every tag of a container begins with, before its file's name. */
  readonly prefix: string;
  /** How many lines a second one container may write. */
  readonly lines: number;
  /** How many bytes a second one container may write. */
  readonly bytes: number;
  /** The folder in which the engine keeps what is not sent yet. */
  readonly chunks: string;
  /** How many bytes of it one tenant may always use. */
  readonly share: number;
  /** How many bytes of it all tenants may use. */
  readonly unsent: number;
}

/**
 * One script of all Lua files. It defines the functions that Fluent Bit's filters call: `limit` for
 * what a container has written, `shape` for what is known of it by then.
 */
export function luaProgram(settings: LuaSettings): string {
  const modules = MODULES.map(
    (name) => `package.preload["${name}"] = function()\n${source(name)}end\n`,
  );
  // JSON's escapes are Lua's as well, for names and paths.
  const fields = Object.entries(settings).map(
    ([name, value]) => `${name} = ${JSON.stringify(value)}`,
  );
  return [...modules, `SETTINGS = { ${fields.join(", ")} }\n`, source("shape")].join("\n");
}

function source(name: string): string {
  return readFileSync(new URL(`${name}.lua`, import.meta.url), "utf8");
}
