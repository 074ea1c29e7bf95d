import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { init, parse } from "es-module-lexer";
import { affectedStacks, type Affected } from "../../core/previews/affected.ts";
import { DEFAULT_TEMPLATE } from "../../core/settings.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { readWithin } from "./read-within.ts";

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Returns the stacks that changes since `base` (a commit, branch or tag) can affect: changes in the
 * commits since both parted, and uncommitted ones. Returns all stacks, with the reason, if that cannot
 * be determined, for example because git does not know the base.
 */
export async function stacksChangedSince(
  base: string,
  stacks: readonly string[],
  { root, workDir }: { readonly root: string; readonly workDir: string },
): Promise<Affected> {
  try {
    const files = await changedFiles(root, base);
    const { platform, project } = await programs(root);
    const templates = await templatesOf(workDir, stacks);
    const templateOf = (stack: string) => templates.get(stack);
    return affectedStacks(files, stacks, { platform, project, templateOf });
  } catch (error) {
    const [line = ""] = String((error as { stderr?: string }).stderr || error).split("\n");
    return { stacks, why: `all: what changed since ${base} cannot be determined (${line})` };
  }
}

/** The files of each kind of stack's program. The entry chooses between them, so it is part of both. */
export async function programs(root: string) {
  const [PLATFORM, PROJECT] = ["stacks/platform.ts", "stacks/project.ts"];
  const [platform, project, entry] = await Promise.all([
    importsOf(root, PLATFORM),
    importsOf(root, PROJECT),
    importsOf(root, "index.ts", [PLATFORM, PROJECT]),
  ]);
  return {
    platform: new Set([...platform, ...entry]),
    project: new Set([...project, ...entry]),
  };
}

async function changedFiles(root: string, base: string): Promise<string[]> {
  const git = async (...args: string[]) =>
    (await run("git", args, { cwd: root, maxBuffer: MAX_OUTPUT })).stdout;
  const parted = (await git("merge-base", "--end-of-options", base, "HEAD")).trim();
  const changed = await git(
    "diff",
    "--name-only",
    "--no-renames",
    "--relative",
    "-z",
    parted,
    "--",
  );
  const added = await git("ls-files", "--others", "--exclude-standard", "-z");
  return [...changed.split("\0"), ...added.split("\0")].filter((file) => file !== "");
}

/** Reads templates from the stacks' files. A project without a file here may have any template. */
async function templatesOf(
  workDir: string,
  stacks: readonly string[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const projects = stacks.filter((stack) => parseStackName(stack).kind === "project");
  for (const stack of projects) {
    const text = await readFile(join(workDir, `Pulumi.${stack}.yaml`), "utf8").catch(
      () => undefined,
    );
    if (text === undefined) continue;
    const [, template = DEFAULT_TEMPLATE] =
      /^\s+rdev:template:\s*["']?([a-z0-9-]+)["']?\s*$/m.exec(text) ?? [];
    found.set(stack, template);
  }
  return found;
}

/** The files that a module imports, directly or not, and itself; files behind `without` are left out. */
export async function importsOf(
  root: string,
  entry: string,
  without: readonly string[] = [],
): Promise<Set<string>> {
  await init();
  const found = new Set<string>();
  const queue = [entry];
  for (const file of queue) {
    if (found.has(file) || without.includes(file)) continue;
    const text = await readWithin(root, file);
    found.add(file);
    const [imports] = parse(text.toString());
    for (const { specifier: path } of imports) {
      if (path?.startsWith(".")) queue.push(normalize(join(dirname(file), path)));
    }
  }
  return found;
}
