import { mkdir, readdir } from "node:fs/promises";
import { InfraError } from "../../core/errors.ts";
import { runGit, type Remote } from "./git.ts";

/** For a whole history, in ms. */
const DEADLINE = 10 * 60_000;

/** The branch that a pull request would be merged into, in the folder of a checkout. */
export const BASE = "origin/base";

export interface Wanted {
  readonly number: number;
  /** In full. */
  readonly commit: string;
  /** The branch that the pull request would be merged into. */
  readonly base: string;
}

/**
 * Puts one commit of a pull request, with its history and the branch that it would be merged into, into
 * a new folder. Runs nothing of it: no hooks, no submodules. No credential stays in the folder.
 */
export async function checkOut(
  folder: string,
  remote: Remote,
  { number, commit, base }: Wanted,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) {
    throw new InfraError(
      "RDEV_SETTINGS",
      `--checkout: the folder ${folder} is not empty. Name one that is, or that does not exist.`,
    );
  }
  const git = (...args: string[]) => runGit(folder, remote, args, DEADLINE);
  await git("init", "--quiet");
  const branches = [
    `+refs/pull/${number}/head:refs/remotes/origin/pull`,
    `+refs/heads/${base}:refs/remotes/${BASE}`,
  ];
  await git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", remote.url, ...branches);
  const isThere = await git("merge-base", "--is-ancestor", commit, "origin/pull").then(
    () => true,
    () => false,
  );
  if (!isThere) {
    throw new InfraError(
      "RDEV_APPROVAL",
      `The commit ${commit} is no longer in the pull request #${number}: its branch was rewritten ` +
        "after the approval. The new commit needs an approval of its own.",
    );
  }
  await git("checkout", "--quiet", "--detach", commit);
}
