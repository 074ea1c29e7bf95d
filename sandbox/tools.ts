import { existsSync } from "node:fs";
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { availableParallelism, homedir, totalmem } from "node:os";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import pLimit from "p-limit";
import { InfraError } from "../core/errors.ts";
import type { Report } from "./context.ts";
import { withLock } from "./lock.ts";
import type { ToolFamily } from "./tool-families.ts";

const TOOLS = join(import.meta.dirname, "..", "tools");
const REPORT_EVERY_MS = 15_000;
/** The memory that two builds of the large programs need at the same time, with a lazy collector. */
const MEMORY_FOR_TWO = 8 * 2 ** 30;
/** Go's compiler collects garbage less often, which saves about 15 % of its CPU time. */
const LAZY_GOGC = "400";
/** The first version of Go that downloads the version required by a go.mod. */
const OLDEST_GO = { major: 1, minor: 21 };

/** A family in the cache, built or downloaded. */
export interface BuiltFamily {
  /** The pinned version, such as `v3.7.3`. */
  readonly version: string;
  /** The path of a program. */
  program(name: string): string;
  /** The folder that contains the asset folders. */
  readonly assets: string;
}

export interface BuildOptions {
  readonly report: Report;
  /** @default the user's cache folder */
  readonly cache?: string;
  /** The folder that has a folder for each family. @default `tools/` of this repository */
  readonly tools?: string;
  /** Starts a process. @default `spawn` of Node.js */
  readonly spawn?: (
    command: string,
    args: readonly string[],
    options: SpawnOptions,
  ) => ChildProcess;
}

/** The folder for built and downloaded tools. It can be deleted at any time. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "rdev-infra");
}

/** The cache folder and the pinned version of a family, and whether it is there. */
export async function plannedFamily(
  family: ToolFamily,
  { cache = cacheFolder(), tools = TOOLS }: Pick<BuildOptions, "cache" | "tools"> = {},
): Promise<{ folder: string; built: BuiltFamily; isBuilt: boolean }> {
  const [mod, sum] = await Promise.all(
    ["go.mod", "go.sum"].map((name) => readFile(join(tools, family.name, name), "utf8")),
  );
  const version = pinnedVersion(mod ?? "", family);
  const key = createHash("sha256")
    .update(JSON.stringify([mod, sum, buildFlags(family, version), family.programs, family.assets]))
    .update(`${process.platform}/${process.arch}`)
    .update(family.isStatic ? "static" : "")
    .update(await ownSources(join(tools, family.name)))
    .digest("hex")
    .slice(0, 12);
  const folder = join(cache, "tools", `${family.name}-${version}-${key}`);
  const built = { version, program: (name: string) => join(folder, name), assets: folder };
  return { folder, built, isBuilt: existsSync(folder) };
}

/** What the machine lacks to build these families, one sentence each; empty if they are built. */
export async function missingForBuild(
  families: readonly ToolFamily[],
  options: Pick<BuildOptions, "cache" | "tools"> = {},
): Promise<string[]> {
  const toBuild = await notBuilt(families, options);
  if (toBuild.length === 0) return [];
  const missing: string[] = [];
  const go = await goVersion();
  const wanted = `Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or later (https://go.dev/dl), to build ${names(toBuild)}`;
  if (!go) missing.push(`${wanted}: there is no \`go\` in PATH`);
  else if (go.major === OLDEST_GO.major && go.minor < OLDEST_GO.minor) {
    missing.push(`${wanted}: the \`go\` in PATH is ${go.major}.${go.minor}`);
  }
  return missing;
}

/** Whether a C compiler is needed to build these families. */
export async function needsCompiler(
  families: readonly ToolFamily[],
  options: Pick<BuildOptions, "cache" | "tools"> = {},
): Promise<boolean> {
  return (await notBuilt(families, options)).some((family) => family.needsC);
}

/** The families that are not in the cache. */
export async function notBuilt(
  families: readonly ToolFamily[],
  options: Pick<BuildOptions, "cache" | "tools">,
): Promise<ToolFamily[]> {
  const plans = await Promise.all(families.map((family) => plannedFamily(family, options)));
  return families.filter((_, index) => !plans[index]?.isBuilt);
}

/**
 * Builds the families that are not in the cache, the slowest ones first, so that two at a time end
 * earliest. Only one process builds a family: others wait for it.
 * Errors: RDEV_SANDBOX with the compiler's output.
 */
export async function buildTools<Name extends string>(
  families: Readonly<Record<Name, ToolFamily>>,
  options: BuildOptions,
): Promise<Record<Name, BuiltFamily>> {
  // Go's compiler uses all cores, but its linker does not; a second build uses the idle ones.
  const concurrency = Math.min(availableParallelism(), hasMemoryForTwo() ? 2 : 1);
  const slowestFirst = Object.entries<ToolFamily>(families).sort(
    ([, a], [, b]) => (b.buildSeconds ?? 0) - (a.buildSeconds ?? 0),
  );
  const built = await pLimit(concurrency).map(
    slowestFirst,
    async ([name, family]) => [name, await buildFamily(family, options)] as const,
  );
  return Object.fromEntries(built) as Record<Name, BuiltFamily>;
}

async function buildFamily(family: ToolFamily, options: BuildOptions): Promise<BuiltFamily> {
  const { folder, built, isBuilt } = await plannedFamily(family, options);
  if (isBuilt) return built;
  await inCache(family, folder, options.report, (draft) =>
    buildInto(draft, family, built.version, options),
  );
  return built;
}

