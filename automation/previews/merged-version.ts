import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InfraError } from "../../core/errors.ts";
import { checkOutMerged } from "../../providers/git/checkout.ts";
import type { Remote } from "../../providers/git/git.ts";
import { programVersion } from "../rollouts/program-version.ts";

interface MergedInto {
  readonly commit: string;
  /** The branch that has it. */
  readonly base: string;
}

/**
 * The version of the projects' program at a merged commit. It comes from the files alone: no code of the
 * commit runs. Rejects with RDEV_REFUSED if the commit is not in the branch, or has no such program.
 */
export async function mergedVersion(remote: Remote, merged: MergedInto): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-merged-"));
  try {
    await checkOutMerged(folder, remote, merged);
    return await programVersion(undefined, folder).catch((error: unknown) => {
      if (error instanceof InfraError) throw error;
      throw new InfraError(
        "RDEV_REFUSED",
        `The commit ${merged.commit} is not one of this program.`,
        { cause: error },
      );
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
