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
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) {
    throw new InfraError(
      "RDEV_SETTINGS",
      `--checkout: the folder ${folder} is not empty. Name an empty or new folder.`,
    );
  }
  const git = (...args: string[]) => runGit(folder, remote, args, DEADLINE);
  await git("init", "--quiet");
  const branches = [
    `+refs/pull/${number}/head:refs/remotes/origin/pull`,
    `+refs/heads/${base}:refs/remotes/${BASE}`,
  ];
  await git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", remote.url, ...branches);
  const isInBranch = await git("merge-base", "--is-ancestor", commit, "origin/pull").then(
    () => true,
    () => false,
  );
  if (!isInBranch) {
    throw new InfraError(
      "RDEV_APPROVAL",
      `The commit ${commit} is no longer in the pull request #${number}: its branch was rewritten ` +
        "after the approval. The new commit needs its own approval.",
    );
  }
  await git("checkout", "--quiet", "--detach", commit);
}
