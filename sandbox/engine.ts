import { execa } from "execa";
import { constants } from "node:fs";
import { cp, mkdir, readFile, rename } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { cacheFolder } from "./cache.ts";
import type { Report } from "./context.ts";
import { exists } from "./exists.ts";
import { findCommand } from "./find-command.ts";
import { withLock } from "./lock.ts";

const ROOT = join(import.meta.dirname, "..");
const STAND_INS = join(import.meta.dirname, "plugins");
/** The plugins that the stacks use. Their versions are those of the npm packages. */
const PLUGINS = ["kubernetes", "random", "command"] as const;
const DOWNLOADS = "https://get.pulumi.com";
const REACH_TIMEOUT_MS = 2_000;
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** Pulumi's CLI, which holds the engine. */
export interface Cli {
  readonly command: string;
  /** Without a `v`. */
  readonly version: string;
  readonly source: "found in PATH" | "official installer" | "built from its Go module";
}

export interface Plugin {
  readonly name: string;
  readonly version: string;
  readonly source: "official" | "stand-in";
}

export interface Engine extends Cli {
  readonly plugins: readonly Plugin[];
  /** Folders to put first in PATH: the CLI's, then those of the stand-ins. */
  readonly path: readonly string[];
  /** Holds the official plugins, in the layout of PULUMI_HOME/plugins. */
  readonly pluginFolder: string;
  /** One line, for a run to print. */
  readonly description: string;
}

/** What the choice depends on besides this machine; tests give their own. */
export interface EngineOptions {
  readonly report: Report;
  readonly cache?: string;
  /** @default the environment's PATH */
  readonly searchPath?: string;
  /** Whether Pulumi's downloads can be reached. */
  readonly isOnline?: () => Promise<boolean>;
}

/**
 * A suitable CLI that is in PATH or in the cache; undefined where there is none. Asks no network.
 * Suitable is the version of `@pulumi/pulumi`, or a later one of the same major version.
 */
export async function findCli({
  cache = cacheFolder(),
  searchPath,
}: Partial<EngineOptions> = {}): Promise<Cli | undefined> {
  const wanted = await packageVersion("pulumi");
  const inPath = await findCommand("pulumi", searchPath);
  if (inPath) {
    const version = await cliVersion(inPath);
    if (version && isSuitable(version, wanted)) {
      return { command: inPath, version, source: "found in PATH" };
    }
  }
  const installed = join(installRoot(cache, wanted), "bin", "pulumi");
  const version = (await exists(installed)) ? await cliVersion(installed) : undefined;
  return version ? { command: installed, version, source: "official installer" } : undefined;
}

/** Lets the official installer bring the CLI; undefined where it cannot. */
export async function installCli(options: EngineOptions): Promise<Cli | undefined> {
  const { report, cache = cacheFolder(), isOnline = online } = options;
  if (!(await isOnline())) return undefined;
  const root = installRoot(cache, await packageVersion("pulumi"));
  try {
    return await withLock(`${root}.lock`, async () => {
      report("pulumi", "the official installer brings the CLI");
      const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
      await PulumiCommand.install({ root });
      return findCli({ cache, searchPath: "" });
    });
  } catch {
    report("pulumi", "the official installer failed");
    return undefined;
  }
}

/** Adds its plugins to a CLI: official ones where they can be had, else the stand-ins. */
export async function equip(cli: Cli, options: EngineOptions): Promise<Engine> {
  const home = join(options.cache ?? cacheFolder(), "pulumi-home");
  const plugins = await Promise.all(
    PLUGINS.map(async (name): Promise<Plugin> => {
      const version = await packageVersion(name);
      const official = await hasOfficial(cli, home, name, version, options);
      return { name, version, source: official ? "official" : "stand-in" };
    }),
  );
  const hasLanguageHost = await exists(join(dirname(cli.command), "pulumi-language-nodejs"));
  const standIns = [
    ...(hasLanguageHost ? [] : ["nodejs"]),
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
      `language host (${hasLanguageHost ? "official" : "stand-in"}), ` +
      `plugins ${list.join(", ")}`,
  };
}

async function hasOfficial(
  cli: Cli,
  home: string,
  name: string,
  version: string,
  { report, isOnline = online }: EngineOptions,
): Promise<boolean> {
  const folder = `resource-${name}-v${version}`;
  const target = join(home, "plugins", folder);
  if (await isInstalled(target)) return true;
  const users = join(process.env.PULUMI_HOME ?? join(homedir(), ".pulumi"), "plugins", folder);
  const isUsers = await isInstalled(users);
  if (!isUsers && !(await isOnline())) return false;
  return withLock(join(home, `${folder}.lock`), async () => {
    if (await isInstalled(target)) return true;
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
      return await isInstalled(target);
    } catch {
      report("pulumi", `the plugin ${name} ${version} could not be downloaded`);
      return false;
    }
  });
}

/** Pulumi marks a plugin so while it is being unpacked. */
async function isInstalled(plugin: string): Promise<boolean> {
  return (await exists(plugin)) && !(await exists(`${plugin}.partial`));
}

let answer: Promise<boolean> | undefined;

/** Asked once a process. */
function online(): Promise<boolean> {
  answer ??= fetch(`${DOWNLOADS}/install.sh`, {
    method: "HEAD",
    signal: AbortSignal.timeout(REACH_TIMEOUT_MS),
  }).then(
    (response) => response.ok,
    () => false,
  );
  return answer;
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

function isSuitable(version: string, wanted: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  const [wantedMajor, wantedMinor] = wanted.split(".").map(Number);
  return major === wantedMajor && (minor ?? -1) >= (wantedMinor ?? 0);
}

function installRoot(cache: string, version: string): string {
  return join(cache, `pulumi-${version}`);
}

/** Of a package of @pulumi, as npm installed it. */
async function packageVersion(name: string): Promise<string> {
  const file = join(ROOT, "node_modules", "@pulumi", name, "package.json");
  const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
  return version.replace(/^v/, "");
}
