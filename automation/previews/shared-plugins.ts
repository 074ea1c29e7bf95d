import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, constants, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { processEnvironment } from "../../core/connections.ts";
import { pulumiHome } from "../engine/home.ts";
import { startPluginProxy } from "./plugin-proxy.ts";

/** What every stack here uses; and whether the plugin heeds how it is configured. */
const PLUGINS = [
  { name: "kubernetes", heedsConfig: true },
  { name: "random", heedsConfig: false },
  { name: "command", heedsConfig: false },
  // The dynamic providers of this package read no config (docs/decisions.md).
  { name: "pulumi-nodejs", heedsConfig: false },
] as const;

/** In ms. */
const START = 20_000;

/** Plugins that run once, for all engines that get `env`. */
export interface SharedPlugins {
  readonly env: Readonly<Record<string, string>>;
  close(): void;
}

/**
 * Starts the plugins that can be found without the engine's help. One that cannot, each engine starts
 * for itself, as ever.
 */
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
  const attached = running.map(({ name, port }) => `${name}:${port}`).join(",");
  return {
    env: attached === "" ? {} : { PULUMI_DEBUG_PROVIDERS: attached },
    close: () => running.forEach(({ close }) => close()),
  };
}

async function startPlugin(program: string, workDir: string, heedsConfig: boolean) {
  const proxy = await startPluginProxy(heedsConfig);
  // Plugins look whether their engine still lives, and end when it does not: here that is the proxy.
  const child = spawn(program, [`127.0.0.1:${proxy.port}`], {
    cwd: workDir,
    env: { ...processEnvironment(), PULUMI_NODEJS_PROJECT: "rdev" },
    stdio: ["ignore", "pipe", "ignore"],
    detached: true, // Ctrl-C is for the engines first
  });
  const close = () => {
    end(child);
    proxy.close();
  };
  try {
    const port = await portOf(child);
    proxy.connect(`127.0.0.1:${port}`);
  } catch (error) {
    close();
    throw error;
  }
  return { port: proxy.port, close };
}

/** A plugin prints its port as its first line. */
async function portOf(child: ChildProcess): Promise<number> {
  const failed = Promise.withResolvers<never>();
  child.once("error", failed.reject).once("exit", () => failed.reject(new Error("ended")));
  const lines = createInterface({ input: child.stdout! });
  const line = once(lines, "line", { signal: AbortSignal.timeout(START) });
  const [port] = (await Promise.race([line, failed.promise])) as [string];
  child.stdout?.resume();
  return Number(port);
}

function end(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

/** Where the engine would find it: in Pulumi's home, in the version of the npm package, or in PATH. */
async function findPlugin(name: string, workDir: string): Promise<string | undefined> {
  const file = `pulumi-resource-${name}`;
  const home = pulumiHome();
  const version = await packageVersion(name, workDir);
  const folders = [
    ...(version === undefined ? [] : [join(home, "plugins", `resource-${name}-v${version}`)]),
    ...(processEnvironment()["PATH"] ?? "").split(delimiter),
  ];
  for (const folder of folders) {
    const path = join(folder, file);
    if (folder !== "" && (await isExecutable(path))) return path;
  }
  return undefined;
}

async function packageVersion(name: string, workDir: string): Promise<string | undefined> {
  const path = join(workDir, "node_modules/@pulumi", name, "package.json");
  const text = await readFile(path, "utf8").catch(() => "{}");
  return (JSON.parse(text) as { version?: string }).version?.replace(/^v/, "");
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