/**
 * Puts a family into the cache, if it is not there: `fill` gets a draft of its folder, which is removed
 * if `fill` fails. Only one process does this: others wait for it.
 */
export async function inCache(
  { name }: ToolFamily,
  folder: string,
  report: Report,
  fill: (draft: string) => Promise<void>,
): Promise<void> {
  await withLock(
    `${folder}.lock`,
    async () => {
      if (existsSync(folder)) return;
      await removeDrafts(folder);
      const draft = `${folder}.${randomUUID()}.draft`;
      try {
        await mkdir(draft, { recursive: true });
        await fill(draft);
        await rename(draft, folder);
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    },
    () => report(name, "waiting for another process that builds it"),
  );
}

/** Removes the drafts of killed builds. The caller holds the lock, so no other build runs. */
async function removeDrafts(folder: string): Promise<void> {
  const parent = dirname(folder);
  for (const name of await readdir(parent)) {
    if (name.startsWith(`${basename(folder)}.`) && name.endsWith(".draft")) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

async function buildInto(
  draft: string,
  family: ToolFamily,
  version: string,
  options: BuildOptions,
): Promise<void> {
  const { report, tools = TOOLS } = options;
  const module = join(tools, family.name);
  for (const [name, path] of Object.entries(family.programs)) {
    const seconds = await withProgress(report, name, `building ${version}`, () =>
      go(
        ["build", ...buildFlags(family, version), "-o", join(draft, name), path],
        module,
        options,
        {
          // Temporary files of a killed compiler are removed with the draft.
          GOTMPDIR: draft,
          ...(family.isStatic && { CGO_ENABLED: "0" }),
          ...(hasMemoryForTwo() && process.env.GOGC === undefined && { GOGC: LAZY_GOGC }),
        },
      ),
    );
    report(name, `built in ${seconds}`);
  }
  if (family.assets) {
    const path = modulePath(Object.values(family.programs)[0] ?? "", await modFile(module));
    const source = (await go(["list", "-m", "-f", "{{.Dir}}", path], module, options)).trim();
    for (const asset of family.assets) {
      // Without the read-only modes of the module cache, so that the copy can be removed.
      await cp(join(source, asset), join(draft, asset), { recursive: true });
    }
  }
}

/** Reports `text` now and while `work` runs. Returns how long that was. */
export async function withProgress(
  report: Report,
  name: string,
  text: string,
  work: () => Promise<unknown>,
): Promise<string> {
  const started = Date.now();
  report(name, text);
  const timer = setInterval(() => report(name, `${text}, ${elapsed(started)}`), REPORT_EVERY_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return elapsed(started);
}

function hasMemoryForTwo(): boolean {
  return totalmem() >= MEMORY_FOR_TWO;
}

function buildFlags({ tags, variables }: ToolFamily, version: string): string[] {
  const set = Object.entries(variables?.(version) ?? {}).map(
    ([name, value]) => `-X ${name}=${value}`,
  );
  return ["-trimpath", ...(tags ? ["-tags", tags] : []), "-ldflags", ["-s -w", ...set].join(" ")];
}

async function go(
  args: string[],
  folder: string,
  { spawn: start = spawn }: BuildOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = start("go", args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors] = await Promise.all([
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
    once(child, "close"),
  ]);
  if (child.exitCode !== 0) {
    throw new InfraError(
      "RDEV_SANDBOX",
      `go ${args[0]} in ${folder} ended with ${child.signalCode ?? `code ${child.exitCode}`}:\n${errors.trim()}`,
    );
  }
  return output;
}

async function goVersion(): Promise<{ major: number; minor: number } | undefined> {
  try {
    const child = spawn("go", ["env", "GOVERSION"], { stdio: ["ignore", "pipe", "ignore"] });
    const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(output) ?? [];
    return { major: Number(major), minor: Number(minor) };
  } catch {
    return undefined;
  }
}

/** The family's Go files in this repository; empty if all its programs are in other modules. */
async function ownSources(folder: string): Promise<string> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".go"));
  const files = await Promise.all(
    names.sort().map(async (name) => [name, await readFile(join(folder, name), "utf8")]),
  );
  return files.length > 0 ? JSON.stringify(files) : "";
}

function pinnedVersion(mod: string, family: ToolFamily): string {
  const path = modulePath(family.versionOf ?? Object.values(family.programs)[0] ?? "", mod);
  const version = requirements(mod).get(path);
  if (!version) {
    throw new InfraError(
      "RDEV_INTERNAL",
      `tools/${family.name}/go.mod requires no module that its version could come from`,
    );
  }
  return version;
}

/** The required module that contains the package: the one with the longest path. */
function modulePath(packagePath: string, mod: string): string {
  const holders = [...requirements(mod).keys()].filter((path) =>
    `${packagePath}/`.startsWith(`${path}/`),
  );
  return holders.sort((a, b) => b.length - a.length)[0] ?? "";
}

function requirements(mod: string): Map<string, string> {
  const lines = mod.matchAll(/^(?:require )?\s*([^\s()]+\/[^\s()]+) (v\S+)(?: \/\/ indirect)?$/gm);
  return new Map(Array.from(lines, ([, path = "", version = ""]) => [path, version]));
}

function modFile(module: string): Promise<string> {
  return readFile(join(module, "go.mod"), "utf8");
}

function elapsed(since: number): string {
  const seconds = Math.round((Date.now() - since) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function names(families: readonly ToolFamily[]): string {
  return families.map(({ name }) => name).join(", ");
}
