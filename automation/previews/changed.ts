import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { affectedStacks, type Affected } from "../../core/previews/affected.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { importsOf } from "./import-graph.ts";

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * The stacks that the changes since `base` (a commit, branch or tag) can touch: those of the commits
 * since both parted, and those not committed yet. All of them, with the reason, where that cannot be
 * told, as of a base that git does not know.
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
    return { stacks, why: `all: what changed since ${base} cannot be told (${line})` };
  }
}

/** What each kind of stack's program is made of. The entry picks between them, and is part of both. */
async function programs(root: string) {
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

/** From the stacks' files, where they are here. A project without one may have any template. */
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
    const [, template = "skeleton"] =
      /^\s+rdev:template:\s*["']?([a-z0-9-]+)["']?\s*$/m.exec(text) ?? [];
    found.set(stack, template);
  }
  return found;
}
