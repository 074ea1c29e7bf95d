import { copyFile, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * Works in a copy of Pulumi's folder, so that what Pulumi writes into its files does not stay.
 * Everything in it is a link, but Pulumi's own files.
 */
export async function inScratchFolder<T>(
  folder: string,
  work: (copy: string) => Promise<T>,
): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), "rdev-infra-scratch-"));
  try {
    const names = (await readdir(folder)).filter((name) => name !== ".git");
    await Promise.all(
      names.map((name) => {
        const put = name.startsWith("Pulumi.") ? copyFile : symlink;
        return put(resolve(folder, name), join(copy, name));
      }),
    );
    return await work(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
