/** Pulumi's plugins as processes that no engine started. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import which from "which";
import { type Environment, processEnvironment } from "../../core/connections.ts";
import { killGroup } from "../processes/processes.ts";
import { pulumiHome } from "./folders.ts";
import { sdkVersion } from "./versions.ts";

/** The plugins of every stack besides the one for dynamic resources. */
export const PLUGINS = ["kubernetes", "random", "command"] as const;

export type PluginName = (typeof PLUGINS)[number];

/** The engine and plugins in Go collect garbage less often: see docs/performance.md. */
export const GOGC = "200";

const START_TIMEOUT_MS = 20_000;

export interface PluginProcess {
  readonly pid: number;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly exited: Promise<void>;
  /** Ends the plugin's process group at once. */
  kill(): void;
}

interface PluginOptions {
  /** The address that the plugin takes for its engine. It ends when that no longer answers. */
  readonly engine: string;
  readonly cwd: string;
  readonly env: Environment;
  /** The process's priority, as `os.setPriority` takes it. Default: this process's. */
  readonly priority?: number;
}

/** Resolves when the plugin listens. Rejects if it does not within 20 s, or ends before. */
export async function startPlugin(
  program: string,
  { engine, cwd, env, priority }: PluginOptions,
): Promise<PluginProcess> {
  const child = spawn(program, [engine], {
    cwd,
    env: { GOGC, ...env },
    stdio: ["ignore", "pipe", "ignore"],
    // A process group of its own: Ctrl-C must reach the engines first, and `kill` ends the group.
    detached: true,
  });
  if (priority !== undefined && child.pid !== undefined) setPriority(child.pid, priority);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve()).once("error", () => resolve());
  });
  const kill = () => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  try {
    const port = await portOf(child);
    return { pid: child.pid!, port, exited, kill };
  } catch (error) {
    kill();
    await exited;
    throw error;
  }
}

/** A plugin prints its port as its first line. */
async function portOf(child: ChildProcess): Promise<number> {
  const failed = Promise.withResolvers<never>();
  child.once("error", failed.reject).once("exit", () => failed.reject(new Error("ended")));
  const lines = createInterface({ input: child.stdout! });
  const line = once(lines, "line", { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  const [port] = (await Promise.race([line, failed.promise])) as [string];
  child.stdout?.resume();
  return Number(port);
}

/** Looks where the engine does: in PATH, then in Pulumi's home for the version of the npm package. */
export async function findPlugin(name: PluginName, workDir: string): Promise<string | undefined> {
  const { PATH = "", PULUMI_IGNORE_AMBIENT_PLUGINS: ignoresPath } = processEnvironment();
  const version = versionIn(workDir, name);
  const folders = [
    ...(/^(1|true)$/i.test(ignoresPath ?? "") ? [] : PATH.split(delimiter)),
    ...(version === undefined
      ? []
      : [join(pulumiHome(), "plugins", `resource-${name}-v${version}`)]),
  ];
  const path = folders.filter((folder) => folder !== "").join(delimiter);
  return (await which(`pulumi-resource-${name}`, { path, nothrow: true })) ?? undefined;
}

/** Undefined if the folder has no such npm package. */
function versionIn(workDir: string, name: string): string | undefined {
  try {
    return sdkVersion(name, workDir);
  } catch {
    return undefined;
  }
}
