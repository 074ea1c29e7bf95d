import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { z } from "zod";
import { entriesOf, type Entry } from "../images/layer.ts";

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      dev: z.boolean().default(false),
      devOptional: z.boolean().default(false),
      optional: z.boolean().default(false),
    }),
  ),
});

/** The folders that `npm ci --omit=dev --omit=optional` makes, such as `node_modules/zod`. */
export async function productionPackages(repository: string): Promise<string[]> {
  const text = await readFile(join(repository, "package-lock.json"), "utf8");
  return Object.entries(lockFile.parse(JSON.parse(text)).packages)
    .filter(([path, { dev, devOptional, optional }]) => path && !dev && !devOptional && !optional)
    .map(([path]) => path);
}

/** The files of the installed production packages, below `at`. */
export async function packageEntries(repository: string, at: string): Promise<Entry[]> {
  const entries = await Promise.all(
    (await productionPackages(repository)).map(async (path) => {
      const target = posix.join(at, path);
      const found = await entriesOf(join(repository, path), target);
      // The packages inside have entries of their own in the lock file.
      const inside = posix.join(target, "node_modules");
      return found.filter((entry) => entry.path !== inside && !entry.path.startsWith(`${inside}/`));
    }),
  );
  return entries.flat();
}
