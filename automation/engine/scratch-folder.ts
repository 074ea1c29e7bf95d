import { copyFile, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * Runs `work` in a copy of Pulumi's folder, so that nothing Pulumi writes there stays. Pulumi.yaml and the
 * stack's own file are copied, other stacks' files are left out, and everything else is a link.
 */
export async function inScratchFolder<T>(
  folder: string,
  stack: string,
  work: (copy: string) => Promise<T>,
): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), "rdev-infra-scratch-"));
  const copied = ["Pulumi", `Pulumi.${stack}`];
  try {
    const names = (await readdir(folder)).filter((name) => name !== ".git");
    await Promise.all(
      names.map(async (name) => {
        const [from, to] = [resolve(folder, name), join(copy, name)];
        if (!name.startsWith("Pulumi.")) await symlink(from, to);
        else if (copied.includes(name.replace(/\.(ya?ml|json)$/, ""))) await copyFile(from, to);
      }),
    );
    return await work(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
