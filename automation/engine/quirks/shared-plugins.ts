/** Starts plugins once for all engines that preview. See plugin-proxy.ts for what makes that possible. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import which from "which";
import { processEnvironment } from "../../../core/connections.ts";
import { killGroup } from "../../processes/processes.ts";
import { pulumiHome } from "../folders.ts";
import { sdkVersion } from "../versions.ts";
import { RUNNING_PLUGINS } from "./dynamic-plugin.ts";
import { startPluginProxy } from "./plugin-proxy.ts";

/** The plugins of every stack besides its dynamic resources', and whether they use their configuration. */
const PLUGINS = [
  { name: "kubernetes", heedsConfig: true },
  { name: "random", heedsConfig: false },
  { name: "command", heedsConfig: false },
] as const;

const START_TIMEOUT_MS = 20_000;

interface SharedPlugins {
  /** The variables that make an engine use these plugins. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves when no plugin runs any more. */
  close(): Promise<void>;
}

/** Starts the plugins that it can find. Each engine starts the others for itself, as usual. */
export async function startSharedPlugins(workDir: string): Promise<SharedPlugins> {
  const started = await Promise.all(
    PLUGINS.map(async ({ name, heedsConfig }) => {
      const program = await findPlugin(name, workDir);
      if (program === undefined) return undefined;
      const shared = await startPlugin(program, workDir, heedsConfig).catch(() => undefined);
      return shared && { name, ...shared };
    }),
  );
  const running = started.filter((plugin) => plugin !== undefined);
  const addresses = running.map(({ name, port }) => `${name}:${port}`).join(",");
  return {
    env: addresses === "" ? {} : { [RUNNING_PLUGINS]: addresses },
    close: async () => {
      await Promise.all(running.map(({ close }) => close()));
    },
  };
}

async function startPlugin(program: string, workDir: string, heedsConfig: boolean) {
  const proxy = await startPluginProxy(heedsConfig);
  // A plugin ends when its engine no longer answers. Here the proxy is its engine.
  const child = spawn(program, [`127.0.0.1:${proxy.port}`], {
    cwd: workDir,
    env: processEnvironment(),
    stdio: ["ignore", "pipe", "ignore"],
    // A process group of its own: Ctrl-C must reach the engines first, and `close` ends the group.
    detached: true,
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve()).once("error", () => resolve());
  });
  const close = async () => {
    if (child.pid !== undefined) killGroup(child.pid);
    proxy.close();
    await ended;
  };
  try {
    proxy.connect(`127.0.0.1:${await portOf(child)}`);
  } catch (error) {
    await close();
    throw error;
  }
  return { port: proxy.port, close };
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

/** Looks where the engine does: in Pulumi's home for the version of the npm package, then in PATH. */
async function findPlugin(name: string, workDir: string): Promise<string | undefined> {
  const version = versionIn(workDir, name);
  const folders = [
    ...(version === undefined
      ? []
      : [join(pulumiHome(), "plugins", `resource-${name}-v${version}`)]),
    ...(processEnvironment()["PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""),
  ];
  const path = folders.join(delimiter);
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
