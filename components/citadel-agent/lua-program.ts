import { readFileSync } from "node:fs";

/** Each module may require only modules before it. */
const MODULES = ["json", "plain", "text", "when", "level", "limit", "chunks", "share"] as const;

/** The global SETTINGS of the Lua code. */
export interface LuaSettings {
  /** The `environment` of every event. */
  readonly platform: string;
  /** How long a line waits for its pod's labels, in seconds. */
  readonly hold: number;
  /** The part of each container's tag before the file name. */
  readonly prefix: string;
  /** The lines per second that a container may write. */
  readonly lines: number;
  /** The bytes per second that a container may write. */
  readonly bytes: number;
  /** The folder of the engine's unsent chunks. */
  readonly chunks: string;
  /** The bytes in that folder that a tenant can always use. */
  readonly share: number;
  /** The bytes in that folder that all tenants together can use. */
  readonly unsent: number;
}

/**
 * Joins all Lua files into one script. It defines the functions that Fluent Bit calls: `limit` for
 * each line of a container, then `shape` for the line with its labels.
 */
export function luaProgram(settings: LuaSettings): string {
  const modules = MODULES.map(
    (name) => `package.preload["${name}"] = function()\n${source(name)}end\n`,
  );
  // JSON's escapes of names and paths are valid in Lua.
  const fields = Object.entries(settings).map(
    ([name, value]) => `${name} = ${JSON.stringify(value)}`,
  );
  return [...modules, `SETTINGS = { ${fields.join(", ")} }\n`, source("shape")].join("\n");
}

function source(name: string): string {
  return readFileSync(new URL(`${name}.lua`, import.meta.url), "utf8");
}
