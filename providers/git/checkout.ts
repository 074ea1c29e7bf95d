import { mkdir, readdir } from "node:fs/promises";
import { InfraError } from "../../core/errors.ts";
import { runGit, type Remote } from "./git.ts";

/** In ms, for the fetch of a whole history. */
const DEADLINE = 10 * 60_000;

/** The name, in a checkout, of the branch that the pull request would be merged into. */
const BASE = "origin/base";

interface PullRequestCommit {
  readonly number: number;
  /** The full id. */
  readonly commit: string;
  /** The branch that the pull request would be merged into. */
  readonly base: string;
}

/**
 * Checks out one commit of a pull request into a new folder, with its history and the branch that it
 * would be merged into. Runs no code from it: no hooks, no submodules. Leaves no credential there.
 */
export async function checkOut(
  folder: string,
  remote: Remote,
  { number, commit, base }: PullRequestCommit,
): Promise<void> {
  const branches = [`+refs/pull/${number}/head:refs/remotes/origin/pull`, baseBranch(base)];
  const refusal = new InfraError(
    "RDEV_APPROVAL",
    `The commit ${commit} is no longer in the pull request #${number}: its branch was rewritten ` +
      "after the approval. The new commit needs its own approval.",
  );
  await fetchAndCheckOut(folder, remote, { branches, branch: "origin/pull", commit, refusal });
}

/** Like `checkOut`, of a commit in the branch that pull requests are merged into. */
export async function checkOutMerged(
  folder: string,
  remote: Remote,
  { commit, base }: Omit<PullRequestCommit, "number">,
): Promise<void> {
  const refusal = new InfraError(
    "RDEV_REFUSED",
    `The commit ${commit} is not in the branch ${base}: the branch was rewritten after the merge.`,
  );
  const branches = [baseBranch(base)];
  await fetchAndCheckOut(folder, remote, { branches, branch: BASE, commit, refusal });
}

function baseBranch(base: string): string {
  return `+refs/heads/${base}:refs/remotes/${BASE}`;
}

interface Wanted {
  readonly branches: readonly string[];
  /** The commit must be in this one. */
  readonly branch: string;
  readonly commit: string;
  readonly refusal: InfraError;
}

async function fetchAndCheckOut(
  folder: string,
  remote: Remote,
  { branches, branch, commit, refusal }: Wanted,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) {
    throw new InfraError(
      "RDEV_SETTINGS",
      `--checkout: the folder ${folder} is not empty. Name an empty or new folder.`,
    );
  }
  const git = (...args: string[]) => runGit(folder, remote, args, DEADLINE);
  await git("init", "--quiet");
  await git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", remote.url, ...branches);
  const isInBranch = await git("merge-base", "--is-ancestor", commit, branch).then(
    () => true,
    () => false,
  );
  if (!isInBranch) throw refusal;
  await git("checkout", "--quiet", "--detach", commit);
}
