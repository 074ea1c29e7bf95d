import { spawn as nodeSpawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { InfraError } from "../../../core/errors.ts";
import type { BuildOptions } from "../../tools.ts";
import { baseEntries } from "../base.ts";
import type { Blobs } from "../blobs.ts";
import { type Image, packImage } from "../image.ts";
import type { Entry } from "../layer.ts";
import { type FileTree, matchesOf, readBuildContext, readTree } from "./file-tree.ts";
import { parseDockerfile } from "./parse.ts";
import type { Copy, FinalStage, GoCommand, Run } from "./plan.ts";

export interface DockerfileOptions {
  /** The folder with the sources and the `.dockerignore`. */
  readonly context: string;
  /** Relative to the context. @default "Dockerfile" */
  readonly dockerfile?: string;
  /** A folder for the stages' files, which are removed at the end. */
  readonly folder: string;
  readonly blobs: Blobs;
  /** Receives the instructions and the output of go, line by line or in larger pieces. */
  readonly log?: (text: string) => void;
  /** Kills a running go command. */
  readonly signal?: AbortSignal;
  readonly spawn?: BuildOptions["spawn"];
}

/**
 * Builds the image of a Dockerfile without a container engine: this machine's Go runs the go commands
 * of the golang stages in a copy of the files. The same sources give the same digest.
 *
 * The commands run as this process's user and can do what that user can. They do not get its
 * environment variables, except for those of Go, a proxy's, PATH and HOME.
 * Errors: RDEV_SANDBOX names each instruction that cannot be built, or has the output of go.
 */
export async function buildDockerfile(options: DockerfileOptions): Promise<Image> {
  const { context, dockerfile = "Dockerfile", folder, blobs } = options;
  const path = join(context, dockerfile);
  const text = await readFile(path, "utf8").catch(() => {
    throw new InfraError("RDEV_SANDBOX", `There is no ${dockerfile} in the build context.`);
  });
  const { builders, final } = parseDockerfile(text);
  const work = await mkdtemp(join(folder, "build-"));
  try {
    const sources = await readBuildContext(context);
    const stages: string[] = [];
    const originOf = async ({ from }: Copy) => {
      const stage = from === undefined ? undefined : stages[from];
      return stage === undefined ? sources : readTree(stage);
    };
    for (const [index, { steps }] of builders.entries()) {
      const root = join(work, String(index));
      await mkdir(root);
      for (const step of steps) {
        if (step.kind === "run") await runGo(step, root, options);
        else await copyInto(root, step, await originOf(step));
      }
      stages.push(root);
    }
    return await packFinal(blobs, final, originOf);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function copyInto(root: string, copy: Copy, origin: FileTree): Promise<void> {
  const isFolder = (path: string) =>
    stat(join(root, path)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  for (const { source, path } of await copied(copy, origin, isFolder)) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(source, target);
  }
}

async function packFinal(
  blobs: Blobs,
  { base, steps, config }: FinalStage,
  originOf: (copy: Copy) => Promise<FileTree>,
): Promise<Image> {
  // A later COPY replaces a file, so there is one entry for each path.
  const entries = new Map<string, Entry>();
  const isFolder = async (path: string) =>
    path === config.folder || [...entries.keys()].some((each) => each.startsWith(`${path}/`));
  for (const copy of steps) {
    for (const { source, path } of await copied(copy, await originOf(copy), isFolder)) {
      const { mode, owner } = copy;
      entries.set(path, {
        path,
        source,
        ...(mode !== undefined && { mode }),
        ...(owner && { owner }),
      });
    }
  }
  const layers = base === "static" ? [await baseEntries()] : [];
  return packImage(blobs, [...layers, [...entries.values()]], config);
}

/** The files that a COPY takes, with their absolute paths in the stage. */
async function copied(
  copy: Copy,
  origin: FileTree,
  isFolder: (path: string) => Promise<boolean>,
): Promise<{ readonly source: string; readonly path: string }[]> {
  const matches = copy.sources.flatMap((source) => {
    const found = matchesOf(origin, source);
    if (typeof found === "string") {
      throw new InfraError("RDEV_SANDBOX", `Dockerfile, line ${copy.line}: COPY: ${found}.`);
    }
    return found;
  });
  const isBelow =
    copy.isFolder ||
    matches.length > 1 ||
    matches.some((match) => match.isInFolder) ||
    (await isFolder(copy.target));
  return matches.map(({ source, path }) => ({
    source,
    path: isBelow ? posix.join(copy.target, path) : copy.target,
  }));
}

async function runGo(step: Run, root: string, options: DockerfileOptions): Promise<void> {
  const folder = join(root, step.folder);
  await mkdir(folder, { recursive: true });
  for (const command of step.commands) await runGoCommand(command, step, root, folder, options);
}

async function runGoCommand(
  { args, env }: GoCommand,
  { line }: Run,
  root: string,
  folder: string,
  { spawn = nodeSpawn, signal, log = () => undefined }: DockerfileOptions,
): Promise<void> {
  const shown = `go ${args.join(" ")}`;
  const failed = (reason: string, options?: ErrorOptions) =>
    new InfraError("RDEV_SANDBOX", `Dockerfile, line ${line}: ${shown} ${reason}`, options);
  log(`${shown}\n`);
  const child = spawn(
    "go",
    args.map((argument) => inStage(root, argument)),
    {
      cwd: folder,
      env: { ...goEnvironment(), ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(signal && { signal }),
    },
  );
  let output = "";
  const collect = (text: string) => {
    output += text;
    log(text);
  };
  child.stdout?.setEncoding("utf8").on("data", collect);
  child.stderr?.setEncoding("utf8").on("data", collect);
  await once(child, "close").catch((cause: unknown) => {
    throw failed("could not be run, or was stopped.", { cause });
  });
  if (child.exitCode === 0) return;
  const end = child.signalCode ?? `code ${child.exitCode}`;
  throw failed(`ended with ${end}:\n${output.trim()}`);
}

/** An argument with its absolute path moved into the stage: `/service`, or `-o=/service`. */
function inStage(root: string, argument: string): string {
  return argument.replace(/^(-\w+=)?(?=\/)/, (flag) => flag + root);
}

/** The variables that Go needs for its caches, its proxy and its own settings. No secrets. */
function goEnvironment(): NodeJS.ProcessEnv {
  const known = /^(PATH|HOME|TMPDIR|LANG|XDG_CACHE_HOME|GO[A-Z0-9]+|(HTTPS?|NO)_PROXY)$/i;
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => known.test(name))),
    // Otherwise the program would contain the path of the copy, which is another one each time.
    GOFLAGS: `${process.env.GOFLAGS ?? ""} -trimpath`.trim(),
  };
}
