import { readFile, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { InfraError } from "../../core/errors.ts";

/**
 * Reads a file of a checkout that anybody may have written. Rejects with RDEV_REFUSED if its path or a
 * symbolic link leads out of the folder, as to a device that never ends.
 */
export async function readWithin(root: string, file: string): Promise<Buffer> {
  const path = await realpath(join(root, file));
  if (/^\.\.(\/|$)/.test(relative(await realpath(root), path))) {
    throw new InfraError("RDEV_REFUSED", `The file ${file} is not within the checkout.`);
  }
  return readFile(path);
}
