import { execa } from "execa";
import { constants, existsSync } from "node:fs";
import { cp, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pulumiHome } from "../automation/engine/folders.ts";
import { isSupportedCli, sdkVersion } from "../automation/engine/versions.ts";
import type { Report } from "./context.ts";
import { withLock } from "./lock.ts";
import { findCommand } from "./process.ts";
import { FAMILIES } from "./tool-families.ts";
import { cacheFolder, plannedFamily } from "./tools.ts";

const STAND_INS = join(import.meta.dirname, "plugins");
/** The plugins that the stacks use, in the versions of their npm packages. */
const PLUGINS = ["kubernetes", "random", "command"] as const;
const DOWNLOADS = "https://get.pulumi.com";
const ONLINE_TIMEOUT_MS = 2_000;
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** Pulumi's CLI, which contains the engine. */
export interface Cli {
  readonly command: string;
  /** Without a `v`. */
  readonly version: string;
  readonly source: "found in PATH" | "official download" | "built from its Go module";
}

export interface Plugin {
  readonly name: string;
  readonly version: string;
  readonly source: "official" | "stand-in";
}

export interface Engine extends Cli {
  readonly plugins: readonly Plugin[];
  /** The folders to put first in PATH: the CLI's, then the stand-ins'. */
  readonly path: readonly string[];
  /** Holds the official plugins, laid out like PULUMI_HOME/plugins. */
  readonly pluginFolder: string;
  /** One line for the sandbox to print. */
  readonly description: string;
}

/** Everything that the choice of an engine depends on; tests replace it. */
export interface EngineOptions {
  readonly report: Report;
  readonly cache?: string;
  /** Whether Pulumi's downloads can be reached. */
  readonly isOnline?: () => Promise<boolean>;
}

/** A supported CLI in PATH; undefined if there is none. */
export async function findCli(searchPath?: string): Promise<Cli | undefined> {
  const inPath = await findCommand("pulumi", searchPath);
  const version = inPath && (await cliVersion(inPath));
  if (!version || !isSupportedCli(version)) return undefined;
  return { command: inPath, version, source: "found in PATH" };
}

/** The CLI of the family `pulumi`, if it is in the cache. */
export async function cachedCli(): Promise<Cli | undefined> {
  const { isBuilt, built } = await plannedFamily(FAMILIES.pulumi);
  if (!isBuilt) return undefined;
  const command = built.program("pulumi");
  const source = hasLanguageHost(command) ? "official download" : "built from its Go module";
  return { command, version: built.version.slice(1), source };
}

/** Adds plugins to a CLI: the official ones if they can be downloaded, otherwise the stand-ins. */
export async function equip(cli: Cli, options: EngineOptions): Promise<Engine> {
  const home = join(options.cache ?? cacheFolder(), "pulumi-home");
  const plugins = await Promise.all(
    PLUGINS.map(async (name): Promise<Plugin> => {
      const version = sdkVersion(name);
      const official = await hasOfficial(cli, home, name, version, options);
      return { name, version, source: official ? "official" : "stand-in" };
    }),
  );
  const hasHost = hasLanguageHost(cli.command);
  const standIns = [
    ...(hasHost ? [] : ["nodejs"]),
    ...plugins.filter(({ source }) => source === "stand-in").map(({ name }) => name),
  ];
  const list = plugins.map(({ name, version, source }) => `${name} ${version} (${source})`);
  return {
    ...cli,
    plugins,
    path: [dirname(cli.command), ...standIns.map((name) => join(STAND_INS, name))],
    pluginFolder: join(home, "plugins"),
    description:
      `Pulumi ${cli.version} (${cli.source}), ` +
      `language host (${hasHost ? "official" : "stand-in"}), ` +
      `plugins ${list.join(", ")}`,
  };
}

/** Copies the plugin from the user's own Pulumi home, or downloads it. */
async function hasOfficial(
  cli: Cli,
  home: string,
  name: string,
  version: string,
  { report, isOnline = online }: EngineOptions,
): Promise<boolean> {
  const folder = `resource-${name}-v${version}`;
  const target = join(home, "plugins", folder);
  if (isInstalled(target)) return true;
  const users = join(pulumiHome(), "plugins", folder);
  const isUsers = isInstalled(users);
  if (!isUsers && !(await isOnline())) return false;
  return withLock(join(home, `${folder}.lock`), async () => {
    if (isInstalled(target)) return true;
    try {
      if (isUsers) {
        const draft = join(home, folder);
        await cp(users, draft, { recursive: true, force: true, mode: constants.COPYFILE_FICLONE });
        await mkdir(dirname(target), { recursive: true });
        await rename(draft, target);
      } else {
        report("pulumi", `downloading the plugin ${name} ${version}`);
        await mkdir(home, { recursive: true });
        await execa(cli.command, ["plugin", "install", "resource", name, version], {
          env: { PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
          timeout: INSTALL_TIMEOUT_MS,
          stdin: "ignore",
        });
      }
      return isInstalled(target);
    } catch {
      report("pulumi", `the plugin ${name} ${version} could not be downloaded`);
      return false;
    }
  });
}

/** While Pulumi unpacks a plugin, a file `<plugin>.partial` is beside it. */
function isInstalled(plugin: string): boolean {
  return existsSync(plugin) && !existsSync(`${plugin}.partial`);
}

let onlineAnswer: Promise<boolean> | undefined;

/** Asks once per process. */
function online(): Promise<boolean> {
  onlineAnswer ??= fetch(`${DOWNLOADS}/install.sh`, {
    method: "HEAD",
    signal: AbortSignal.timeout(ONLINE_TIMEOUT_MS),
  }).then(
    (response) => response.ok,
    () => false,
  );
  return onlineAnswer;
}

async function cliVersion(command: string): Promise<string | undefined> {
  try {
    const { stdout } = await execa(command, ["version"], {
      env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
      timeout: 10_000,
    });
    return stdout.trim().replace(/^v/, "");
  } catch {
    return undefined;
  }
}

/** Only the official CLI comes with the hosts of languages. */
function hasLanguageHost(cli: string): boolean {
  return existsSync(join(dirname(cli), "pulumi-language-nodejs"));
}
